import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { PrunelabError } from "../errors.ts";
import type { Progress } from "../progress.ts";
import { downloadFile } from "./download.ts";
import { fetchFiles, snapshotFolder } from "./hub.ts";
import { commitOf, type FakeHub, type ServedRepo, startHub } from "./hub-server.test-helper.ts";
import { type HubOptions, hubRepo } from "./repository.ts";
import { HubError, hubFetch } from "./request.ts";
import { openSnapshot } from "./snapshot.ts";

/** Bytes that repeat nowhere near, so that a piece in the wrong place shows. */
const weights = Buffer.from(Uint32Array.from({ length: 250_000 }, (_, i) => Math.imul(i, 2_654_435_761)).buffer);
const open: ServedRepo = {
  name: "owner/open",
  revisions: {
    main: { "config.json": '{"a": 1}', "empty.txt": "", "folder/a file+é.txt": "x", "model.safetensors": weights },
    "refs/pr/1": { "config.json": '{"a": 2}' },
  },
};
const gated: ServedRepo = { name: "owner/gated", isGated: true, revisions: { main: { "config.json": "{}" } } };

const environment = { ...process.env };
let folder: string;
let hub: FakeHub;
test.beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "prunelab-hub-"));
  hub = await startHub([open, gated]);
  process.env = { ...environment, PRUNELAB_CACHE: folder, HF_ENDPOINT: `${hub.url}/`, HF_HOME: join(folder, "home") };
  for (const name of ["HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "PRUNELAB_REFRESH"]) delete process.env[name];
});
test.afterEach(async () => {
  process.env = { ...environment };
  await hub.close();
  await rm(folder, { recursive: true });
});

async function get(name: string, paths: string[], options: HubOptions = {}, revision?: string): Promise<Buffer[]> {
  const snapshot = await openSnapshot(hubRepo("model", name, revision), options);
  return await Promise.all((await fetchFiles(snapshot, paths, options)).map((path) => readFile(path)));
}

function weightsPath(): string {
  return join(folder, "models", "owner--open", commitOf(open), "model.safetensors");
}

/** The requests for the content of the large file, as the ranges they asked for. */
function ranges(): string[] {
  return hub.requests.filter((line) => line.includes("/cdn/")).map((line) => line.split(" ")[2] ?? "all");
}

test("downloads files at the revision's commit, and asks nothing when they are there", async () => {
  const steps: Progress[] = [];
  const paths = ["config.json", "empty.txt", "folder/a file+é.txt", "model.safetensors"];
  const files = await get("owner/open", paths, { onProgress: (progress) => steps.push(progress) });
  assert.deepEqual(files.map(String).slice(0, 3), ['{"a": 1}', "", "x"]);
  assert.ok(files[3]!.equals(weights));
  assert.deepEqual(steps.at(-1), {
    step: "download model.safetensors",
    done: weights.length,
    total: weights.length,
    unit: "bytes",
  });
  assert.deepEqual(ranges(), ["all"]);
  const asked = hub.requests.length;
  assert.ok((await get("owner/open", paths))[3]!.equals(weights));
  process.env.HF_HUB_OFFLINE = "1";
  await get("owner/open", paths);
  assert.equal(hub.requests.length, asked);
  assert.deepEqual(await readdir(join(folder, "models")), ["owner--open"]);
});

test("another revision lies beside, and may hold a slash", async () => {
  assert.deepEqual((await get("owner/open", ["config.json"], {}, "refs/pr/1")).map(String), ['{"a": 2}']);
  assert.deepEqual((await get("owner/open", ["config.json"])).map(String), ['{"a": 1}']);
  assert.deepEqual((await get("owner/open", ["config.json"], {}, commitOf(open, "refs/pr/1"))).map(String), [
    '{"a": 2}',
  ]);
});

