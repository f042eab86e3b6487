/** The server of `prunelab demo`: the page, transformers.js and ONNX Runtime from node_modules, and models, on loopback only. */
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { basename, dirname, extname, join, resolve } from "node:path";
import { packageRoot } from "../../src/base/package-root.ts";
import { PrunelabError } from "../../src/errors.ts";
import { type Dtype, dtypesIn } from "../../src/export/transformers-js.ts";

/** A pane of the page. */
export interface DemoModel {
  readonly name: string;
  readonly folder: string;
  /** The forms that the folder has. */
  readonly dtypes: readonly Dtype[];
  /** The one to begin with. */
  readonly dtype: Dtype;
}

// By their speed in WebAssembly.
const preferred: readonly Dtype[] = ["q8", "fp32", "fp16", "q4", "q4f16"];

/**
 * The models of folders: each is a model that `exportModel` wrote for transformers.js, or holds such folders, of which those named dense or base
 * come first.
 *
 * @throws PrunelabError where a folder has no such model.
 */
export async function findModels(folders: readonly string[]): Promise<DemoModel[]> {
  const found: DemoModel[] = [];
  for (const folder of folders) {
    const own = await modelIn(folder);
    const inside = own ? [own] : await modelsInside(folder);
    if (inside.length === 0) {
      throw new PrunelabError(
        `no model for transformers.js: ${folder}; write one with prunelab export --to onnx:q8 --output ${folder}`,
      );
    }
    found.push(...inside);
  }
  return found;
}

async function modelsInside(folder: string): Promise<DemoModel[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === "ENOENT" ? "no such folder" : error.code === "ENOTDIR" ? "not a folder" : error.message;
    throw new PrunelabError(`${why}: ${folder}; name one that prunelab export wrote`);
  });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const isFirst = (name: string) => Number(!/dense|base/i.test(name));
  names.sort((a, b) => isFirst(a) - isFirst(b) || a.localeCompare(b));
  return (await Promise.all(names.map((name) => modelIn(join(folder, name))))).filter((model) => model !== undefined);
}

async function modelIn(folder: string): Promise<DemoModel | undefined> {
  const dtypes = await dtypesIn(folder);
  const dtype = preferred.find((dtype) => dtypes.includes(dtype));
  if (!dtype || !(await stat(join(folder, "config.json")).catch(() => undefined))) return undefined;
  return { name: basename(resolve(folder)), folder: resolve(folder), dtypes, dtype };
}

/**
 * Starts the server on 127.0.0.1; port 0 takes a free one.
 *
 * @throws PrunelabError where the port is in use or not allowed.
 */
export async function serveDemo(models: readonly DemoModel[], port: number): Promise<{ server: Server; url: string }> {
  const find = fileFinder(models);
  const server = createServer((request, response) => {
    answer(request, response, models, find).catch(() => response.destroy());
  });
  await new Promise<void>((done, fail) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = { EADDRINUSE: "port is in use", EACCES: "port is not allowed" }[error.code ?? ""];
      fail(why ? new PrunelabError(`${why}: ${port}; choose another with --port, or 0 for any`) : error);
    });
    server.listen(port, "127.0.0.1", done);
  });
  return { server, url: `http://127.0.0.1:${(server.address() as { port: number }).port}/` };
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

const headers = {
  // Threads need an isolated page; and it can ask no other host, whatever runs on it.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self'; connect-src 'self' blob:; img-src data:",
  "X-Content-Type-Options": "nosniff",
};

async function answer(
  { method, url = "/", headers: { host = "", "if-none-match": known } }: IncomingMessage,
  response: ServerResponse,
  models: readonly DemoModel[],
  find: (path: string) => string | undefined,
): Promise<void> {
  const end = (status: number, body: string, type = "text/plain; charset=utf-8") => {
    response.writeHead(status, { ...headers, "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
    response.end(method === "HEAD" ? "" : body);
  };
  // A page of another host may have had its name pointed here.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host)) return end(403, "this server answers to 127.0.0.1 only\n");
  if (method !== "GET" && method !== "HEAD") return end(405, "only GET and HEAD\n");
  const path = new URL(url, "http://127.0.0.1").pathname;
  if (path === "/models.json") {
    const list = models.map(({ name, dtypes, dtype }, index) => ({ id: String(index), name, dtypes, dtype }));
    return end(200, JSON.stringify(list), types[".json"]);
  }
  const file = find(path);
  const found = file === undefined ? undefined : await stat(file).catch(() => undefined);
  if (!file || !found?.isFile()) return end(404, `not found: ${path}\n`);
  // The browser keeps what it compiled of the runtime; models it would only copy.
  const etag = `"${found.size}-${found.mtimeMs}"`;
  const caching = path.startsWith("/models/")
    ? { "Cache-Control": "no-store" }
    : { "Cache-Control": "no-cache", ETag: etag };
  if (known === etag) return void response.writeHead(304, { ...headers, ...caching }).end();
  response.writeHead(200, {
    ...headers,
    ...caching,
    "Content-Type": types[extname(file)] ?? "application/octet-stream",
    "Content-Length": found.size,
  });
  if (method === "HEAD") response.end();
  else
    createReadStream(file)
      .on("error", () => response.destroy())
      .pipe(response);
}

/** Which file is behind a path; undefined for all that the page does not need. */
function fileFinder(models: readonly DemoModel[]): (path: string) => string | undefined {
  const page = join(packageRoot(), "scripts", "demo");
  const fromHere = createRequire(import.meta.url);
  const transformers = fromHere.resolve("@huggingface/transformers");
  const runtime = dirname(createRequire(transformers).resolve("onnxruntime-web/webgpu"));
  const fixed = new Map([
    ["/", join(page, "index.html")],
    ...["page.css", "page.js", "worker.js"].map((name) => [`/${name}`, join(page, name)] as const),
    ["/library/transformers.min.js", join(dirname(transformers), "transformers.min.js")],
    ...["mjs", "wasm"].map((extension) => {
      const name = `ort-wasm-simd-threaded.${extension}`;
      return [`/runtime/${name}`, join(runtime, name)] as const;
    }),
  ]);
  return (path) => {
    const [, index, file] = /^\/models\/(\d+)\/((?:\w+\.json|onnx\/\w+\.onnx(?:_data)?))$/.exec(path) ?? [];
    const model = index === undefined ? undefined : models[Number(index)];
    return model ? join(model.folder, file!) : fixed.get(path);
  };
}
