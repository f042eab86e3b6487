/** An evaluation in lm-eval's files: one of results, and for each task one of samples. */
import { createHash } from "node:crypto";
import { arch, platform } from "node:os";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import { packageVersion } from "../base/package-root.ts";
import { PythonFloat, pythonFloat, pythonJson } from "../python/json.ts";
import type { TaskGroup } from "../tasks/find-tasks.ts";
import { aggregationOf, type Metrics, outputTypeOf, type Task } from "../tasks/output-types/output-types.ts";
import { FEWSHOT_DELIMITER, TARGET_DELIMITER } from "../tasks/output-types/prompt.ts";
import type { Evaluation, TaskEvaluation } from "./evaluation.ts";
import type { ResultEntry, ResultsFile, SampleLine, TaskConfig } from "./results-format.ts";

/** Paths of what was written. */
export interface WrittenResults {
  readonly results: string;
  /** By task. */
  readonly samples: Readonly<Record<string, string>>;
}

/**
 * Writes `<folder>/<model>/results_<date>.json` and, for each task, `samples_<task>_<date>.jsonl`, as lm-eval does.
 *
 * @param options.now Names the files; by default the time of the call.
 * @throws PrunelabError if the disk is full or the folder cannot be written.
 */
export async function writeResults(
  evaluation: Evaluation,
  folder: string,
  { now = new Date() }: { readonly now?: Date } = {},
): Promise<WrittenResults> {
  const parent = join(folder, sanitizeName(evaluation.model.name));
  const date = dateOfFile(now);
  const samples: Record<string, string> = {};
  const hashes: Record<string, string> = {};
  for (const evaluated of evaluation.tasks) {
    const { task } = evaluated;
    const lines = sampleLines(evaluated);
    const path = join(parent, `samples_${task.task}_${date}.jsonl`);
    await writeFileAtomic(path, lines.map((line) => `${pythonJson(line)}\n`).join(""));
    samples[task.task] = path;
    hashes[task.task] = taskHash(lines);
  }
  const results = join(parent, `results_${date}.json`);
  await writeFileAtomic(results, pythonJson(resultsFile(evaluation, hashes), { indent: 2 }));
  return { results, samples };
}

/** A task's samples as lines of its file, in their order. */
function sampleLines({ task, samples }: TaskEvaluation): SampleLine<PythonFloat>[] {
  const outputType = outputTypeOf(task);
  return samples.map((sample) => {
    const { target, requests, resps, filtered_resps, metrics } = outputType.line(task, sample);
    const named = requests.map((values, index) => [
      `gen_args_${index}`,
      Object.fromEntries(values.map((value, place) => [`arg_${place}`, value])),
    ]);
    return {
      doc_id: sample.docId,
      doc: sample.doc,
      target,
      arguments: Object.fromEntries(named),
      resps,
      filtered_resps,
      filter: filterName(task),
      metrics: task.metrics,
      doc_hash: sha256(pythonJson(sample.doc, { indent: 2 })),
      prompt_hash: sha256(requests[0]![0]),
      target_hash: sha256(target),
      ...metrics,
    };
  });
}

/** lm-eval's hash of a task's documents, prompts and targets; equal hashes mean that the same was asked. */
function taskHash(lines: readonly SampleLine<unknown>[]): string {
  return sha256(lines.map((line) => line.doc_hash + line.prompt_hash + line.target_hash).join(""));
}

/** The filter in the metrics' keys. */
function filterName(task: Task): string {
  return outputTypeOf(task).filter?.(task) ?? "none";
}

/** Hex digest of a text in UTF-8, as lm-eval writes its hashes. */
function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

