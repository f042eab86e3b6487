/** Opens a notebook in JupyterLab in a real browser and uses the kernel as a person does; leaves screenshots. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Page } from "playwright-core";
import { type OpenNotebook, withJupyterLab } from "./jupyterlab.ts";

const USAGE = "usage: check-jupyterlab.ts <path of the jupyter command> <folder for screenshots>";
const [jupyter, screenshots] = process.argv.slice(2);
if (!jupyter || !screenshots) {
  console.error(USAGE);
  process.exit(1);
}
const CELLS = [
  'console.log("hello from the kernel");\nconst kept: number = 20;\nkept + 1',
  "async function outer() {\n  await 1;\n  throw new RangeError('too far: ' + kept);\n}\nawait outer();",
  'const wrong: number = "text";',
  `const figure = {
  data: [{ type: "bar", x: ["dense", "pruned"], y: [0.435, 0.295], error_y: { type: "data", array: [0.035, 0.032] } }],
  layout: { title: { text: "HellaSwag accuracy" }, yaxis: { title: { text: "accuracy" } }, height: 300 },
};
figure`,
  "display(md`**Markdown** with $x^2$`);\nhtml`<b>$" + '{"<escaped>"}</b>`',
  "for (const step of progress([1, 2, 3, 4], { label: 'steps' })) await new Promise((done) => setTimeout(done, 150));",
  "new Map([['a', 1], ['b', 2]])",
  "display(figure, { interactive: true })",
  "display.interactive()",
  "figure",
];

/** Controls of ipywidgets, and what the panel of variables shows. */
const TOOL_CELLS = [
  "const layers = slider({ label: 'layers', min: 0, max: 10, value: 3 });\nlayers",
  "layers.value",
  "const model = { name: 'gemma', blocks: 18 };\nlet sparsity = 0.5;",
];

const folder = mkdtempSync(join(tmpdir(), "prunelab-lab-"));
mkdirSync(screenshots, { recursive: true });
writeFileSync(join(folder, "check.ipynb"), JSON.stringify(notebook(CELLS)));
writeFileSync(join(folder, "tools.ipynb"), JSON.stringify(notebook(TOOL_CELLS)));

function notebook(sources: string[]) {
  const cells = sources.map((source, i) => ({
    cell_type: "code",
    id: `cell-${i}`,
    source,
    metadata: {},
    outputs: [],
    execution_count: null,
  }));
  const kernelspec = { name: "prunelab", display_name: "TypeScript (Prunelab)", language: "typescript" };
  return { cells, metadata: { kernelspec }, nbformat: 4, nbformat_minor: 5 };
}

const shotsOf = (page: Page) => (name: string) => page.screenshot({ path: join(screenshots as string, `${name}.png`) });

/** JupyterLab shows an idle kernel before its notebook has a session, and drops, without a request, a cell that is run in between. */
async function runFirst(page: Page): Promise<void> {
  const first = page.locator(".jp-Notebook .jp-CodeCell").first();
  const ran = first.locator(".jp-InputPrompt").filter({ hasText: /[*\d]/ });
  for (let attempt = 0; attempt < 10 && (await ran.count()) === 0; attempt++) {
    await first.locator(".cm-content").click();
    await page.keyboard.press("Shift+Enter");
    await ran.waitFor({ timeout: 3000 }).catch(() => undefined);
  }
}

