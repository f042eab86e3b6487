import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpoint } from "../hub/open-checkpoint.ts";
import { prune } from "../prune/prune.ts";
import { sparsityReport } from "../prune/sparsity.ts";
import { collectSweep, type SweepRow, sweepLines, sweepSeries, sweepTable, writeCollection } from "./collect.ts";
import { estimateMinutes } from "./cost.ts";
import { planSweep, planText, readPlan, type Unit, unitName } from "./plan.ts";
import { hidePassword, pushUnits } from "./queue.ts";
import { readResult, resultPath, sweepStatus, writeFailure } from "./results.ts";
import { runSweep } from "./run.ts";
import { arrayIndex, arrayScript } from "./script.ts";
import { checkStudy, readStudy, type Study, studySchema } from "./study.ts";
import { canRetry, runUnit } from "./unit.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-sweep-"));
after(() => rm(folder, { recursive: true, force: true }));

const study: Study = {
  model: tinyModel,
  methods: ["magnitude", "random"],
  sparsities: [0, 0.25, 0.5],
  seeds: [0, 1],
  tasks: ["hellaswag"],
  limit: 4,
};

describe("a study", () => {
  const refused: readonly (readonly [unknown, RegExp])[] = [
    [null, /invalid study: study: it: invalid input: expected object: null/],
    [{ ...study, model: undefined }, /needs model or models, one of them/],
    [{ ...study, models: ["a"] }, /needs model or models, one of them/],
    [{ ...study, method: "wanda" }, /no such field: method; known are model, models, methods, /],
    [{ ...study, methods: [] }, /methods: .*: \[\]/],
    [{ ...study, methods: ["magnitud"] }, /methods\[0\]: choose one of magnitude, .*: "magnitud"/],
    [{ ...study, methods: ["random", { method: "wnada" }] }, /methods\[1\]\.method: choose one of .*: "wnada"/],
    [{ ...study, sparsities: [0.5, 1] }, /sparsities\[1\]: .*: 1$/],
    [{ ...study, sparsities: undefined }, /needs sparsities such as \[0\.5\], or patterns/],
    [{ ...study, seeds: [0.5] }, /seeds\[0\]: .*: 0\.5/],
    [{ ...study, seeds: ["1"] }, /seeds\[0\]: .*number: "1"/],
    [{ ...study, limit: 0 }, /limit: .*: 0$/],
    [{ ...study, limit: -3 }, /limit: .*: -3$/],
    [{ ...study, tasks: [] }, /measures nothing; give tasks, windows or export/],
    [{ ...study, tasks: "hellaswag" }, /tasks: .*array: "hellaswag"/],
  ];
  for (const [value, expected] of refused) {
    it(`is refused: ${String(expected)}`, () => {
      assert.throws(() => checkStudy(value), { name: "PrunelabError", message: expected });
    });
  }

  it("is read from YAML, and says what is wrong with a file", async () => {
    const path = join(folder, "study.yaml");
    await writeFile(path, "model: m\nmethods: [wanda]\npatterns: ['2:4']\nwindows: 8\n");
    assert.deepEqual(await readStudy(path), {
      ...{ models: ["m"], methods: ["wanda"], patterns: ["2:4"], seeds: [0], tasks: [], limit: null, windows: 8 },
    });
    await writeFile(path, "model: [\n");
    await assert.rejects(readStudy(path), /^PrunelabError: not YAML: .*study\.yaml: /);
    await assert.rejects(readStudy(join(folder, "absent.yaml")), /^PrunelabError: cannot read .*absent\.yaml: /);
  });

  it("has a published schema that names every field of the type", () => {
    const { properties, additionalProperties } = studySchema() as Record<string, Record<string, unknown>>;
    for (const field of Object.keys(study)) assert.ok(field in properties!, field);
    assert.equal(additionalProperties, false);
  });
});

