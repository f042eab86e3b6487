/** The engines for real: Redis, PostgreSQL and Slurm on loopback, started and stopped here. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { hostname, tmpdir, userInfo } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { writeCollection } from "../../src/sweep/collect.ts";
import { readPlan } from "../../src/sweep/plan.ts";

const command = resolve("dist/scripts/cli/prunelab.js");
const folder = await mkdtemp(join(tmpdir(), "prunelab-sweep-command-"));
const env = { ...process.env, PRUNELAB_CACHE: join(folder, "cache"), PRUNELAB_THREADS: "1" };
const plan = join(folder, "plan.jsonl");
const alone = join(folder, "alone");
after(() => rm(folder, { recursive: true, force: true }));

function sweep(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [command, "sweep", ...args], { encoding: "utf8", env, cwd: folder });
}

interface Line {
  readonly id: string;
  readonly rows: unknown;
  readonly digest: string;
  readonly unit: unknown;
}

/** Everything in the results but times and hosts. */
function resultsIn(place: string): Line[] {
  return readdirSync(join(place, "results"))
    .filter((name) => /^u[0-9a-f]{24}\.json$/.test(name))
    .sort()
    .map((name) => {
      const { id, rows, digest, unit, sparsity, files, exports } = JSON.parse(
        readFileSync(join(place, "results", name), "utf8"),
      );
      const samples = Object.values(files.samples as Record<string, string>).map((path) =>
        readFileSync(join(place, path), "utf8"),
      );
      return { id, rows, digest, unit, sparsity, exports, samples };
    });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function until(what: string, holds: () => boolean, seconds = 300): Promise<void> {
  const end = performance.now() + 1_000 * seconds;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited ${seconds} s for: ${what}`);
    await sleep(100);
  }
}

before(async () => {
  // 1 + 24 units: dense, and 2 methods × 4 sparsities × 3 seeds.
  await writeFile(
    join(folder, "study.yaml"),
    `model: ${resolve("data/tiny-gemma3")}\nmethods: [magnitude, random]\nsparsities: [0.2, 0.4, 0.6, 0.8]\nseeds: [0, 1, 2]\ntasks: [hellaswag]\nlimit: 4\n`,
  );
  const planned = sweep("plan", "study.yaml");
  assert.equal(planned.status, 0, planned.stderr);
  assert.match(planned.stderr, /24 units; about .* one after another, as measured on Gemma 3 270M/);
  await writeFile(plan, planned.stdout);
  const ran = sweep("run", plan, "--output", alone);
  assert.equal(ran.status, 0, ran.stderr);
  assert.match(ran.stdout, /24 of 24 units done, 0 running, 0 failed, 0 missing/);
});

it("collects a table, plots and lm-eval's files; says what is missing", async () => {
  const collected = sweep("collect", plan, "--output", alone);
  assert.equal(collected.status, 0, collected.stderr);
  for (const name of ["table.md", "table.csv", "hellaswag-acc.svg"]) assert.ok(existsSync(join(alone, name)), name);
  const samplesOf = () =>
    readdirSync(join(alone, "lm-eval"), { recursive: true, encoding: "utf8" })
      .filter((name) => /samples_hellaswag_.*\.jsonl$/.test(name))
      .map((name) => readFileSync(join(alone, "lm-eval", name), "utf8"));
  const samples = samplesOf();
  assert.equal(samples.length, 24);
  for (const text of samples) assert.equal(text.trimEnd().split("\n").length, 4);
  await writeCollection(await readPlan(plan), alone);
  assert.deepEqual(samplesOf(), samples);
  const nothing = sweep("collect", plan, "--output", join(folder, "nothing"), "--json");
  assert.equal(nothing.status, 1);
  assert.equal((JSON.parse(nothing.stdout) as { missingIds: string[] }).missingIds.length, 24);
  assert.match(
    sweep("status", plan, "--output", join(folder, "nothing")).stdout,
    /^0 of 24 units done, 0 running, 0 failed, 24 missing/,
  );
});

it("gives each engine its exit code: 0 done, 64 never again", () => {
  assert.equal(sweep("unit", plan, "--index", "0", "--output", alone).status, 0);
  const cases: readonly (readonly [string[], RegExp])[] = [
    [[plan, "--index", "24"], /the plan has 24 units; no such index: 24/],
    [[plan], /which unit\? give --index or --id/],
    [[plan, "--id", "u0"], /no such unit in the plan: u0/],
    [[join(folder, "absent.jsonl"), "--index", "0"], /cannot read .*absent\.jsonl/],
    [[], /missing plan/],
    [[plan, "--index", "x"], /--index.*x/],
    [[plan, "--indx", "0"], /unknown option '--indx'; did you mean --index\?/],
  ];
  for (const [words, expected] of cases) {
    const { status, stderr } = sweep("unit", ...words, "--output", alone);
    assert.match(stderr, expected);
    assert.equal(status, 64, stderr);
  }
  const inArray = spawnSync(process.execPath, [command, "sweep", "unit", plan, "--output", alone], {
    ...{ encoding: "utf8", cwd: folder },
    env: { ...env, SGE_TASK_ID: "1" },
  });
  assert.equal(inArray.status, 0, inArray.stderr);
});

/** Three workers; one is killed in a unit, one told to stop, and the server restarted in the middle. */
async function workThroughLosses(url: string, output: string, restart: () => Promise<void>): Promise<void> {
  const pushed = sweep("push", plan, "--queue", url, "--output", output, "--json");
  assert.equal(pushed.status, 0, pushed.stderr);
  assert.deepEqual(JSON.parse(pushed.stdout), { added: 24, known: 0, done: 0 });
  assert.deepEqual(JSON.parse(sweep("push", plan, "--queue", url, "--output", output, "--json").stdout), {
    added: 0,
    known: 24,
    done: 0,
  });
  const logs: string[] = [];
  const worker = (...more: string[]): ChildProcess => {
    const index = logs.push("") - 1;
    const child = spawn(process.execPath, [command, "sweep", "work", "--output", output, "--lock", "4", ...more], {
      env: { ...env, PRUNELAB_QUEUE: url },
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stderr!.on("data", (chunk: Buffer) => {
      logs[index] += chunk.toString();
    });
    return child;
  };
  const workers = [worker(), worker(), worker()];
  const doneCount = () => resultCount(output);
  const startsOf = (index: number) => logs[index]!.split("started: ").length - 1;
  try {
    await until("the first worker at work", () => startsOf(0) > 0);
    workers[0]!.kill("SIGKILL");
    await until("the second worker at work", () => startsOf(1) > 0);
    workers[1]!.kill("SIGTERM");
    const [code] = await once(workers[1]!, "exit");
    assert.equal(code, 0, logs[1]);
    await until("some units done", () => doneCount() >= 3);
    await restart();
    const last = worker("--drain");
    const [drained] = await once(last, "exit");
    assert.equal(drained, 0, logs.at(-1));
    await until("all units done", () => doneCount() === 24);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${logs.join("\n---\n")}`);
  } finally {
    for (const child of workers) child.kill("SIGKILL");
  }
  assert.deepEqual(resultsIn(output), resultsIn(alone));
  assert.deepEqual(JSON.parse(sweep("push", plan, "--queue", url, "--output", output, "--json").stdout), {
    added: 0,
    known: 0,
    done: 24,
  });
  assert.ok(!logs.join("").includes("s3cret"));
}

