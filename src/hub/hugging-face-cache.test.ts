import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { locateDataset } from "./dataset-source.ts";
import { type FakeHub, type ServedRepo, startHub } from "./hub-server.test-helper.ts";
import { locateModel } from "./model-source.ts";

const served: ServedRepo[] = [
  { name: "owner/model", revisions: { main: { "config.json": "new", "model.safetensors": "new" } } },
  {
    type: "dataset",
    name: "owner/set",
    revisions: { main: { "data/test-00000-of-00002.parquet": "new", "data/test-00001-of-00002.parquet": "new" } },
  },
];
const commit = "0123456789abcdef0123456789abcdef01234567";
const environment = { ...process.env };
let folder: string;
let hub: FakeHub;
test.beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "prunelab-hf-cache-"));
  hub = await startHub(served);
  process.env = {
    ...environment,
    PRUNELAB_CACHE: join(folder, "own"),
    HF_ENDPOINT: hub.url,
    HF_HOME: join(folder, "home"),
  };
  for (const name of [
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HUB_OFFLINE",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "PRUNELAB_REFRESH",
  ])
    delete process.env[name];
});
test.afterEach(async () => {
  process.env = { ...environment };
  await hub.close();
  await rm(folder, { recursive: true });
});

/** Files as huggingface_hub keeps them: a link in the commit's folder to the content in `blobs`. */
async function plant(
  repository: string,
  files: Record<string, string>,
  hubCache = join(folder, "home", "hub"),
): Promise<string> {
  const at = join(hubCache, repository);
  const snapshot = join(at, "snapshots", commit);
  await mkdir(join(at, "refs"), { recursive: true });
  await mkdir(join(at, "blobs"), { recursive: true });
  await writeFile(join(at, "refs", "main"), commit);
  for (const [index, [path, text]] of Object.entries(files).entries()) {
    const blob = join(at, "blobs", `content-${index}`);
    await writeFile(blob, text);
    await mkdir(dirname(join(snapshot, path)), { recursive: true });
    await symlink(blob, join(snapshot, path));
  }
  return snapshot;
}

const notices: string[] = [];
const locate = () => locateModel("owner/model", { onNotice: (line) => notices.push(line) });

test("a model that Python has downloaded is not downloaded again", async () => {
  const path = await plant("models--owner--model", { "config.json": "{}", "model.safetensors": "weights" });
  const found = await locate();
  assert.deepEqual([found.path, found.name], [path, "owner/model"]);
  assert.equal(notices.at(-1), "owner/model: Hugging Face's cache, owner/model, commit 0123456");
  assert.deepEqual(hub.requests, []);
  // The newest is the Hub's own.
  process.env.PRUNELAB_REFRESH = "1";
  assert.equal(await readFile(join((await locate()).path, "config.json"), "utf8"), "new");
  assert.ok(hub.requests.length > 0);
});

test("HF_HUB_CACHE names its folder", async () => {
  process.env.HF_HUB_CACHE = join(folder, "elsewhere");
  const path = await plant(
    "models--owner--model",
    { "config.json": "{}", "model.safetensors": "" },
    process.env.HF_HUB_CACHE,
  );
  assert.equal((await locate()).path, path);
});

test("a model of which something is missing comes from the Hub, and the cache is left as it is", async () => {
  const index = JSON.stringify({ weight_map: { a: "model-1.safetensors", b: "model-2.safetensors" } });
  const some: Record<string, string>[] = [
    { "config.json": "{}" },
    { "model.safetensors": "" },
    { "config.json": "{}", "model.safetensors.index.json": index, "model-1.safetensors": "" },
    { "config.json": "{}", "model.safetensors.index.json": "damaged" },
  ];
  for (const files of some) {
    const path = await plant("models--owner--model", files);
    assert.ok((await locate()).path.startsWith(join(folder, "own")), Object.keys(files).join());
    assert.deepEqual((await readdir(path)).sort(), Object.keys(files).sort());
    await rm(join(folder, "home"), { recursive: true });
  }
  const path = await plant("models--owner--model", {
    "config.json": "{}",
    "model.safetensors.index.json": index,
    "model-1.safetensors": "",
    "model-2.safetensors": "",
  });
  assert.equal((await locate()).path, path);
  // The link is there, its content is not.
  await rm(join(path, "..", "..", "blobs", "content-3"));
  assert.ok((await locate()).path.startsWith(join(folder, "own")));
});

test("a split that Python has downloaded whole is not downloaded again", async () => {
  const [first, second] = ["data/test-00000-of-00002.parquet", "data/test-00001-of-00002.parquet"] as const;
  await plant("datasets--owner--set", { [first]: "1" });
  const half = await locateDataset("owner/set", undefined, "test");
  assert.ok(half.files.every((file) => file.startsWith(join(folder, "own"))));
  await rm(join(folder, "home"), { recursive: true });
  const path = await plant("datasets--owner--set", { [first]: "1", [second]: "2" });
  const whole = await locateDataset("owner/set", undefined, "test");
  assert.deepEqual(whole.files, [join(path, first), join(path, second)]);
  assert.equal(whole.source, `${hub.url}/datasets/owner/set/tree/${commit}`);
});