describe("a plan", () => {
  it("has a unit for each method, sparsity and seed, and the dense model once", async () => {
    const units = await planSweep(study);
    assert.equal(units.length, 1 + 2 * 2 * 2);
    assert.equal(unitName(units[0]!), `${tinyModel} dense`);
    assert.deepEqual(
      units.slice(1).map(({ method, sparsity, seed }) => [method, sparsity, seed]),
      ["magnitude", "random"].flatMap((method) =>
        [0.25, 0.5].flatMap((share) => [0, 1].map((seed) => [method, share, seed])),
      ),
    );
    assert.deepEqual(
      units.map(({ index }) => index),
      units.map((_, index) => index),
    );
    assert.ok(units.every(({ id }) => /^u[0-9a-f]{24}$/.test(id)));
  });

  it("takes patterns, with the sparsity that n:m has, and recipes with a sparsity of their own", async () => {
    const units = await planSweep({
      ...{ model: tinyModel, windows: 1, sparsities: [0.5], patterns: ["2:4", "row"] },
      methods: ["magnitude", { method: "magnitude", sparsity: 0.3 }],
    });
    const [own] = await planSweep({ ...study, methods: [{ method: "random", seed: 7 }], sparsities: [0.5] });
    assert.deepEqual([own!.seed, own!.recipe!.seed, own!.method], [7, 7, "random"]);
    assert.deepEqual(
      units.map(({ sparsity, pattern }) => [sparsity, pattern]),
      [
        [null, "2:4"],
        [0.5, "row"],
        [0.3, null],
      ],
    );
  });

  it("gives ids by what decides the result, not by path or place", async () => {
    const [plain] = await planSweep({ ...study, sparsities: [0.25] });
    const later = await planSweep(study);
    assert.equal(
      later.find(({ method, sparsity, seed }) => method === "magnitude" && sparsity === 0.25 && seed === 0)!.id,
      plain!.id,
    );
    const changes: Partial<Study>[] = [
      { limit: 5 },
      { numFewshot: 1 },
      { windows: 3 },
      { tasks: ["piqa"] },
      { export: ["safetensors:bf16"] },
      { sparsities: [0.26] },
      { recover: { method: "blocks" } },
      { seeds: [7] },
    ];
    const ids = await Promise.all(
      changes.map(async (change) => (await planSweep({ ...study, sparsities: [0.25], ...change }))[0]!.id),
    );
    assert.equal(new Set([plain!.id, ...ids]).size, changes.length + 1);
    // Another name of the same folder.
    assert.equal((await planSweep({ ...study, model: `${tinyModel}/`, sparsities: [0.25] }))[0]!.id, plain!.id);
  });

  it("names a calibration text by its bytes", async () => {
    const [one, two, other] = ["one.txt", "two.txt", "other.txt"].map((name) => join(folder, name));
    await writeFile(one!, "the same words ".repeat(50));
    await writeFile(two!, "the same words ".repeat(50));
    await writeFile(other!, "not the same words ".repeat(50));
    const idOf = async (source: string) =>
      (
        await planSweep({
          ...study,
          methods: [{ method: "wanda", calibration: { source, windows: 2, tokens: 16 } }],
          sparsities: [0.5],
        })
      )[0]!.id;
    assert.equal(await idOf(one!), await idOf(two!));
    assert.notEqual(await idOf(one!), await idOf(other!));
    await assert.rejects(idOf(join(folder, "absent.txt")), /^PrunelabError: cannot read .*absent\.txt/);
  });

  it("is refused with two units alike, an unknown task, or what prune refuses", async () => {
    await assert.rejects(
      planSweep({ ...study, methods: ["random", "random"] }),
      /two units alike: study: .*random 25 % seed 0/,
    );
    await assert.rejects(planSweep({ ...study, sparsities: [0.5, 0.5] }), /two units alike/);
    await assert.rejects(planSweep({ ...study, seeds: [1, 1] }), /two units alike/);
    await assert.rejects(planSweep({ ...study, tasks: ["helaswag"] }), /unknown task: helaswag; nearest: hellaswag/);
    await assert.rejects(planSweep({ ...study, patterns: ["5:4"] }), /^PrunelabError: /);
    await assert.rejects(planSweep({ ...study, export: ["onnx:fp33"] }), /unknown form: onnx:fp33; choose one of /);
  });

  it("comes back from its file, and a changed or foreign one is refused", async () => {
    const path = join(folder, "plan.jsonl");
    const units = await planSweep(study);
    const text = planText(units);
    await writeFile(path, text);
    assert.deepEqual(await readPlan(path), JSON.parse(JSON.stringify(units)));
    const refuse = async (changed: string, expected: RegExp) => {
      await writeFile(path, changed);
      await assert.rejects(readPlan(path), { name: "PrunelabError", message: expected });
    };
    await refuse("", /an empty plan/);
    await refuse(text.slice(0, -20), /not a plan: .*line 9/);
    await refuse(
      text.replaceAll('"schema":1', '"schema":2'),
      /a plan of another version: .*schema 2, this Prunelab reads 1/,
    );
    await refuse(text.replace('"limit":4', '"limit":5'), /a plan that was changed: .*line 1/);
    await refuse("null\n", /a plan of another version/);
    await refuse("[1]\n", /a plan of another version/);
  });
});

