import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PrunelabError } from "../errors.ts";
import { locateDataset } from "./dataset-source.ts";
import { commitOf, type FakeHub, type ServedRepo, startHub } from "./hub-server.test-helper.ts";
import { HubError } from "./request.ts";

const branch = "refs/convert/parquet";
const mmlu: ServedRepo = {
  type: "dataset",
  name: "cais/mmlu",
  revisions: {
    main: { "anatomy/test-00000-of-00001.parquet": "own", "virology/test-00000-of-00001.parquet": "own" },
    [branch]: {
      "anatomy/dev/0000.parquet": "anatomy dev",
      "anatomy/test/0001.parquet": "anatomy test 2",
      "anatomy/test/0000.parquet": "anatomy test 1",
      "virology/test/0000.parquet": "virology test",
      "virology/partial-train/0000.parquet": "some",
    },
  },
};
const single: ServedRepo = {
  type: "dataset",
  name: "owner/single",
  revisions: { main: { "README.md": "" }, [branch]: { "plain_text/train/0000.parquet": "single" } },
};
const unconverted: ServedRepo = {
  type: "dataset",
  name: "owner/unconverted",
  revisions: {
    main: {
      "data/validation-00001-of-00002.parquet": "b",
      "data/validation-00000-of-00002.parquet": "a",
      "script.py": "",
    },
  },
};

const environment = { ...process.env };
let folder: string;
let hub: FakeHub;
test.beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "prunelab-dataset-"));
  hub = await startHub([mmlu, single, unconverted]);
  process.env = { ...environment, PRUNELAB_CACHE: folder, HF_ENDPOINT: hub.url, HF_HOME: join(folder, "home") };
  for (const name of ["HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "PRUNELAB_REFRESH"]) delete process.env[name];
});
test.afterEach(async () => {
  process.env = { ...environment };
  await hub.close();
  await rm(folder, { recursive: true });
});

async function contents(path: string, name: string | undefined, split: string): Promise<string[]> {
  const { files } = await locateDataset(path, name, split);
  return await Promise.all(files.map((file) => readFile(file, "utf8")));
}

test("gives a split's parquet files in order, and where they are from", async () => {
  const { files, source } = await locateDataset("cais/mmlu", "anatomy", "test");
  assert.equal(source, `${hub.url}/datasets/cais/mmlu/tree/${commitOf(mmlu, branch)}`);
  const at = join(folder, "datasets", "cais--mmlu", commitOf(mmlu, branch), "anatomy", "test");
  assert.deepEqual(files, [join(at, "0000.parquet"), join(at, "0001.parquet")]);
  assert.deepEqual(await contents("cais/mmlu", "anatomy", "test"), ["anatomy test 1", "anatomy test 2"]);
  assert.deepEqual(await contents("cais/mmlu", "anatomy", "dev"), ["anatomy dev"]);
  assert.deepEqual(await contents("owner/single", undefined, "train"), ["single"]);
  assert.deepEqual(await contents("owner/unconverted", undefined, "validation"), ["a", "b"]);
});

test("asks for the list once, whatever the number of subjects, and nothing when all is cached", async () => {
  const ask = () =>
    Promise.all(["anatomy", "virology"].flatMap((name) => [1, 2].map(() => locateDataset("cais/mmlu", name, "test"))));
  const first = await ask();
  assert.equal(hub.requests.filter((line) => line.includes("/revision/")).length, 1);
  assert.equal(hub.requests.filter((line) => line.includes("/resolve/")).length, 3);
  const asked = hub.requests.length;
  process.env.HF_HUB_OFFLINE = "1";
  assert.deepEqual(await ask(), first);
  assert.equal(hub.requests.length, asked);
});

test("says what there is where a split or configuration is not", async () => {
  await assert.rejects(
    locateDataset("cais/mmlu", "astrology", "test"),
    /^PrunelabError: no parquet files of astrology\/test in data set cais\/mmlu; it has anatomy\/dev, anatomy\/test, virology\/partial-train, virology\/test$/,
  );
  // Only a part of the split was converted.
  await assert.rejects(locateDataset("cais/mmlu", "virology", "train"), PrunelabError);
  await assert.rejects(
    locateDataset("cais/mmlu", undefined, "test"),
    /^PrunelabError: no parquet files of test in data set cais\/mmlu/,
  );
  await assert.rejects(
    locateDataset("owner/nothing", undefined, "test"),
    /^PrunelabError: no such data set on the Hub, or it is private: owner\/nothing; /,
  );
});

test("nobody there", async () => {
  await hub.close();
  const error = await locateDataset("cais/mmlu", "anatomy", "test").catch((thrown: unknown) => thrown);
  assert.ok(error instanceof HubError && error.failure === "unreachable");
});