test("PRUNELAB_REFRESH asks again, and takes what is cached when nobody answers", async () => {
  await get("owner/open", ["config.json"]);
  process.env.PRUNELAB_REFRESH = "1";
  const asked = hub.requests.length;
  await get("owner/open", ["config.json"]);
  assert.ok(hub.requests.length > asked);
  await hub.close();
  const notices: string[] = [];
  assert.equal(
    String((await get("owner/open", ["config.json"], { onNotice: (line) => notices.push(line) }))[0]),
    '{"a": 1}',
  );
  assert.equal(notices.length, 1);
  assert.match(
    notices[0]!,
    /^taking owner\/open from the cache, commit \w{7}: cannot reach 127\.0\.0\.1:\d+: .*ECONNREFUSED/,
  );
});

test("goes on where the connection was cut, and where an earlier run stopped", async () => {
  hub.faults.cuts = [300_000, 0, 300_000];
  hub.faults.slowsBy = 20;
  assert.ok((await get("owner/open", ["model.safetensors"]))[0]!.equals(weights));
  // Of what was under way when the connection broke, some may be lost.
  const starts = ranges().map((range) => Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? 0));
  assert.equal(starts.length, 4);
  assert.ok(starts[1]! > 0 && starts[2] === starts[1] && starts[3]! > starts[2]!, String(starts));

  hub.faults.slowsBy = 0;
  await rm(weightsPath());
  await writeFile(`${weightsPath()}.partial`, weights.subarray(0, 12_345));
  hub.requests.length = 0;
  const done: number[] = [];
  await get("owner/open", ["model.safetensors"], { onProgress: (progress) => done.push(progress.done) });
  assert.deepEqual(ranges(), ["bytes=12345-"]);
  assert.equal(done[0], 12_345);
});

test("any sequence of cuts gives the whole file", async (t) => {
  const content = weights.subarray(0, 200_000);
  const served: ServedRepo = { name: "owner/cut", revisions: { main: { file: content } } };
  const own = await startHub([served]);
  t.after(() => own.close());
  process.env.HF_ENDPOINT = own.url;
  const { files } = await openSnapshot(hubRepo("model", "owner/cut"));
  const repo = { type: "model", name: served.name, revision: "main" } as const;
  const url = `${own.url}/owner/cut/resolve/${commitOf(served)}/file`;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 90_000 }), { maxLength: 3 }),
      fc.option(fc.integer({ min: 0, max: 250_000 })),
      fc.boolean(),
      async (cuts, before, ignoresRange) => {
        own.faults.cuts = [...cuts];
        own.faults.ignoresRange = ignoresRange;
        const path = join(folder, "cut");
        // What lies there may be too long, or not of this file at all.
        if (before !== null) await writeFile(`${path}.partial`, Buffer.alloc(before, 7));
        await downloadFile(url, path, content.length, files[0]!.checksum, { fetch: hubFetch(repo), retryWaitMs: 1 });
        assert.ok((await readFile(path)).equals(content));
        assert.equal(existsSync(`${path}.partial`), false);
        await rm(path);
      },
    ),
    { numRuns: 40 },
  );
});

test("a wrong checksum is an error, and the file is removed", async () => {
  hub.faults.corrupts = true;
  for (const path of ["model.safetensors", "config.json"]) {
    await assert.rejects(
      get("owner/open", [path]),
      (error: unknown) =>
        error instanceof PrunelabError &&
        /^wrong checksum of .*: it is \w+, the Hub says \w+; the file was removed/.test(error.message),
    );
  }
  assert.deepEqual(await readdir(dirname(weightsPath())), []);
  hub.faults.corrupts = false;
  assert.ok((await get("owner/open", ["model.safetensors"]))[0]!.equals(weights));
});

test("a partial file that is damaged is thrown away once", async () => {
  await mkdir(dirname(weightsPath()), { recursive: true });
  await writeFile(`${weightsPath()}.partial`, Buffer.alloc(500_000));
  assert.ok((await get("owner/open", ["model.safetensors"]))[0]!.equals(weights));
  assert.deepEqual(ranges(), ["bytes=500000-", "all"]);
});

test("a file that was changed in the cache is fetched again", async () => {
  await get("owner/open", ["model.safetensors"]);
  await writeFile(weightsPath(), "changed");
  assert.ok((await get("owner/open", ["model.safetensors"]))[0]!.equals(weights));
});