describe("through Redis", { skip: !hasProgram("redis-server") && "needs redis-server" }, () => {
  let server: ChildProcess;
  let port: number;
  const start = async () => {
    server = spawn(
      "redis-server",
      ["--port", String(port), "--requirepass", "s3cret", "--appendonly", "yes", "--dir", folder],
      { stdio: "ignore" },
    );
    await until(
      "Redis",
      () =>
        spawnSync("redis-cli", ["-p", String(port), "-a", "s3cret", "ping"], { encoding: "utf8" }).stdout.includes(
          "PONG",
        ),
      20,
    );
  };
  before(async () => {
    port = await freePort();
    await start();
  });
  after(() => server?.kill("SIGKILL"));

  it("does every unit once, whatever is lost on the way", async () => {
    await workThroughLosses(`redis://:s3cret@127.0.0.1:${port}`, join(folder, "redis"), async () => {
      server.kill("SIGTERM");
      await once(server, "exit");
      await start();
    });
  });

  it("reports a unit that always fails, and does the others; a plan that grew runs what is new", async () => {
    const url = `redis://:s3cret@127.0.0.1:${port}`;
    const output = join(folder, "failing");
    const text = join(folder, "short.txt");
    await writeFile(text, "too short");
    await writeFile(
      join(folder, "failing.yaml"),
      `model: ${resolve("data/tiny-gemma3")}\nmethods: [{method: wanda, calibration: {source: ${text}}}, magnitude]\nsparsities: [0.5]\ntasks: [hellaswag]\nlimit: 2\n`,
    );
    const failing = join(folder, "failing.jsonl");
    await writeFile(failing, sweep("plan", "failing.yaml").stdout);
    sweep("push", failing, "--queue", url, "--output", output);
    const worked = sweep("work", "--queue", url, "--output", output, "--drain");
    assert.equal(worked.status, 0, worked.stderr);
    assert.match(worked.stderr, /failed: .*wanda.*: too little text to calibrate/);
    assert.match(
      sweep("status", failing, "--output", output).stdout,
      /1 of 2 units done, 0 running, 1 failed.*\n {2}failed: .*too little text/,
    );
    const grown = join(folder, "grown.jsonl");
    await writeFile(
      join(folder, "grown.yaml"),
      readFileSync(join(folder, "failing.yaml"), "utf8").replace("[0.5]", "[0.5, 0.6]"),
    );
    await writeFile(grown, sweep("plan", "grown.yaml").stdout);
    assert.deepEqual(JSON.parse(sweep("push", grown, "--queue", url, "--output", output, "--json").stdout), {
      added: 2,
      known: 1,
      done: 1,
    });
  });

  it("says that a password is wrong without showing it", () => {
    const { status, stderr } = sweep(
      "push",
      plan,
      "--queue",
      `redis://:wr0ng@127.0.0.1:${port}`,
      "--output",
      join(folder, "wrong"),
    );
    assert.equal(status, 1);
    assert.match(stderr, /cannot reach the queue: redis:\/\/:\*\*\*@127/);
    assert.ok(!stderr.includes("wr0ng"));
  });
});

