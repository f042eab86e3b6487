import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { tinyModel } from "../../src/base/testing.test-helper.ts";
import { openCheckpointFile } from "../../src/checkpoint/open.ts";
import { exportModel } from "../../src/export/export-model.ts";
import { findModels, serveDemo } from "./serve.ts";

const folder = mkdtempSync(join(tmpdir(), "prunelab-demo-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("finds models in a folder or in those within it, the dense one first, and says where there is none", async () => {
  const tiny = await openCheckpointFile(tinyModel);
  for (const name of ["a-pruned", "dense"]) await exportModel(tiny, join(folder, name), { to: "onnx:q8" });
  await exportModel(tiny, join(folder, "dense"), { to: "onnx:fp32" });
  mkdirSync(join(folder, "empty"));
  writeFileSync(join(folder, "file"), "");
  assert.deepEqual(
    (await findModels([folder])).map(({ name, dtypes, dtype }) => [name, dtypes, dtype]),
    [
      ["dense", ["fp32", "q8"], "q8"],
      ["a-pruned", ["q8"], "q8"],
    ],
  );
  assert.equal((await findModels([join(folder, "dense")])).length, 1);
  await assert.rejects(findModels([join(folder, "absent")]), /^PrunelabError: no such folder: .*absent; name one/);
  await assert.rejects(findModels([join(folder, "file")]), /not a folder: .*file;/);
  await assert.rejects(findModels([join(folder, "empty")]), /no model for transformers\.js: .*empty; write one with/);
});

/** Asks for a path as it is, without what `fetch` does to it. */
async function ask(url: string, path: string, options: { method?: string; headers?: Record<string, string> } = {}) {
  const { port } = new URL(url);
  const sent = request({ host: "127.0.0.1", port, path, ...options }).end();
  const [response] = await once(sent, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode as number, headers: response.headers, body: Buffer.concat(chunks) };
}

test("serves the page, the library and the models, and nothing else, to this machine", async (t) => {
  const { server, url } = await serveDemo(await findModels([folder]), 0);
  t.after(() => server.close());
  const page = await ask(url, "/");
  assert.match(page.body.toString(), /<title>Prunelab demo<\/title>/);
  assert.equal(page.headers["cross-origin-embedder-policy"], "require-corp");
  assert.match(String(page.headers["content-security-policy"]), /default-src 'none'.*connect-src 'self' blob:/);
  for (const path of [
    "/page.js",
    "/worker.js",
    "/page.css",
    "/library/transformers.min.js",
    "/runtime/ort-wasm-simd-threaded.wasm",
    "/runtime/ort-wasm-simd-threaded.mjs",
    "/models/0/config.json",
    "/models/1/onnx/model_quantized.onnx_data",
  ]) {
    const { status, headers, body } = await ask(url, path, { method: "HEAD" });
    assert.deepEqual([status, body.length], [200, 0], path);
    assert.ok(Number(headers["content-length"]) > 100, path);
  }
  const models = JSON.parse((await ask(url, "/models.json")).body.toString());
  assert.deepEqual(models[0], { id: "0", name: "dense", dtypes: ["fp32", "q8"], dtype: "q8" });
  for (const path of [
    "/models/0/../../file",
    "/models/0/onnx/..%2f..%2fconfig.json",
    "/models/2/config.json",
    "/models/0/onnx",
    "/models/0/absent.json",
    "/package.json",
    "//etc/passwd",
  ]) {
    assert.equal((await ask(url, path)).status, 404, path);
  }
  assert.equal((await ask(url, "/", { headers: { Host: "example.org" } })).status, 403);
  assert.equal((await ask(url, "/", { method: "POST" })).status, 405);
  const { etag } = (await ask(url, "/page.js")).headers;
  assert.equal((await ask(url, "/page.js", { headers: { "If-None-Match": String(etag) } })).status, 304);
});

test("a port in use is one sentence", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.after(() => other.close());
  const { port } = other.address() as { port: number };
  await assert.rejects(serveDemo([], port), new RegExp(`port is in use: ${port}; choose another with --port`));
  const command = (...words: string[]) =>
    spawnSync(process.execPath, ["--import", "tsx", "scripts/cli/prunelab.ts", "demo", ...words], { encoding: "utf8" });
  assert.match(command(join(folder, "absent")).stderr, /^prunelab: no such folder: .*absent; name one[^\n]*\n$/);
  assert.match(command().stderr, /^prunelab: which folder\?[^\n]*\n$/);
});