describe("units", () => {
  const output = join(folder, "study");
  let units: Unit[];
  before(async () => {
    units = await planSweep(study);
  });

  it("are done once, and their scores collected with the spread over seeds", async () => {
    const first = await runSweep(units, { output });
    assert.deepEqual(first.status.missing, []);
    assert.deepEqual(first.status.failed, []);
    const times = await Promise.all(units.map(async ({ id }) => await readFile(resultPath(output, id), "utf8")));
    const again = await runSweep(units, { output });
    assert.deepEqual(again.rows, first.rows);
    assert.deepEqual(
      await Promise.all(units.map(async ({ id }) => await readFile(resultPath(output, id), "utf8"))),
      times,
    );
    const dense = first.rows.find(({ method, metric }) => method === "dense" && metric === "acc_norm")!;
    assert.deepEqual([dense.seeds, dense.n, dense.spread], [1, 4, null]);
    assert.ok(dense.low! < dense.score && dense.score < dense.high!);
    const random = first.rows.find(({ method, metric }) => method === "random" && metric === "acc")!;
    assert.deepEqual([random.seeds, random.low], [2, null]);
    assert.ok(random.spread !== null);
    const { digest, sparsity } = (await readResult(output, units.at(-1)!.id)) as { digest: string; sparsity: number };
    assert.ok(Math.abs(sparsity - 0.5) < 0.001);
    const pruned = await prune(await openCheckpoint(tinyModel), { method: "random", sparsity: 0.5, seed: 1 });
    assert.equal(digest, await pruned.digest());
  });

  it("that are damaged, of another version or missing are done again", async () => {
    const [damaged, foreign, missing] = units.map(({ id }) => resultPath(output, id));
    const good = JSON.parse(await readFile(damaged!, "utf8")) as { rows: unknown };
    await writeFile(damaged!, '{"schema":1,');
    await writeFile(foreign!, (await readFile(foreign!, "utf8")).replace('"schema": 1', '"schema": 0'));
    await rm(missing!);
    const found = await sweepStatus(units, output);
    assert.equal(found.done.length, units.length - 3);
    assert.equal(found.missing.length, 3);
    assert.match(found.damaged.join("\n"), /damaged result: .*\nresult of another version: .*schema 0/);
    const notices: string[] = [];
    await runSweep(units, { output, onNotice: (line) => notices.push(line) });
    assert.match(notices.join("\n"), /damaged result: .*; the unit is done again/);
    assert.deepEqual((JSON.parse(await readFile(damaged!, "utf8")) as { rows: unknown }).rows, good.rows);
  });

  it("that fail are on file with their sentence, and do not stop the others", async () => {
    const place = join(folder, "failing");
    const text = join(folder, "short.txt");
    await writeFile(text, "too short");
    const plan = await planSweep({
      ...study,
      sparsities: [0.5],
      seeds: [0],
      methods: [{ method: "wanda", calibration: { source: text } }, "magnitude"],
    });
    const { status } = await runSweep(plan, { output: place, onNotice: () => {} });
    assert.deepEqual(status.done.map(unitName), [`${tinyModel} magnitude 50 % seed 0`]);
    assert.match(status.failed[0]!.message, /too little text to calibrate/);
    assert.equal(status.failed[0]!.canRetry, false);
    // The text was replaced after planning.
    await writeFile(text, "long enough ".repeat(100_000));
    await assert.rejects(runUnit(plan[0]!, place), /another text than planned: .*short\.txt/);
  });

  it("of other weights than planned are refused", async () => {
    const other = { ...units[1]!, weights: "0".repeat(64) };
    await assert.rejects(runUnit(other, join(folder, "other")), /other weights than planned: .*plan the study again/);
  });

  it("that were stopped are neither done nor failed", async () => {
    const place = join(folder, "stopped");
    await assert.rejects(runUnit(units[1]!, place, { signal: AbortSignal.abort(new Error("enough")) }), /enough/);
    const found = await sweepStatus(units, place);
    assert.deepEqual([found.missing.length, found.running.length, found.failed.length], [units.length, 0, 0]);
  });

  it("say before the work that the folder takes nothing", async () => {
    await writeFile(join(folder, "a-file"), "");
    await assert.rejects(runUnit(units[1]!, join(folder, "a-file")), /^PrunelabError: cannot write .*a-file/);
    await assert.rejects(runSweep(units, { output: join(folder, "a-file") }), /^PrunelabError: cannot write .*a-file/);
    await assert.rejects(runUnit(units[1]!, "/proc/x"), /^PrunelabError: cannot write \/proc\/x/);
  });

  it("leave lm-eval's files, a table and the exported model", async () => {
    const place = join(folder, "exported");
    const plan = await planSweep({
      ...study,
      sparsities: [0, 0.5],
      seeds: [0],
      methods: ["magnitude"],
      export: ["safetensors:bf16"],
    });
    await runSweep(plan, { output: place });
    const { rows } = await writeCollection(plan, place);
    assert.equal(await readFile(join(place, "table.md"), "utf8"), sweepTable(rows));
    const csv = (await readFile(join(place, "table.csv"), "utf8")).trim().split("\n");
    assert.equal(csv.length, 1 + rows.length);
    const exported = await openCheckpoint(join(place, "exports", plan[1]!.id, "safetensors-bf16"));
    const { scope } = await sparsityReport(exported);
    assert.equal(scope.sparsity, ((await readResult(place, plan[1]!.id)) as { sparsity: number }).sparsity);
    const { readdir } = await import("node:fs/promises");
    const files = (await readdir(join(place, "lm-eval"), { recursive: true })).filter((name) => /\.jsonl?$/.test(name));
    assert.equal(files.length, 4);
  });

  it("recover the pruned model, zeros staying zero", async () => {
    const data = join(folder, "recover.txt");
    await writeFile(data, "prune the small weights and keep the large ones. ".repeat(200));
    const plan = await planSweep({
      ...{ ...study, sparsities: [0.5], seeds: [0], methods: ["magnitude"], limit: 2 },
      recover: { method: "blocks", data, windows: 2, tokens: 32, epochs: 1 },
    });
    assert.deepEqual(Object.keys(plan[0]!.files), [data]);
    const { sparsity, digest } = await runUnit(plan[0]!, join(folder, "recovered"));
    const pruned = await prune(await openCheckpoint(tinyModel), { method: "magnitude", sparsity: 0.5 });
    assert.equal(sparsity, (await sparsityReport(pruned)).scope.sparsity);
    assert.notEqual(digest, await pruned.digest());
    await assert.rejects(
      planSweep({ ...study, recover: { method: "magic" as "blocks" } }),
      /recover\.method: choose one of distill, blocks: "magic"/,
    );
  });

  it("are estimated from those that are done", async () => {
    const { minutes, basis } = await estimateMinutes(units, output);
    assert.equal(minutes, 0);
    assert.match(basis, /9 finished units/);
    assert.equal(
      (await estimateMinutes(await planSweep({ ...study, limit: null }), join(folder, "none"))).minutes,
      undefined,
    );
  });
});

