/** `prunelab sweep`: plans a study, runs its units here, through a queue or on a cluster, and collects what they gave. */
import { writeFileAtomic } from "../../src/base/atomic.ts";
import { startDrawing } from "../../src/base/draw-figure.ts";
import { duration } from "../../src/base/duration.ts";
import { PrunelabError } from "../../src/errors.ts";
import { sweepFigure } from "../../src/plot/line-figure.ts";
import { plainText } from "../../src/report/document.ts";
import { type SweepRow, sweepLines, tableOf, writeCollection } from "../../src/sweep/collect.ts";
import { estimateMinutes } from "../../src/sweep/cost.ts";
import { planSweep, planText, readPlan, type Unit, unitName } from "../../src/sweep/plan.ts";
import { hidePassword, pushUnits, workUnits } from "../../src/sweep/queue.ts";
import { sweepStatus } from "../../src/sweep/results.ts";
import { runSweep } from "../../src/sweep/run.ts";
import { arrayIndex, arrayScript, type Engine, engines, indexVariables } from "../../src/sweep/script.ts";
import { readStudy, studySchema } from "../../src/sweep/study.ts";
import { runStoppable } from "../../src/sweep/unit-process.ts";
import { type Command, defineCommand, defineFamily, flag, type OptionOf, value } from "./command.ts";
import { oneOf, parseWhole, wholeFrom } from "./options.ts";
import { terminalProgress } from "./progress.ts";

const output: OptionOf<string> = value("--output <folder>", "the study's folder; results lie in its results/", {
  default: "study",
});
const queue: OptionOf<string | undefined> = value(
  "--queue <address>",
  "redis://host:6379, or postgres://host/database (default: the variable PRUNELAB_QUEUE, which keeps a password out of lists of processes)",
);

const plan = defineCommand({
  usage: "<study.yaml> [options]",
  description: `Checks a study and prints its plan, a line of JSON for each unit: one model, recipe and seed with its tasks. How many units there are, and about
how many minutes they take, is said on standard error.`,
  operands: "one",
  options: { output },
  examples: [["study.yaml > plan.jsonl", "the plan of a study"]],
  run: async (values, [path]) => {
    if (!path) throw new PrunelabError("missing study; name its file, e.g. study.yaml");
    const { onProgress, note, finish } = terminalProgress();
    const units = await planSweep(await readStudy(path), { source: path, onProgress, onNotice: note });
    finish();
    note(await costLine(units, values.output));
    return { text: planText(units).trimEnd() };
  },
});

const run = defineCommand({
  usage: "<plan.jsonl> [options]",
  description: `Does a plan's units one after another on this machine, and prints the table. A unit that is done is not done again; one that fails does not stop the
others.`,
  operands: "one",
  options: { output },
  json: "the scores and what failed",
  examples: [["plan.jsonl --output study", "all units, here"]],
  resumes: true,
  run: async (values, operands) => {
    const units = await planOf(operands);
    const { onProgress, note, finish } = terminalProgress();
    const onUnit = (unit: Unit, before: number) => note(`unit ${before + 1} of ${units.length}: ${unitName(unit)}`);
    const { rows, status } = await runSweep(units, { output: values.output, onProgress, onNotice: note, onUnit });
    finish();
    if (status.done.length < units.length) process.exitCode = 1;
    return { text: `${tableText(rows)}${statusText(status)}`.trimEnd(), json: { rows, ...counts(status) } };
  },
});

