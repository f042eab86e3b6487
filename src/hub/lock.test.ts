import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PrunelabError } from "../errors.ts";
import { type LockHolder, lockHolder, withLock } from "./lock.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-lock-"));
test.after(() => rm(folder, { recursive: true }));

/** Another process that runs `code`, with withLock, sleep, and readFile and writeFile in scope. */
function otherProcess(code: string): ChildProcess {
  const imports = `
    import { readFile, writeFile } from "node:fs/promises";
    import { setTimeout as sleep } from "node:timers/promises";
    import { withLock } from ${JSON.stringify(new URL("./lock.ts", import.meta.url).href)};`;
  return spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", imports + code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** The number of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  return child.pid!;
}

test("calls in one process run one after another, in order, and after a failure", async () => {
  const path = join(folder, "new", "folder", "queue");
  const order: string[] = [];
  const run = (name: string, fails = false) =>
    withLock(path, async () => {
      order.push(`${name} in`);
      await sleep(5);
      order.push(`${name} out`);
      if (fails) throw new Error(name);
      return name;
    });
  const results = await Promise.allSettled([run("a"), run("b", true), run("c")]);
  assert.deepEqual(order, ["a in", "a out", "b in", "b out", "c in", "c out"]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(await readdir(join(folder, "new", "folder")), []);
});

test("processes that all find a dead one's lock still go one at a time", async () => {
  const path = join(folder, "counter");
  await writeFile(path, "0");
  await writeFile(`${path}.lock`, JSON.stringify({ pid: await deadPid(), host: hostname(), taken: "1" }));
  const code = `
    for (let i = 0; i < 10; i++) {
      await withLock(${JSON.stringify(path)}, async () => {
        const count = Number(await readFile(${JSON.stringify(path)}, "utf8"));
        await sleep(2);
        await writeFile(${JSON.stringify(path)}, String(count + 1));
      });
    }`;
  const codes = await Promise.all(Array.from({ length: 3 }, async () => (await once(otherProcess(code), "exit"))[0]));
  assert.deepEqual(codes, [0, 0, 0]);
  assert.equal(await readFile(path, "utf8"), "30");
  assert.equal(existsSync(`${path}.lock`), false);
});

test("waits for another process, says so once, and takes over when that is killed", async () => {
  const path = join(folder, "killed");
  const other = otherProcess(
    `await withLock(${JSON.stringify(path)}, async () => { console.log("held"); await sleep(60_000); });`,
  );
  await once(other.stdout!, "data");
  assert.equal((await lockHolder(path))?.pid, other.pid);
  const waits: LockHolder[] = [];
  let entered = false;
  const mine = withLock(
    path,
    async () => {
      entered = true;
    },
    { onWait: (holder) => waits.push(holder) },
  );
  await sleep(350);
  assert.equal(entered, false);
  other.kill("SIGKILL");
  await mine;
  assert.equal(entered, true);
  assert.deepEqual(waits, [{ pid: other.pid, host: hostname() }]);
  assert.equal(await lockHolder(path), undefined);
});

test("a caller may refuse to wait", async () => {
  const path = join(folder, "refused");
  const refuse = () => {
    throw new PrunelabError("in use");
  };
  await withLock(path, async () => {
    await assert.rejects(
      withLock(path, async () => {}, { onWait: refuse }),
      /in use/,
    );
  });
  await withLock(path, async () => {}, { onWait: refuse });
});

test("a lock of another host, of a reused process number, or unreadable counts as abandoned once it shows no life", async () => {
  for (const text of [
    JSON.stringify({ pid: 1, host: "another-host", taken: "1" }),
    JSON.stringify({ pid: process.pid, host: hostname(), taken: "1" }),
    "",
    "{",
    "[]",
    JSON.stringify({ pid: -1, host: hostname() }),
  ]) {
    const path = join(folder, "abandoned");
    await writeFile(`${path}.lock`, text);
    let waited = 0;
    let entered = false;
    await withLock(
      path,
      async () => {
        entered = true;
      },
      { staleAfterMs: 150, onWait: () => waited++ },
    );
    assert.ok(entered, text);
    assert.equal(waited, 1, text);
  }
});

test("a holder that shows life keeps its lock, and one that lost it does not remove the next one's", async () => {
  const path = join(folder, "alive");
  const lockPath = `${path}.lock`;
  await withLock(path, async () => {
    const stolen = JSON.stringify({ pid: process.pid, host: hostname(), taken: "by another" });
    await writeFile(lockPath, stolen);
  });
  assert.match(await readFile(lockPath, "utf8"), /by another/);
  await rm(lockPath);

  await writeFile(lockPath, JSON.stringify({ pid: 1, host: "another-host", taken: "0" }));
  const life = setInterval(
    () => void writeFile(lockPath, JSON.stringify({ pid: 1, host: "another-host", taken: "0" })),
    20,
  );
  let entered = false;
  const mine = withLock(
    path,
    async () => {
      entered = true;
    },
    { staleAfterMs: 500 },
  );
  await sleep(900);
  assert.equal(entered, false);
  clearInterval(life);
  await mine;
});

test("a takeover that was itself killed does not block the next for ever", async () => {
  const path = join(folder, "takeover");
  await writeFile(`${path}.lock`, JSON.stringify({ pid: await deadPid(), host: hostname(), taken: "1" }));
  await writeFile(`${path}.lock.takeover`, "");
  const old = new Date(Date.now() - 60_000);
  await utimes(`${path}.lock.takeover`, old, old);
  await withLock(path, async () => {});
  assert.equal(existsSync(`${path}.lock.takeover`), false);
});

test("a folder that cannot be made is told in one sentence", async () => {
  await writeFile(join(folder, "file"), "");
  await assert.rejects(
    withLock(join(folder, "file", "x"), async () => {}),
    (error: unknown) =>
      error instanceof PrunelabError &&
      /^cannot write .*: a part of the path is a file|a file is in the way/.test(error.message),
  );
});