it("a failure that passes may be tried again, a mistake may not", async () => {
  const full = Object.assign(new Error("ENOSPC"), { code: "ENOSPC", syscall: "write" });
  const { PrunelabError } = await import("../errors.ts");
  assert.equal(canRetry(new PrunelabError("cannot write", { cause: full })), true);
  assert.equal(canRetry(new Error("std::bad_alloc")), true);
  assert.equal(canRetry(new PrunelabError("unknown task")), false);
});

it("a failed try is forgotten by a later result, and a running mark that is old is a dead worker's", async () => {
  const [unit] = await planSweep({ ...study, sparsities: [0.5], seeds: [0] });
  const place = join(folder, "marks");
  await writeFailure(place, unit!.id, "no memory", true);
  assert.deepEqual(
    (await sweepStatus([unit!], place)).failed.map(({ message }) => message),
    ["no memory"],
  );
  const mark = join(place, "results", `${unit!.id}.running.json`);
  // Of this host, and gone: no process has the highest number.
  await writeFile(mark, JSON.stringify({ host: hostname(), pid: 2 ** 31 - 1, since: "now" }));
  assert.equal((await sweepStatus([unit!], place)).running.length, 0);
  await writeFile(mark, JSON.stringify({ host: "far", since: "now" }));
  assert.deepEqual(
    (await sweepStatus([unit!], place)).running.map(({ host }) => host),
    ["far"],
  );
  const { utimes } = await import("node:fs/promises");
  await utimes(mark, new Date(), new Date(Date.now() - 200_000));
  assert.equal((await sweepStatus([unit!], place)).running.length, 0);
  await runUnit(unit!, place);
  assert.deepEqual((await sweepStatus([unit!], place)).failed, []);
});