const postgres = ["/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/17/bin"].find((path) =>
  existsSync(join(path, "initdb")),
);

describe("through PostgreSQL", { skip: !postgres && "needs PostgreSQL" }, () => {
  let port: number;
  const data = join(tmpdir(), `prunelab-postgres-${process.pid}`);
  // PostgreSQL refuses to run as root.
  const asUser = (program: string, ...args: string[]) =>
    process.getuid?.() === 0
      ? execFileSync("runuser", ["-u", "postgres", "--", join(postgres!, program), ...args], {
          stdio: "ignore",
          cwd: "/",
        })
      : execFileSync(join(postgres!, program), args, { stdio: "ignore" });
  const start = () =>
    asUser(
      "pg_ctl",
      "-D",
      data,
      "-w",
      "-o",
      `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''`,
      "-l",
      `${data}.log`,
      "start",
    );
  before(async () => {
    port = await freePort();
    asUser("initdb", "-D", data, "-A", "trust", "-U", "prunelab");
    start();
  });
  after(async () => {
    asUser("pg_ctl", "-D", data, "-m", "immediate", "stop");
    await rm(data, { recursive: true, force: true });
    await rm(`${data}.log`, { force: true });
  });

  it("does every unit once, whatever is lost on the way", async () => {
    await workThroughLosses(
      `postgres://prunelab:s3cret@127.0.0.1:${port}/postgres`,
      join(folder, "postgres"),
      async () => {
        asUser("pg_ctl", "-D", data, "-m", "fast", "stop");
        start();
      },
    );
  });
});

