/** Opens `prunelab demo` in a real browser and lets a dense and a pruned model write; they must begin as Node does with the same files. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { AutoModelForCausalLM, AutoTokenizer, type Tensor } from "@huggingface/transformers";
import { chromium } from "playwright-core";
import { exportModel } from "../../src/export/export-model.ts";
import { openCheckpoint, prune } from "../../src/index.ts";
import { findModels, serveDemo } from "../demo/serve.ts";

const USAGE = "usage: check-demo.ts <id or path of a model> <folder for screenshots>";
const prompt = "Explain the concept of model pruning.";
const newTokens = 12;
const [name, screenshots] = process.argv.slice(2);
if (!name || !screenshots) {
  console.error(USAGE);
  process.exit(1);
}
const browserPath = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find((path) => existsSync(path));
if (!browserPath) {
  console.error("no browser found; install chromium");
  process.exit(1);
}

/** What transformers.js writes first in Node. Later ones may differ: the two runtimes add up in other orders. */
async function firstWritten(folder: string): Promise<string> {
  const tokenizer = await AutoTokenizer.from_pretrained(folder);
  const model = await AutoModelForCausalLM.from_pretrained(folder, { dtype: "q8" });
  const inputs = tokenizer(prompt);
  const output = (await model.generate({ ...inputs, max_new_tokens: 1, do_sample: false })) as Tensor;
  await model.dispose();
  const ids = output.tolist()[0].slice(inputs.input_ids.dims[1]);
  return tokenizer.decode(ids, { skip_special_tokens: true });
}

const folder = mkdtempSync(join(tmpdir(), "prunelab-demo-"));
mkdirSync(screenshots, { recursive: true });
try {
  const dense = await openCheckpoint(name);
  const pruned = await prune(dense, { method: "magnitude", sparsity: 0.5 });
  await exportModel(dense, join(folder, "dense"), { to: "onnx:q8" });
  await exportModel(pruned, join(folder, "pruned"), { to: "onnx:q8" });
  const { server, url } = await serveDemo(await findModels([folder]), 0);
  const browser = await chromium.launch({
    executablePath: browserPath,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(300_000);
    const hosts = new Set<string>();
    const problems: string[] = [];
    page.context().on("request", (request) => hosts.add(new URL(request.url()).host || "this page"));
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (line) => line.type() === "error" && problems.push(line.text()));
    await page.goto(url);
    const panes = page.locator(".pane");
    const settled = async (count: number) => {
      for (let pane = 0; pane < count; pane++) {
        await panes.nth(pane).and(page.locator("[data-state=ready], [data-state=failed]")).waitFor();
        assert.equal(
          await panes.nth(pane).getAttribute("data-state"),
          "ready",
          String(await panes.nth(pane).textContent()),
        );
      }
    };
    await settled(2);
    assert.deepEqual(await panes.locator("h2").allTextContents(), ["dense", "pruned"]);
    assert.ok(await page.evaluate("crossOriginIsolated"), "threads need an isolated page");
    await page.locator("#tokens").fill(String(newTokens));
    assert.equal(await page.locator("#prompt").inputValue(), prompt);
    await page.locator("#send").click();
    await settled(2);
    await page.screenshot({ path: join(screenshots, "demo.png") });
    for (const [pane, model] of ["dense", "pruned"].entries()) {
      const text = await panes.nth(pane).locator(".turn.assistant").textContent();
      const status = await panes.nth(pane).locator(".status").textContent();
      assert.match(String(status), new RegExp(`^${newTokens} tokens: `));
      const first = await firstWritten(join(folder, model));
      assert.ok(text?.startsWith(first), `${model}: ${JSON.stringify({ browser: text, node: first })}`);
      console.log(`${model}: ${status}: ${JSON.stringify(text)}`);
    }
    assert.deepEqual([...hosts], [new URL(url).host], "another host was asked");
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
    server.close();
    server.closeAllConnections();
  }
  console.log(`demo: all steps held; screenshots in ${resolve(screenshots)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