it("the index of an array task is found by each engine's variable, from 0", () => {
  const index = (environment: Record<string, string>) => arrayIndex(environment);
  assert.equal(index({}), undefined);
  assert.equal(index({ SLURM_ARRAY_TASK_ID: "0" }), 0);
  assert.equal(index({ JOB_COMPLETION_INDEX: "12" }), 12);
  assert.equal(index({ AWS_BATCH_JOB_ARRAY_INDEX: "3" }), 3);
  assert.equal(index({ BATCH_TASK_INDEX: "3" }), 3);
  assert.equal(index({ SKYPILOT_JOB_RANK: "4" }), 4);
  assert.equal(index({ PBS_ARRAY_INDEX: "5" }), 5);
  assert.equal(index({ LSB_JOBINDEX: "1" }), 0);
  assert.equal(index({ LSB_JOBINDEX: "0" }), undefined);
  assert.equal(index({ SGE_TASK_ID: "7" }), 6);
  assert.equal(index({ SGE_TASK_ID: "undefined" }), undefined);
});

it("a script's array holds every unit once, whatever their number", async () => {
  const [unit] = await planSweep({ ...study, sparsities: [0.5], seeds: [0] });
  const place = { plan: "plan.jsonl", output: "study" };
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), (count) => {
      const text = arrayScript("slurm", new Array(count).fill(unit), place);
      const last = Number(/--array=0-(\d+)%/.exec(text)![1]);
      const pack = Number(/--pack (\d+)/.exec(text)?.[1] ?? 1);
      assert.ok(last <= 999 && (last + 1) * pack >= count && last * pack < count);
    }),
    { numRuns: 50 },
  );
  assert.throws(
    () => arrayScript("pbs" as "slurm", [unit!], place),
    /unknown engine: pbs; choose one of slurm, kubernetes/,
  );
});