describe("on Slurm", {
  skip: !["slurmctld", "slurmd", "sbatch"].every(hasProgram) && "needs slurmctld, slurmd and slurm-client",
}, () => {
  const place = join(folder, "slurm");
  const output = join(folder, "slurm-study");
  let slurmEnv: NodeJS.ProcessEnv;
  const daemons = new Map<string, ChildProcess>();
  const slurm = (program: string, ...args: string[]) =>
    spawnSync(program, args, { encoding: "utf8", env: slurmEnv, cwd: folder });
  const startNode = (name: string) =>
    daemons.set(
      name,
      // Its steps are its children, and end with its process group.
      spawn("slurmd", ["-D", "-N", name, "-d", "/usr/sbin/slurmstepd-wlm"], {
        env: slurmEnv,
        stdio: "ignore",
        detached: true,
      }),
    );
  before(async () => {
    const [control, first, second] = [await freePort(), await freePort(), await freePort()];
    await mkdir(join(place, "logs"), { recursive: true });
    await writeFile(
      join(place, "slurm.conf"),
      `ClusterName=prunelab
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmctldPort=${control}
AuthType=auth/none
CredType=cred/none
SlurmUser=${userInfo().username}
SlurmdUser=${userInfo().username}
StateSaveLocation=${place}/state
SlurmdSpoolDir=${place}/%n
SlurmctldPidFile=${place}/slurmctld.pid
SlurmdPidFile=${place}/%n.pid
SlurmctldLogFile=${place}/slurmctld.log
SlurmdLogFile=${place}/%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdTimeout=10
ReturnToService=2
MpiDefault=none
NodeName=n1 NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${first} CPUs=2 RealMemory=8000 State=UNKNOWN
NodeName=n2 NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${second} CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=all Nodes=n1,n2 Default=YES State=UP
`,
    );
    for (const name of ["state", "n1", "n2"]) await mkdir(join(place, name), { recursive: true });
    slurmEnv = { ...env, SLURM_CONF: join(place, "slurm.conf") };
    daemons.set("control", spawn("slurmctld", ["-D", "-c"], { env: slurmEnv, stdio: "ignore", detached: true }));
    startNode("n1");
    startNode("n2");
    await until("both nodes idle", () => slurm("sinfo", "-h", "-o", "%D %t").stdout.trim() === "2 idle", 60);
  });
  after(() => {
    for (const { pid } of daemons.values()) if (pid) killGroup(pid);
  });

  it("runs the array that script prints, also when a node is killed under it", async () => {
    const words = [
      "--for",
      "slurm",
      "--output",
      output,
      "--cpus",
      "1",
      "--memory",
      "1",
      "--program",
      `${process.execPath} ${command}`,
    ];
    const printed = sweep("script", plan, ...words);
    assert.equal(printed.status, 0, printed.stderr);
    await mkdir(join(output, "logs"), { recursive: true });
    await writeFile(join(folder, "study.sbatch"), printed.stdout);
    const submitted = slurm("sbatch", join(folder, "study.sbatch"));
    assert.equal(submitted.status, 0, submitted.stderr);
    const doneCount = () => resultCount(output);
    await until("a task at work on n1", () => slurm("squeue", "-h", "-t", "R", "-o", "%N").stdout.includes("n1"), 60);
    killGroup(daemons.get("n1")!.pid!);
    // As when the machine is gone: with all that ran on it.
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      if (environmentOf(pid).includes("SLURMD_NODENAME=n1")) killGroup(Number(pid));
    }
    // Slurm gives the lost tasks to the other node by itself, but may take minutes for it. Submitting again is harmless, as the script says, and
    // does what is not done; here whenever nothing has come for a while.
    let [seen, since] = [0, performance.now()];
    const queue = () => slurm("squeue", "-h", "-r", "-o", "%i %t %N %r").stdout + slurm("sinfo", "-h", "-N").stdout;
    await until(
      "all units done",
      () => {
        const count = doneCount();
        if (count > seen) [seen, since] = [count, performance.now()];
        if (performance.now() - since > 45_000) {
          slurm("sbatch", join(folder, "study.sbatch"));
          since = performance.now();
        }
        return count === 24;
      },
      420,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; ${seen} are\n${queue()}`);
    });
    assert.deepEqual(resultsIn(output), resultsIn(alone));
  });
});

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch {
    return "";
  }
}

/** The process, and its group if it leads one. */
function killGroup(pid: number): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, "SIGKILL");
    } catch {
      // Gone already, or no leader.
    }
  }
}

/** Units with a result. */
function resultCount(output: string): number {
  const place = join(output, "results");
  return existsSync(place) ? readdirSync(place).filter((name) => /^u[0-9a-f]{24}\.json$/.test(name)).length : 0;
}

function hasProgram(name: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${name}`]).status === 0;
}