const unit = defineCommand({
  usage: "<plan.jsonl> [--index <n>] [options]",
  description: `Does one unit of a plan: what a cluster's array job runs. Without --index or --id, the index is the array job's (${indexVariables.map(({ engine, variable }) => `${engine}: ${variable}`).join(", ")}).
Exit codes: 0 done, or done before; 75 try again; 64 never again, the plan has to change first.`,
  operands: "one",
  options: {
    output,
    index: value("--index <n>", "the unit's place in the plan, from 0", { parse: parseWhole }),
    id: value("--id <id>", "the unit's id in the plan"),
    pack: value("--pack <k>", "units that an index stands for, one after another", {
      parse: wholeFrom(1),
      default: "1",
    }),
  },
  examples: [
    ["plan.jsonl --index 3 --output study", "the fourth unit"],
    ["SLURM_ARRAY_TASK_ID=3 prunelab sweep unit plan.jsonl", "the same, as Slurm starts it"],
  ],
  mistakeCode: 64,
  run: async (values, operands) => {
    // The engine reads the exit code: a mistake in the words is one that another try does not fix.
    const chosen = await chooseUnits(values, operands).catch((error: unknown) => {
      throw error instanceof PrunelabError ? Object.assign(error, { exitCode: 64 }) : error;
    });
    for (const each of chosen) {
      const code = await runStoppable(
        { unit: each, folder: values.output },
        {
          report: (line) => {
            if (line.kind === "notice") console.error(line.line);
            else if (line.kind === "failure") console.error(`prunelab: ${unitName(each)}: ${line.message}`);
          },
        },
      );
      process.exitCode = Math.max(Number(process.exitCode ?? 0), code);
      if (code === 75) return;
      if (code === 0) console.error(`done: ${unitName(each)}`);
    }
  },
});

const push = defineCommand({
  usage: "<plan.jsonl> --queue <address> [options]",
  description: `Puts a plan's units into a BullMQ queue, but for those that are done or there already. Workers take them from there (prunelab sweep work), on any
machine that shares the study's folder.`,
  operands: "one",
  options: { output, queue, retry: flag("--retry", "also those that have failed for good") },
  json: "how many units were added, known and done",
  examples: [["plan.jsonl --queue redis://127.0.0.1:6379 --output study", "a queue in Redis"]],
  run: async (values, operands) => {
    const units = await planOf(operands);
    const url = addressOf(values.queue);
    const { added, known, done } = await pushUnits(units, {
      ...{ url, output: values.output, retry: values.retry },
      onNotice: (line) => console.error(line),
    });
    return {
      text: `${added} units added, ${known} were in the queue, ${done} are done: ${hidePassword(url, url)}`,
      json: { added, known, done },
    };
  },
});