it("a script names its job as every engine allows, and quotes a folder with spaces", async () => {
  const [unit] = await planSweep({ ...study, sparsities: [0.5], seeds: [0] });
  const place = { plan: "plan.jsonl", output: "my study" };
  assert.throws(() => arrayScript("kubernetes", [unit!], { ...place, name: "My Study" }), /not a job's name: My Study/);
  const text = arrayScript("slurm", [unit!], place);
  assert.ok(text.includes('#SBATCH --output="my study/logs/%A_%a.log"') && text.includes("--output 'my study'"));
});

it("Kubernetes' job has what the server asks for beyond the schema", async () => {
  const units = await planSweep(study);
  const { kind, spec } = parse(arrayScript("kubernetes", units, { plan: "plan.jsonl", output: "study" }));
  assert.deepEqual([kind, spec.completionMode, spec.completions], ["Job", "Indexed", units.length]);
  // Per-index retries need Indexed; a failure policy needs Never; a rule names a container that is there.
  assert.equal(spec.template.spec.restartPolicy, "Never");
  assert.ok(spec.backoffLimitPerIndex > 0 && spec.maxFailedIndexes <= spec.completions);
  const [never, disrupted] = spec.podFailurePolicy.rules;
  assert.deepEqual(never.onExitCodes, {
    containerName: spec.template.spec.containers[0].name,
    operator: "In",
    values: [64],
  });
  assert.deepEqual([never.action, disrupted.action], ["FailIndex", "Ignore"]);
});

it("a queue's password is hidden in every spelling", () => {
  const url = "redis://user:s%40cr%3Aet@host:6379/0";
  assert.equal(hidePassword(url, url), "redis://user:***@host:6379/0");
  assert.equal(hidePassword("WRONGPASS s@cr:et and s%40cr%3Aet", url), "WRONGPASS *** and ***");
  assert.equal(hidePassword("no password", "redis://host"), "no password");
});

it("a queue that is none or cannot be reached is a sentence without the password", async () => {
  const [unit] = await planSweep({ ...study, sparsities: [0.5], seeds: [0] });
  const push = (url: string) => pushUnits([unit!], { url, output: join(folder, "queue") });
  await assert.rejects(push("http://host"), /^PrunelabError: not a queue's address: http:\/\/host; give redis:/);
  await mkdir(join(folder, "damaged-queue"));
  await writeFile(join(folder, "damaged-queue", "queue.json"), "{}");
  await assert.rejects(
    pushUnits([unit!], { url: "redis://127.0.0.1:1", output: join(folder, "damaged-queue") }),
    /^PrunelabError: no queue's name in .*queue\.json; remove the file/,
  );
  await assert.rejects(push("redis://:secret@127.0.0.1:1"), (error: Error) => {
    assert.match(error.message, /cannot reach the queue: redis:\/\/:\*\*\*@127\.0\.0\.1:1: .*ECONNREFUSED/);
    return !error.message.includes("secret");
  });
});

it("lines for a figure have the dense model at 0, and the spread as whiskers", () => {
  const row = (part: Partial<SweepRow>): SweepRow => ({
    ...{
      model: "m",
      method: "wanda",
      sparsity: 0.5,
      pattern: null,
      task: "t",
      shots: 0,
      metric: "acc",
      seeds: 2,
      n: 4,
    },
    ...{ score: 0.3, spread: 0.1, low: null, high: null, note: "" },
    ...part,
  });
  const rows = [
    row({ method: "dense", sparsity: 0, score: 0.4, spread: null, low: 0.2, high: 0.6 }),
    row({}),
    row({ sparsity: null, pattern: "2:4" }),
    row({ metric: "acc_norm" }),
  ];
  assert.deepEqual(sweepSeries(rows, { task: "t", metric: "acc" }), [
    {
      name: "wanda",
      points: [
        { x: 0, value: 0.4, low: 0.2, high: 0.6 },
        { x: 0.5, value: 0.3, low: 0.3 - 0.1, high: 0.3 + 0.1 },
      ],
    },
  ]);
});

it("what a figure needs: shares in percent, perplexities on a logarithmic axis, and what the whiskers are", () => {
  const row = { model: "m", pattern: null, shots: 0, note: "" };
  const rows: SweepRow[] = [
    {
      ...{ ...row, method: "dense", sparsity: 0, task: "hellaswag", metric: "acc", seeds: 1, n: 200 },
      ...{ score: 0.4, spread: null, low: 0.2, high: 0.6 },
    },
    {
      ...{ ...row, method: "wanda", sparsity: 0.5, task: "hellaswag", metric: "acc", seeds: 2, n: 200 },
      ...{ score: 0.25, spread: 0.125, low: null, high: null },
    },
    {
      ...{ ...row, method: "wanda", sparsity: 0.5, task: "wikitext2", metric: "perplexity", seeds: 1, n: 8 },
      ...{ score: 36, spread: null, low: 30, high: 42 },
    },
  ];
  const acc = sweepLines(rows, { task: "hellaswag", metric: "acc" });
  assert.deepEqual(acc.series[0]!.points, [
    { x: 0, value: 40, low: 20, high: 60 },
    { x: 0.5, value: 25, low: 12.5, high: 37.5 },
  ]);
  assert.deepEqual([acc.unit, acc.isLogarithmic], ["acc (% of the documents)", false]);
  assert.match(acc.notes, /^n = 200 documents, 0 shots; whiskers: standard deviation over 2 seeds/);
  const perplexity = sweepLines(rows, { task: "wikitext2", metric: "perplexity" });
  assert.deepEqual(perplexity.series[0]!.points, [{ x: 0.5, value: 36, low: 30, high: 42 }]);
  assert.equal(perplexity.isLogarithmic, true);
  assert.equal(perplexity.notes, "n = 8 windows of 2,048 tokens; whiskers: 95 % interval");
  assert.deepEqual(sweepLines(rows, { task: "piqa", metric: "acc" }).series, []);
});

it("collects nothing from a folder that is not there", async () => {
  await mkdir(join(folder, "empty"));
  const units = await planSweep({ ...study, sparsities: [0.5] });
  const { rows, status } = await collectSweep(units, { output: join(folder, "empty") });
  assert.deepEqual([rows.length, status.missing.length], [0, units.length]);
});
