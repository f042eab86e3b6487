import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import type { Progress } from "../progress.ts";
import { type FakeHub, startHub } from "./hub-server.test-helper.ts";
import { type PushOptions, pushModel, pushResults } from "./push.ts";
import { pushFetch } from "./push-request.ts";
import { HubError } from "./request.ts";

const weights = Buffer.from(Uint32Array.from({ length: 50_000 }, (_, i) => Math.imul(i, 2_654_435_761)).buffer);
const other = Buffer.from(Uint32Array.from({ length: 1_000 }, (_, i) => i).buffer);
const contents: Readonly<Record<string, string | Buffer>> = {
  ...{ "config.json": "{}", "README.md": "---\n---\n", ".eval_results/a.yaml": "- 1\n", "empty.txt": "" },
  ...{ "model.safetensors": weights, "onnx/a file+é.onnx": other },
};
const hidden = {
  ".env": "HF_TOKEN=x",
  "training/state.json": "{}",
  "model.safetensors.1-1.tmp": "x",
  ".git/config": "x",
};

const environment = { ...process.env };
let folder: string;
let model: string;
let hub: FakeHub;
test.beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "prunelab-push-"));
  model = join(folder, "model");
  hub = await startHub([]);
  await write(model, { ...contents, ...hidden });
  process.env = { ...environment, HF_ENDPOINT: hub.url, HF_HOME: join(folder, "home"), HF_TOKEN: "hf_good" };
  for (const name of ["HF_TOKEN_PATH", "HF_HUB_OFFLINE"]) delete process.env[name];
});
test.afterEach(async () => {
  process.env = { ...environment };
  await hub.close();
  await rm(folder, { recursive: true });
});

async function write(place: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(place, name)), { recursive: true });
    await writeFile(join(place, name), content);
  }
}

const repo = () => hub.uploads.written.get("model/me/pruned");
const puts = () => hub.requests.filter((line) => line.startsWith("PUT")).length;