test("passing failures of the server are tried again; lasting ones are told", async () => {
  hub.faults.statuses = [503];
  assert.equal(String((await get("owner/open", ["config.json"]))[0]), '{"a": 1}');
  hub.faults.statuses = [500, 502, 504];
  const fetchOfRepo = hubFetch({ type: "model", name: "owner/open", revision: "main" }, { retryWaitMs: 1 });
  await assert.rejects(fetchOfRepo(hub.url), (error: unknown) => {
    assert.ok(error instanceof HubError);
    assert.equal(error.failure, "failed");
    assert.equal(error.message, "the Hub answered 504 for owner/open; try again later");
    return true;
  });
  assert.deepEqual(hub.faults.statuses, []);
});

test("a connection that gives nothing more is given up, and what came is kept", async () => {
  hub.faults.stallsAfter = 100_000;
  const { files } = await openSnapshot(hubRepo("model", "owner/open"));
  const { checksum, size } = files.find(({ path }) => path === "model.safetensors")!;
  const url = `${hub.url}/owner/open/resolve/${commitOf(open)}/model.safetensors`;
  const options = {
    fetch: hubFetch({ type: "model", name: "owner/open", revision: "main" }),
    idleMs: 50,
    retryWaitMs: 1,
  };
  const path = join(folder, "stalled");
  const download = downloadFile(url, path, size, checksum, options);
  // Each try gets a little further; let two succeed at that.
  while (ranges().length < 3) await sleep(10);
  hub.faults.stallsAfter = 0;
  await assert.rejects(
    download,
    /^PrunelabError: the download of .* was cut off: nothing came for 0\.05 s; \d+ of 1000000 bytes are kept, run again to go on$/,
  );
  const kept = (await stat(`${path}.partial`)).size;
  assert.ok(kept >= 200_000, String(kept));
  hub.faults.stallsAfter = undefined;
  await downloadFile(url, path, size, checksum, options);
  assert.ok((await readFile(path)).equals(weights));
});

test("says what is gated, missing, or no longer let in", async () => {
  const failure = async (work: Promise<unknown>) => {
    const error = await work.then(
      () => assert.fail("it worked"),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof HubError, String(error));
    return [error.failure, error.message.replace(hub.url, "HUB")];
  };
  assert.deepEqual(await failure(get("owner/gated", ["config.json"])), [
    "denied",
    "owner/gated is gated and there is no token; accept its terms at HUB/owner/gated and set HF_TOKEN",
  ]);
  process.env.HF_TOKEN = "hf_other";
  assert.deepEqual(await failure(get("owner/gated", ["config.json"])), [
    "denied",
    "owner/gated is gated and the token has no access to it; ask for access at HUB/owner/gated",
  ]);
  assert.deepEqual(await failure(get("owner/nothing", [])), [
    "missing",
    "no such model on the Hub, or it is private: owner/nothing; check the id",
  ]);
  process.env.HF_TOKEN = "hf_expired";
  assert.deepEqual(await failure(get("owner/open", [])), [
    "denied",
    "the Hub does not accept the token; renew HF_TOKEN or log in again: owner/open",
  ]);
  assert.equal(String((await get("owner/open", ["config.json"], { isAnonymous: true }))[0]), '{"a": 1}');
  delete process.env.HF_TOKEN;
  assert.deepEqual(await failure(get("owner/nothing", [])), [
    "missing",
    "no such model on the Hub, or it is private: owner/nothing; check the id, or set HF_TOKEN",
  ]);
  assert.deepEqual(await failure(get("owner/open", [], {}, "v9")), [
    "missing",
    "no such revision of owner/open: v9; HUB/owner/open lists its branches and tags",
  ]);
  process.env.HF_HUB_OFFLINE = "yes";
  assert.deepEqual(await failure(get("owner/other", [])), [
    "offline",
    "HF_HUB_OFFLINE is set and owner/other is not in the cache",
  ]);
  assert.deepEqual(await failure(get("owner/open", ["model.safetensors"])), [
    "offline",
    "HF_HUB_OFFLINE is set and owner/open is not in the cache",
  ]);
});