const work = defineCommand({
  usage: "--queue <address> [options]",
  description: `A worker: takes units from the queue, one at a time, each in a process of its own, until it is stopped. Start as many as you like, on any machine that
shares the study's folder. SIGTERM and Ctrl-C give the unit at work back; the unit of a worker that was killed goes to another after a minute.`,
  options: {
    output,
    queue,
    drain: flag("--drain", "end when nothing is left to do"),
    threads: value("--threads <n>", "of each unit, to share out a machine's cores among workers (default: all cores)", {
      parse: wholeFrom(1),
    }),
    lock: value("--lock <seconds>", "for how long a worker may be silent before its unit goes to another", {
      parse: wholeFrom(1),
      default: "60",
    }),
  },
  examples: [
    ["--queue redis://127.0.0.1:6379 --output study", "a worker"],
    [
      "--queue redis://127.0.0.1:6379 --output study --threads 1 --drain",
      "one of several on this machine, until all is done",
    ],
  ],
  run: async (values) => {
    if (values.threads !== undefined) process.env.PRUNELAB_THREADS = String(values.threads);
    const controller = new AbortController();
    const stop = () => controller.abort();
    process.once("SIGTERM", stop);
    process.once("SIGINT", stop);
    const say = (line: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${line}`);
    say(`worker ${process.pid} waits for units of ${values.output}`);
    await workUnits({
      ...{ url: addressOf(values.queue), output: values.output, signal: controller.signal, drain: values.drain },
      lockMs: 1_000 * values.lock,
      onNotice: say,
      onUnit: (each, ended, message) => say(`${ended}: ${unitName(each)}${message ? `: ${message}` : ""}`),
    });
    // Drivers may keep a lost connection alive.
    process.exit(process.exitCode ?? 0);
  },
});

const script = defineCommand({
  usage: "<plan.jsonl> --for <engine> [options]",
  description: "Prints an array job, ready to submit: a script for Slurm's sbatch, or YAML for kubectl apply.",
  operands: "one",
  options: {
    output,
    engine: value("--for <engine>", engines.join(" or "), { parse: oneOf(engines), words: engines }),
    name: value("--name <name>", "of the job", { default: "prunelab" }),
    program: value("--program <command>", "how prunelab is started there", { default: "npx prunelab" }),
    pack: value("--pack <k>", "units of one task (default: 1, more where the array would have over 1,000 tasks)", {
      parse: wholeFrom(1),
    }),
    parallel: value("--parallel <n>", "tasks at the same time", { parse: wholeFrom(1), default: "16" }),
    cpus: value("--cpus <n>", "cores of a task", { parse: wholeFrom(1), default: "2" }),
    memory: value("--memory <GB>", "of a task", { parse: wholeFrom(1), default: "8" }),
    minutes: value("--minutes <n>", "after which Slurm ends a task (default: 60 for each unit)", {
      parse: wholeFrom(1),
    }),
    image: value("--image <name>", "Kubernetes: with Node and prunelab", { default: "prunelab:latest" }),
    claim: value("--claim <name>", "Kubernetes: the claim of the volume that holds plan and folder", {
      default: "prunelab",
    }),
  },
  examples: [
    ["plan.jsonl --for slurm --output study > study.sbatch", "then: mkdir -p study/logs && sbatch study.sbatch"],
    ["plan.jsonl --for kubernetes --output study > study.yaml", "then: kubectl apply -f study.yaml"],
  ],
  run: async ({ engine, ...values }, operands) => {
    if (!engine) throw new PrunelabError(`missing --for; choose one of ${engines.join(", ")}`);
    const units = await planOf(operands);
    return { text: arrayScript(engine as Engine, units, { ...defined(values), plan: operands[0]! }).trimEnd() };
  },
});

const status = defineCommand({
  usage: "<plan.jsonl> [options]",
  description:
    "Shows how far a sweep is: done, running, failed and missing units, from the files in the study's folder, whichever engine ran them.",
  operands: "one",
  options: { output },
  json: "counts, and the failed units with their sentences",
  examples: [["plan.jsonl --output study", "how far it is"]],
  run: async (values, operands) => {
    const found = await sweepStatus(await planOf(operands), values.output);
    return { text: statusText(found).trimEnd(), json: counts(found) };
  },
});

const collect = defineCommand({
  usage: "<plan.jsonl> [options]",
  description: `Gathers what is done into one table (table.md, table.csv; mean and spread over seeds), a plot for each task and metric (SVG), and lm-eval's files (lm-eval/).
What is missing is said, and makes exit code 1.`,
  operands: "one",
  options: { output },
  json: "the scores, and what is missing",
  examples: [["plan.jsonl --output study", "table, plots and files in study/"]],
  run: async (values, operands) => {
    const units = await planOf(operands);
    startDrawing();
    const { rows, status: found, processors } = await writeCollection(units, values.output);
    for (const { task, metric } of pairs(rows)) {
      const lines = sweepLines(rows, { task, metric });
      if (lines.series.length === 0) continue;
      const figure = sweepFigure({ title: `${task}: ${metric}`, chosen: 0.5, ...lines });
      await writeFileAtomic(`${values.output}/${task}-${metric}.svg`, await figure.svg());
    }
    if (processors.length > 1) {
      console.error(
        `units ran on ${processors.length} kinds of processor (${processors.join("; ")}): compare log-likelihoods to 1e-4`,
      );
    }
    if (found.done.length < units.length) process.exitCode = 1;
    return { text: `${tableText(rows)}${statusText(found)}${values.output}`, json: { rows, ...counts(found) } };
  },
});

const schema = defineCommand({
  description: "Prints the JSON Schema of a study file, by which editors complete and check it.",
  options: {},
  examples: [
    ["> study.schema.json", "then, as the study's first line: # yaml-language-server: $schema=study.schema.json"],
  ],
  run: async () => ({ text: JSON.stringify(studySchema(), null, 2) }),
});

export const sweep: Command = defineFamily({
  description: "Measures a study: every method at every sparsity with every seed, scored on tasks.",
  notes: `a study is a YAML file:
  model: google/gemma-3-270m
  methods: [magnitude, wanda]
  sparsities: [0, 0.25, 0.5]
  seeds: [0, 1]
  tasks: [hellaswag]
  limit: 200`,
  commands: {
    plan: { summary: "check a study and lay it out as units", command: plan },
    run: { summary: "do the units here, one after another", command: run },
    unit: { summary: "do one unit, as an array job does", command: unit },
    push: { summary: "put the units into a queue", command: push },
    work: { summary: "take units from the queue and do them", command: work },
    script: { summary: "print an array job for Slurm or Kubernetes", command: script },
    status: { summary: "show how far it is", command: status },
    collect: { summary: "gather scores, plots and lm-eval's files", command: collect },
    schema: { summary: "print the JSON Schema of a study file", command: schema },
  },
  examples: [
    ["plan study.yaml > plan.jsonl && npx prunelab sweep run plan.jsonl", "here"],
    ["push plan.jsonl --queue redis://127.0.0.1:6379", "through a queue"],
  ],
});

async function planOf([path]: readonly string[]): Promise<Unit[]> {
  if (!path) throw new PrunelabError("missing plan; name its file, which prunelab sweep plan prints");
  return await readPlan(path);
}

async function chooseUnits(
  { index, id, pack }: { readonly index: number | undefined; readonly id: string | undefined; readonly pack: number },
  operands: readonly string[],
): Promise<Unit[]> {
  const units = await planOf(operands);
  if (id !== undefined) {
    const found = units.find((each) => each.id === id);
    if (!found) throw new PrunelabError(`no such unit in the plan: ${id}`);
    return [found];
  }
  const at = index ?? arrayIndex(process.env);
  if (at === undefined) throw new PrunelabError("which unit? give --index or --id, or run it in an array job");
  const chosen = units.slice(at * pack, (at + 1) * pack);
  if (chosen.length === 0) throw new PrunelabError(`the plan has ${units.length} units; no such index: ${at}`);
  return chosen;
}

function addressOf(given: string | undefined): string {
  const address = given ?? process.env.PRUNELAB_QUEUE;
  if (!address) throw new PrunelabError("missing --queue; give an address such as redis://127.0.0.1:6379");
  return address;
}

async function costLine(units: readonly Unit[], folder: string): Promise<string> {
  const { minutes, basis } = await estimateMinutes(units, folder);
  return `${units.length} units; ${minutes === undefined ? basis : `about ${duration(60 * minutes)} one after another, ${basis}`}`;
}

function tableText(rows: readonly SweepRow[]): string {
  return rows.length === 0 ? "" : `${plainText([{ table: tableOf(rows) }])}\n\n`;
}

type Status = Awaited<ReturnType<typeof sweepStatus>>;

function counts({ total, done, running, failed, missing, damaged }: Status): Record<string, unknown> {
  return {
    ...{ total, done: done.length, running: running.length, missing: missing.length, damaged },
    failed: failed.map(({ unit: each, message, canRetry }) => ({
      id: each.id,
      name: unitName(each),
      message,
      canRetry,
    })),
    missingIds: missing.map(({ id }) => id),
  };
}

function statusText(found: Status): string {
  const { total, done, running, failed, missing, damaged } = found;
  const head = `${done.length} of ${total} units done, ${running.length} running, ${failed.length} failed, ${missing.length} missing`;
  const some = <T>(items: readonly T[], line: (item: T) => string) => [
    ...items.slice(0, 20).map(line),
    ...(items.length > 20 ? [`  and ${items.length - 20} more`] : []),
  ];
  return [
    head,
    ...some(running, ({ unit: each, host, since }) => `  running on ${host} since ${since}: ${unitName(each)}`),
    ...some(failed, ({ unit: each, message }) => `  failed: ${unitName(each)}: ${message}`),
    ...some(missing, (each) => `  missing: ${unitName(each)}`),
    ...some(damaged, (line) => `  ${line}`),
  ]
    .map((line) => `${line}\n`)
    .join("");
}

function pairs(
  rows: readonly { readonly task: string; readonly metric: string }[],
): { task: string; metric: string }[] {
  return [...new Map(rows.map(({ task, metric }) => [`${task} ${metric}`, { task, metric }])).values()];
}

/** Without the options that were not given. */
function defined<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, each]) => each !== undefined)) as never;
}