/** The push fails with this sentence, which holds neither the token nor a signature, and nothing is committed. */
async function refuses(message: RegExp, name = "me/pruned", options: PushOptions = {}): Promise<void> {
  await assert.rejects(pushModel(model, name, { retryWaitMs: 1, ...options }), (error: Error) => {
    assert.match(`${error.name}: ${error.message}`, message);
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
      assert.doesNotMatch(`${cause.message} ${cause.stack}`, /hf_good|hf_wrong|signature/);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
  assert.equal(repo()?.files.size ?? 0, 0);
}

test("a model's folder arrives whole, as one commit of a private repository, with its progress", async () => {
  const seen: Progress[] = [];
  const { commit, summary, url } = await pushModel(model, "me/pruned", {
    onProgress: (progress) => seen.push(progress),
  });
  assert.deepEqual([...repo()!.files.keys()].sort(), Object.keys(contents).sort());
  for (const [path, content] of Object.entries(contents))
    assert.deepEqual(repo()!.files.get(path), Buffer.from(content), path);
  assert.deepEqual([repo()!.isPrivate, repo()!.titles], [true, ["Upload with Prunelab"]]);
  assert.deepEqual([commit, url], ["c0ffee".padEnd(40, "0"), `${hub.url}/me/pruned`]);
  assert.match(summary, /^6 files, 0\.2 MB, pushed to .*\/me\/pruned, private, commit c0ffee0$/);
  const { total } = seen.at(-1)!;
  assert.equal(
    total,
    Object.values(contents).reduce((sum, content) => sum + Buffer.byteLength(content), 0),
  );
  assert.ok(seen.every(({ done, step }) => done <= total && step === "push to me/pruned"));
  assert.ok(
    seen.some(({ done }) => done > 0 && done < total),
    "progress within a file",
  );
  assert.equal(seen.at(-1)!.done, total);
});

test("a second push sends only what is new, and a public one is asked for by name", async () => {
  await pushModel(model, "me/pruned");
  const before = puts();
  await writeFile(join(model, "config.json"), '{"new": 1}');
  await pushModel(model, "me/pruned", { title: "Again" });
  assert.equal(puts(), before);
  assert.equal(String(repo()!.files.get("config.json")), '{"new": 1}');
  assert.deepEqual(repo()!.titles, ["Upload with Prunelab", "Again"]);
  await pushModel(model, "me/open", { isPublic: true });
  assert.equal(hub.uploads.written.get("model/me/open")!.isPrivate, false);
  await assert.rejects(
    pushModel(model, "me/open"),
    /^PrunelabError: me\/open is there already, and public; push with --public/,
  );
  await pushModel(model, "me/open", { isPublic: true });
});

test("a large file goes in parts, and a part that breaks is sent again", async () => {
  hub.faults.partBytes = 30_000;
  const failed = new Set<string>();
  hub.faults.onWrite = (line) => {
    if (!/\/store\/\w+\/[35]$/.test(line) || failed.has(line)) return undefined;
    failed.add(line);
    return line.endsWith("3") ? "cut" : 503;
  };
  await pushModel(model, "me/pruned", { retryWaitMs: 1 });
  assert.equal(failed.size, 2);
  assert.deepEqual(repo()!.files.get("model.safetensors"), weights);
});

test("what breaks in the middle is told in a sentence, and a second push goes on", async () => {
  const faults: [RegExp, number | "cut", RegExp][] = [
    [
      /^PUT \/store/,
      "cut",
      /^PrunelabError: the connection broke while sending (model\.safetensors|onnx\/a file\+é\.onnx) of me\/pruned: .*; push again: what has arrived is not sent a second time$/,
    ],
    [
      /^PUT \/store/,
      500,
      /^PrunelabError: the Hub answered 500 while (model\.safetensors|onnx\/a file\+é\.onnx) of me\/pruned was sent \(told to fail.*\); push again/,
    ],
    [/^PUT \/store/, 403, /^PrunelabError: the Hub refused .* of me\/pruned with 403 \(told to fail.*\); push again/],
    [/preupload/, 502, /^PrunelabError: the Hub answered 502 while me\/pruned was sent/],
    [/lfs\/objects\/batch/, 413, /^PrunelabError: the Hub refused me\/pruned with 413/],
    [/commit/, 500, /^PrunelabError: the Hub answered 500 while me\/pruned was sent/],
    [
      /commit/,
      403,
      /^PrunelabError: the token may not write to me\/pruned \(told to fail, hf_…\); take one with write access from .*\/settings\/tokens/,
    ],
    [
      /commit/,
      401,
      /^PrunelabError: the Hub does not accept the token \(told to fail, hf_…\): me\/pruned; renew HF_TOKEN/,
    ],
    [/repos\/create/, "cut", /^PrunelabError: the connection broke while sending me\/pruned: /],
  ];
  for (const [where, fault, message] of faults) {
    hub.faults.onWrite = (line) => (where.test(line) ? fault : undefined);
    await refuses(message);
  }
  // What had arrived before the commit failed is not sent again.
  const before = puts();
  hub.faults.onWrite = undefined;
  await pushModel(model, "me/pruned");
  assert.deepEqual([puts(), repo()!.files.size], [before, 6]);
});

test("a wrong or missing token, a foreign name, a folder without a model are told before anything is made", async () => {
  await refuses(
    /^PrunelabError: the token may not write to them\/pruned \(You don't have the rights .*\); take one/,
    "them/pruned",
  );
  process.env.HF_TOKEN = "hf_wrong_token";
  await refuses(
    /^PrunelabError: the Hub does not accept the token \(Invalid credentials in Authorization header\): me\/pruned; renew/,
  );
  process.env.HF_TOKEN = "nonsense";
  await refuses(/^PrunelabError: not an access token of the Hub \(hf_…\): the value of HF_TOKEN; correct/);
  delete process.env.HF_TOKEN;
  await refuses(/^PrunelabError: no token to push me\/pruned with; set HF_TOKEN to one with write access/);
  process.env.HF_TOKEN = "hf_good";
  await refuses(/^PrunelabError: no owner in the repository's name: pruned; push to owner\/name/, "pruned");
  await refuses(/^PrunelabError: not a model's id on the Hub \(owner\/name\): a b/, "a b");
  await refuses(/^PrunelabError: not pushed, as you said: /, "me/pruned", {
    confirm: ({ isPublic, files }) => isPublic || files.length !== 6,
  });
  process.env.HF_HUB_OFFLINE = "1";
  await refuses(/^PrunelabError: HF_HUB_OFFLINE is set, so me\/pruned is not pushed/);
  delete process.env.HF_HUB_OFFLINE;
  model = join(folder, "home");
  await refuses(/^PrunelabError: cannot read .*home: there is no such file/);
  await mkdir(model);
  await refuses(/^PrunelabError: no model to push in .*home: neither config\.json nor a \.gguf file/);
  await symlink(join(folder, "nowhere"), join(model, "config.json"));
  await refuses(/^PrunelabError: cannot read .*config\.json: there is no such file/);
  assert.equal(hub.uploads.written.size, 0);
  process.env.HF_ENDPOINT = "http://127.0.0.1:9";
  model = join(folder, "model");
  await refuses(/^PrunelabError: the connection broke while sending me\/pruned: .*ECONNREFUSED|bad port/);
});

test("a connection on which nothing moves counts as broken", async () => {
  const silent = pushFetch({ name: "me/x", token: "hf_good", silenceMs: 50, retryWaitMs: 1 });
  hub.faults.onWrite = () => undefined;
  const hang = new Blob([new Uint8Array(10)]);
  hang.stream = () => new ReadableStream() as ReturnType<Blob["stream"]>;
  await assert.rejects(silent(`${hub.url}/store/x?signature=secret`, { method: "PUT", body: hang }), (error: Error) => {
    assert.ok(error instanceof HubError);
    assert.match(error.message, /^the connection broke while sending me\/x: nothing moved for 0\.05 s/);
    return true;
  });
});

test("results and samples become a data set whose card names each task's samples", async () => {
  const results = join(folder, "results");
  const date = "2026-12-01T01-02-03.000000";
  await write(results, {
    ...{ [`a__b/results_${date}.json`]: "{}", [`a__b/samples_mmlu_x_${date}.jsonl`]: "{}\n" },
    ...{ "models/m/model.safetensors": weights, "run.json": "{}", "report.md": "# R\n" },
  });
  await pushResults(results, "me/scores");
  const { files, isPrivate } = hub.uploads.written.get("dataset/me/scores")!;
  assert.equal(isPrivate, true);
  assert.deepEqual([...files.keys()].sort(), [
    "README.md",
    `a__b/results_${date}.json`,
    `a__b/samples_mmlu_x_${date}.jsonl`,
    "report.md",
  ]);
  assert.match(
    String(files.get("README.md")),
    /\nconfigs: \[\{"config_name":"mmlu_x","data_files":\["a__b\/samples_mmlu_x_/,
  );
  await assert.rejects(
    pushResults(model, "me/scores"),
    /^PrunelabError: no results to push in .*model: no results_\*\.json/,
  );
});