/** The results file of an evaluation. `hashes` are those of its tasks by name. */
function resultsFile(evaluation: Evaluation, hashes: Readonly<Record<string, string>>): ResultsFile<PythonFloat> {
  const { model, tasks, prompting, startedAt, seconds } = evaluation;
  const { pad, eos, bos } = model.specialTokens;
  // Groups of tasks come before groups of groups.
  const isOuter = (group: TaskGroup) => evaluation.groups.some((other) => group.members.includes(other.group.group));
  const [outer, inner] = [true, false].map((wanted) =>
    evaluation.groups.filter(({ group }) => isOuter(group) === wanted),
  );
  const groups = Object.fromEntries([...inner!, ...outer!].map(groupEntry));
  return {
    results: { ...byTask(tasks, taskEntry), ...groups },
    groups: evaluation.groups.length > 0 ? groups : undefined,
    group_subtasks: Object.fromEntries(evaluation.groups.map(({ group }) => [group.group, group.members])),
    configs: sorted(byTask(tasks, (task) => taskConfig(task, model.name))),
    versions: sorted({
      ...byTask(tasks, ({ task }) => new PythonFloat(task.version)),
      ...Object.fromEntries(evaluation.groups.map(({ group }) => [group.group, String(group.version)])),
    }),
    "n-shot": sorted({
      ...byTask(tasks, ({ fewshotCount }) => fewshotCount),
      ...forGroupsOfTasks(evaluation, ({ fewshotCount }) => fewshotCount),
    }),
    higher_is_better: sorted({ ...byTask(tasks, higherIsBetter), ...forGroupsOfTasks(evaluation, higherIsBetter) }),
    "n-samples": byTask(tasks, ({ originalCount, samples }) => ({
      original: originalCount,
      effective: samples.length,
    })),
    config: {
      model: "prunelab",
      model_args: { pretrained: model.name },
      model_num_parameters: model.parameterCount,
      model_dtype: "float32",
      model_revision: "",
      model_sha: "",
      batch_size: "auto",
      batch_sizes: [],
      device: model.device,
      use_cache: null,
      limit: evaluation.limit === null ? null : new PythonFloat(evaluation.limit),
      bootstrap_iters: 100_000,
      gen_kwargs: {},
      random_seed: 0,
      numpy_seed: 1234,
      torch_seed: 1234,
      fewshot_seed: 1234,
    },
    git_hash: null,
    date: new PythonFloat(startedAt.getTime() / 1000),
    pretty_env_info: `Node ${process.version}, ${platform()} ${arch()}`,
    transformers_version: "N/A",
    lm_eval_version: "0.4.13",
    upper_git_hash: null,
    tokenizer_pad_token: [pad[0], String(pad[1])],
    tokenizer_eos_token: [eos[0], String(eos[1])],
    // Python's None where a tokenizer has no BOS.
    tokenizer_bos_token: bos ? [bos[0], String(bos[1])] : [null, "None"],
    eot_token_id: eos[1],
    max_length: model.maxLength,
    task_hashes: hashes,
    model_source: "prunelab",
    model_name: model.name,
    model_name_sanitized: sanitizeName(model.name),
    system_instruction: prompting?.systemInstruction ?? null,
    system_instruction_sha: prompting?.systemInstruction ? sha256(prompting.systemInstruction) : null,
    fewshot_as_multiturn: prompting?.fewshotAsMultiturn ?? null,
    chat_template: prompting?.chatTemplate ?? null,
    chat_template_sha: prompting?.chatTemplate ? sha256(prompting.chatTemplate) : null,
    total_evaluation_time_seconds: pythonFloat(seconds),
    prunelab: {
      version: packageVersion(),
      model_digest: model.digest,
      data_sources: byTask(tasks, ({ source: { kind, where, complete } }) => ({ kind, where, complete })),
      example_sources: exampleSources(tasks),
      decisions: decisions(tasks),
      sampled: evaluation.sampled,
    },
  };
}