test("the token comes from HF_TOKEN or a token file, and stays with the Hub", async () => {
  await mkdir(process.env.HF_HOME!, { recursive: true });
  await writeFile(join(process.env.HF_HOME!, "token"), "hf_good\n");
  assert.equal(String((await get("owner/gated", ["config.json"]))[0]), "{}");
  await writeFile(join(folder, "elsewhere"), "hf_other");
  process.env.HF_TOKEN_PATH = join(folder, "elsewhere");
  await get("owner/open", ["model.safetensors"]);
  process.env.HF_TOKEN = " hf_good ";
  await get("owner/open", ["config.json"]);
  const tokensOf = (part: string) =>
    hub.requests.filter((line) => line.includes(part)).map((line) => / (hf_\w+)$/.exec(line)?.[1]);
  assert.deepEqual(new Set(tokensOf("/owner/gated/")), new Set(["hf_good"]));
  assert.deepEqual(tokensOf("/api/models/owner/open/revision/"), ["hf_other"]);
  assert.deepEqual(tokensOf("/config.json"), ["hf_good", "hf_good"]);
  assert.deepEqual(tokensOf("/cdn/"), [undefined]);
});

test("settings that make no sense are told", async () => {
  process.env.HF_TOKEN = "secret";
  await assert.rejects(get("owner/open", []), (error: unknown) => {
    assert.ok(error instanceof PrunelabError);
    assert.equal(error.message, "not an access token of the Hub (hf_…): the value of HF_TOKEN; correct or remove it");
    return true;
  });
  process.env.HF_ENDPOINT = "hub.example";
  await assert.rejects(
    get("owner/open", []),
    /HF_ENDPOINT is not an http or https address: hub\.example; correct or unset it/,
  );
  for (const name of ["a/b/c", "../b", "a/..", "a b/c", "", "a/b?x", "a--b/c"])
    assert.throws(() => hubRepo("model", name), /^PrunelabError: not a model's id on the Hub/, name);
});

test("a host that does not answer is asked once", async () => {
  await hub.close();
  const first = await openSnapshot(hubRepo("model", "owner/a")).catch((error: unknown) => error);
  const second = await openSnapshot(hubRepo("dataset", "owner/b")).catch((error: unknown) => error);
  assert.ok(first instanceof HubError && first.failure === "unreachable");
  assert.match(first.message, /^cannot reach 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
  assert.equal(second, first);
});

test("an answer that is not the Hub's is told", async (t) => {
  for (const body of ["<html>sign in to the hotel's network</html>", '{"sha": "../../etc"}', "{}", "[]", "null"]) {
    const portal = createServer((_, response) => response.end(body));
    t.after(() => portal.close());
    await new Promise<void>((listening) => portal.listen(0, "127.0.0.1", listening));
    process.env.HF_ENDPOINT = `http://127.0.0.1:${(portal.address() as { port: number }).port}`;
    await assert.rejects(
      openSnapshot(hubRepo("model", "owner/open")),
      (error: unknown) => error instanceof HubError && error.failure === "failed",
      body,
    );
  }
});

test("names that would leave the cache are refused", async (t) => {
  for (const path of ["../x", "a/../../x", "/etc/passwd", "a//b", "C:\\x", "a\\..\\x", ".", ""]) {
    const repo: ServedRepo = { name: "owner/evil", revisions: { main: { [path]: "x" } } };
    const own = await startHub([repo]);
    t.after(() => own.close());
    process.env.HF_ENDPOINT = own.url;
    await assert.rejects(get("owner/evil", [path]), /^PrunelabError: unsafe file name in owner\/evil: /, path);
    await rm(join(folder, "models"), { recursive: true });
  }
  process.env.HF_ENDPOINT = hub.url;
  await assert.rejects(
    get("owner/open", ["other.json"]),
    /^PrunelabError: no such file in owner\/open at commit \w{7}: other\.json$/,
  );
});

test("a damaged list in the cache is asked for again", async () => {
  await get("owner/open", ["config.json"]);
  for (const text of ["", "{", "null", '{"commit": "../..", "files": []}', '{"commit": "x"}', '{"files": [{}]}']) {
    await writeFile(join(folder, "models", "owner--open", "refs", "main.json"), text);
    assert.equal(String((await get("owner/open", ["config.json"]))[0]), '{"a": 1}', text);
  }
});

test("a full disk, and one that is about to be", {
  skip: process.platform !== "linux" && "needs /dev/full",
}, async () => {
  const snapshot = await openSnapshot(hubRepo("model", "owner/open"));
  await mkdir(snapshotFolder(snapshot), { recursive: true });
  await symlink("/dev/full", `${weightsPath()}.partial`);
  await assert.rejects(
    fetchFiles(snapshot, ["model.safetensors"]),
    (error: unknown) =>
      error instanceof PrunelabError &&
      error.message === `cannot write ${weightsPath()}: the disk is full; free some space and run again`,
  );
  assert.equal(existsSync(weightsPath()), false);

  hub.faults.sizes = { "model.safetensors": 1e15 };
  process.env.PRUNELAB_REFRESH = "1";
  await assert.rejects(
    get("owner/open", ["model.safetensors"]),
    /^PrunelabError: not enough disk space for owner\/open: needs 1000000000 MB, .* has \d+ MB; free some or set PRUNELAB_CACHE$/,
  );
});

test("sizes that are not the announced ones are noticed", async () => {
  hub.faults.sizes = { "model.safetensors": 999_999 };
  await assert.rejects(get("owner/open", ["model.safetensors"]), /sent more than the 999999 bytes it announced/);
  assert.equal(existsSync(weightsPath()), false);
  const repo = { type: "model", name: "owner/open", revision: "main" } as const;
  const url = `${hub.url}/owner/open/resolve/${commitOf(open)}/config.json`;
  const options = { fetch: hubFetch(repo), retryWaitMs: 1 };
  await assert.rejects(
    downloadFile(url, join(folder, "short"), 9, { kind: "sha256", value: "" }, options),
    /^PrunelabError: the Hub answered 416 for owner\/open; try again later; 8 of 9 bytes are kept, run again to go on$/,
  );
});

/** Another process that gets the weights into the same cache. */
function otherProcess() {
  const code = `
    import { fetchFiles } from ${JSON.stringify(new URL("./hub.ts", import.meta.url).href)};
    import { hubRepo } from ${JSON.stringify(new URL("./repository.ts", import.meta.url).href)};
    import { openSnapshot } from ${JSON.stringify(new URL("./snapshot.ts", import.meta.url).href)};
    const options = { onNotice: (line) => console.log(line) };
    await fetchFiles(await openSnapshot(hubRepo("model", "owner/open"), options), ["model.safetensors"], options);`;
  return spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

test("a run that was killed is gone on with", async () => {
  hub.faults.slowsBy = 60;
  for (const signal of ["SIGKILL", "SIGINT"] as const) {
    const killed = otherProcess();
    const partial = `${weightsPath()}.partial`;
    while (!existsSync(partial) || (await stat(partial)).size < 200_000) await sleep(5);
    killed.kill(signal);
    await once(killed, "exit");
    assert.equal(existsSync(weightsPath()), false);
    const kept = (await stat(partial)).size;
    hub.requests.length = 0;
    assert.ok((await get("owner/open", ["model.safetensors"]))[0]!.equals(weights));
    assert.deepEqual(ranges(), [`bytes=${kept}-`]);
    await rm(weightsPath());
  }
});

test("two runs at once download once", async () => {
  hub.faults.slowsBy = 60;
  const runs = [otherProcess(), otherProcess()];
  let said = "";
  for (const run of runs) run.stdout.on("data", (chunk: Buffer) => (said += chunk));
  const codes = await Promise.all(runs.map(async (run) => (await once(run, "close"))[0]));
  assert.deepEqual(codes, [0, 0]);
  assert.deepEqual(ranges(), ["all"]);
  assert.match(said, /^waiting for process \d+, which is getting owner\/open$/m);
  assert.ok((await readFile(weightsPath())).equals(weights));
});