async function use(page: Page, open: OpenNotebook): Promise<void> {
  const shot = shotsOf(page);
  const status = (text: string) => page.locator(`.jp-Notebook-ExecutionIndicator[data-status="${text}"]`).waitFor();
  const output = (cell: number) => page.locator(".jp-Notebook .jp-CodeCell").nth(cell).locator(".jp-OutputArea");
  const prompt = (cell: number) => page.locator(".jp-Notebook .jp-CodeCell").nth(cell).locator(".jp-InputPrompt");

  await open("check.ipynb", CELLS.length);
  await shot("1-opened");

  // Cell by cell, since a failing one ends "run all".
  for (let cell = 0; cell < CELLS.length; cell++) {
    if (cell === 0) await runFirst(page);
    else await page.keyboard.press("Shift+Enter");
    await prompt(cell)
      .filter({ hasText: `[${cell + 1}]` })
      .waitFor();
  }
  await status("idle");
  assert.match((await output(0).textContent()) ?? "", /hello from the kernel\s+.*21/s);
  const failed = (await output(1).textContent()) ?? "";
  assert.match(failed, /RangeError: too far: 20/);
  assert.match(failed, /---> 3 \|/);
  assert.match((await output(2).textContent()) ?? "", /TS2322: Type 'string' is not assignable to type 'number'/);
  // JupyterLab has no renderer for plotly's own type, so the picture shows.
  assert.equal(await output(3).locator("img[src^='data:image/'], .jp-RenderedSVG svg").count(), 1);
  assert.equal(await output(4).locator(".jp-RenderedMarkdown strong").textContent(), "Markdown");
  assert.equal(await output(4).locator(".jp-RenderedHTMLCommon b").last().textContent(), "<escaped>");
  assert.match((await output(5).textContent()) ?? "", /4\/4/);
  assert.equal(await output(6).locator("table tbody tr").count(), 2);
  await output(7).locator(".js-plotly-plot .barlayer .point").first().waitFor();
  // One plotly.js for all figures, with hover.
  const bar = output(9).locator(".js-plotly-plot .barlayer .point").first();
  await bar.waitFor();
  await bar.hover({ force: true });
  await output(9).locator(".hoverlayer .hovertext").first().waitFor({ state: "attached" });
  assert.ok(((await output(9).innerHTML()) ?? "").length < 400_000, "plotly.js is in the figure again");
  await page.locator(".jp-Notebook .jp-CodeCell").first().scrollIntoViewIfNeeded();
  await shot("2-output-and-errors");
  await output(3).scrollIntoViewIfNeeded();
  await shot("3-plot");
  await output(6).scrollIntoViewIfNeeded();
  await shot("4-markup-and-tables");

  // The cell that Shift+Enter made at the end.
  const last = CELLS.length;
  await page.keyboard.type("Math.ab");
  await page.keyboard.press("Tab");
  await page.locator(".jp-Completer").waitFor();
  assert.match((await page.locator(".jp-Completer").textContent()) ?? "", /abs/);
  await shot("5-completion");
  await page.keyboard.press("Enter");
  await page.locator(".jp-Completer").waitFor({ state: "hidden" });
  await page.keyboard.type("(-3)");
  await page.keyboard.press("Shift+Tab");
  await page.locator(".jp-Tooltip").waitFor();
  assert.match((await page.locator(".jp-Tooltip").textContent()) ?? "", /Math\.abs\(x: number\): number/);
  await shot("6-documentation");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Shift+Enter");
  await prompt(last)
    .filter({ hasText: /\[\d+\]/ })
    .waitFor();
  assert.match((await output(last).textContent()) ?? "", /3/);

  await page.keyboard.type("while (true) {}");
  await page.keyboard.press("Shift+Enter");
  await status("busy");
  await page.locator('[data-command="notebook:interrupt-kernel"], button[title*="Interrupt"]').first().click();
  await status("idle");
  assert.match((await output(last + 1).textContent()) ?? "", /KeyboardInterrupt/);
  await page.keyboard.type("kept");
  await page.keyboard.press("Shift+Enter");
  await output(last + 2)
    .filter({ hasText: "20" })
    .waitFor();
  await shot("7-interrupted-state-kept");

  await page.locator('button[title*="Restart the kernel"], [data-command="notebook:restart-kernel"]').first().click();
  await page.locator(".jp-Dialog .jp-mod-accept").click();
  await status("idle");
  await page.keyboard.type("typeof kept");
  await page.keyboard.press("Shift+Enter");
  await output(last + 3)
    .filter({ hasText: "Cannot find name 'kept'" })
    .waitFor();
  await shot("8-restarted");
  assert.match((await prompt(last + 3).textContent()) ?? "", /\[1\]/);
}

async function useTools(page: Page, open: OpenNotebook): Promise<void> {
  const shot = shotsOf(page);
  const cell = (index: number) => page.locator(".jp-Notebook .jp-CodeCell").nth(index);
  const done = (index: number) =>
    cell(index)
      .locator(".jp-InputPrompt")
      .filter({ hasText: `[${index + 1}]` })
      .waitFor();
  await open("tools.ipynb", TOOL_CELLS.length);
  await runFirst(page);
  await done(0);
  const handle = cell(0).locator(".widget-slider .noUi-handle, .jupyter-widget-slider .noUi-handle").first();
  await handle.waitFor();
  await handle.focus();
  await page.keyboard.press("ArrowRight");
  await cell(0).locator(".widget-readout").filter({ hasText: "4" }).waitFor();
  await cell(1).locator(".cm-content").click();
  await page.keyboard.press("Shift+Enter");
  await done(1);
  await cell(1).locator(".jp-OutputArea-output").filter({ hasText: "4" }).waitFor();
  await shot("9-slider");

  await page.locator(".jp-DebuggerBugButton").click();
  const panel = page.locator(".jp-DebuggerVariables");
  await panel.waitFor();
  await page.keyboard.press("Escape");
  await cell(2).locator(".cm-content").click();
  await page.keyboard.press("Shift+Enter");
  await done(2);
  await panel.getByText("sparsity", { exact: true }).first().waitFor();
  await panel.getByText("model", { exact: true }).first().waitFor();
  assert.match((await panel.textContent()) ?? "", /sparsity\W*0\.5/);
  await shot("10-variables");
}

try {
  await withJupyterLab({ jupyter, folder, screenshots }, async (page, open) => {
    await use(page, open);
    await useTools(page, open);
  });
  console.log(`JupyterLab: all steps held; screenshots in ${resolve(screenshots)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