function decisions(tasks: readonly TaskEvaluation[]): ResultsFile["prunelab"]["decisions"] {
  const entries = tasks.flatMap(({ task, decision }) => (decision ? [[task.task, decision] as const] : []));
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

function exampleSources(tasks: readonly TaskEvaluation[]): ResultsFile["prunelab"]["example_sources"] {
  const entries = tasks.flatMap(({ task, examples }) => {
    if (!examples) return [];
    const { kind, where } = examples.source;
    const draw = examples.isLmEvalDraw ? ("lm-eval's draw" as const) : ("not lm-eval's draw" as const);
    return [[task.task, { kind, where, draw }] as const];
  });
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

function taskEntry({ task, samples, metrics }: TaskEvaluation): ResultEntry<PythonFloat> {
  const alias = task.task_alias ?? task.task;
  return { name: task.task, alias, sample_len: samples.length, ...metricValues(metrics, filterName(task)) };
}

function groupEntry({ group, sampleCount, metrics }: Evaluation["groups"][number]): [string, ResultEntry<PythonFloat>] {
  const entry = {
    alias: group.group_alias ?? group.group,
    name: group.group,
    sample_len: sampleCount,
    ...metricValues(metrics, "none"),
    sample_count: Object.fromEntries(Object.keys(metrics).map((metric) => [`${metric},none`, sampleCount])),
  };
  return [group.group, entry];
}

function metricValues(metrics: Metrics, filter: string): Record<string, PythonFloat | "N/A"> {
  return Object.fromEntries(
    Object.entries(metrics).flatMap(([metric, { value, stderr }]) => [
      [`${metric},${filter}`, new PythonFloat(value)],
      [`${metric}_stderr,${filter}`, stderr === null ? "N/A" : new PythonFloat(stderr)],
    ]),
  );
}

function taskConfig({ task, fewshotCount }: TaskEvaluation, modelName: string): TaskConfig<PythonFloat> {
  const { process_docs, doc_to_text, doc_to_choice, doc_to_target, process_results, doc_to_decontamination_query } =
    task.config ?? sourceOf(task);
  const delimiters = { fewshot_delimiter: FEWSHOT_DELIMITER, target_delimiter: TARGET_DELIMITER };
  const { matching, generation_kwargs, filter_list } = outputTypeOf(task).config?.(task) ?? {};
  return {
    task: task.task,
    task_alias: task.task_alias,
    dataset_path: task.dataset.path,
    dataset_name: task.dataset.name,
    training_split: task.splits.training,
    validation_split: task.splits.validation,
    test_split: task.splits.test,
    fewshot_split: task.splits.fewshot,
    process_docs,
    doc_to_text,
    doc_to_target,
    unsafe_code: false,
    doc_to_choice,
    process_results,
    description: task.description ?? "",
    target_delimiter: delimiters.target_delimiter,
    fewshot_delimiter: delimiters.fewshot_delimiter,
    fewshot_config: {
      sampler: task.fewshotSampler ?? "default",
      split: task.splits.fewshot ?? null,
      process_docs: process_docs ?? null,
      fewshot_indices: null,
      samples: null,
      doc_to_text,
      doc_to_choice: doc_to_choice ?? null,
      doc_to_target,
      gen_prefix: null,
      ...delimiters,
    },
    num_fewshot: fewshotCount,
    metric_list: task.metrics.map((metric: string) => ({
      metric,
      aggregation: aggregationOf(task, metric),
      higher_is_better: isHigherBetter(task, metric),
      ...matching,
    })),
    output_type: task.outputType,
    generation_kwargs,
    repeats: 1,
    filter_list,
    should_decontaminate: doc_to_decontamination_query !== undefined,
    doc_to_decontamination_query,
    metadata: { version: new PythonFloat(task.version), pretrained: modelName, config_source: "prunelab" },
  };
}

/** What a task of the user's own does, in its own language. */
function sourceOf(task: Task): NonNullable<Task["config"]> {
  return {
    doc_to_text: "docToText" in task ? String(task.docToText) : "",
    ...("docToChoice" in task && { doc_to_choice: String(task.docToChoice) }),
    doc_to_target: String(task.docToTarget),
  };
}

function isHigherBetter(task: Task, metric: string): boolean {
  return aggregationOf(task, metric) === "mean";
}

function higherIsBetter({ task }: TaskEvaluation): Record<string, boolean> {
  return Object.fromEntries(task.metrics.map((metric: string) => [metric, isHigherBetter(task, metric)]));
}

/** A value of its first member for each group whose members are tasks; lm-eval leaves groups of groups out. */
function forGroupsOfTasks<Value>(
  { tasks, groups }: Evaluation,
  pick: (task: TaskEvaluation) => Value,
): Record<string, Value> {
  return Object.fromEntries(
    groups.flatMap(({ group }) => {
      const member = tasks.find(({ task }) => group.members.includes(task.task));
      return member ? [[group.group, pick(member)]] : [];
    }),
  );
}

function byTask<Value>(tasks: readonly TaskEvaluation[], pick: (task: TaskEvaluation) => Value): Record<string, Value> {
  return Object.fromEntries(tasks.map((evaluated) => [evaluated.task.task, pick(evaluated)]));
}

function sorted<Value>(record: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A model's name as a folder's. */
export function sanitizeName(name: string): string {
  return name.replace(/["<>:/|\\?*[\]]+/g, "__");
}

/** Local time as Python's `isoformat()` writes it, with `-` for `:`. */
function dateOfFile(now: Date): string {
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000);
  return local.toISOString().replace("Z", "000").replaceAll(":", "-");
}
