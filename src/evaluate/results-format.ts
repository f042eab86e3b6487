/**
 * lm-eval 0.4.13's results and samples files, key by key (its `result_schema.py`, `evaluation_tracker.py`).
 * `Float` is number in a file that was read, and PythonFloat in one to be written, where 1 must be spelled `1.0`.
 */

import type { OutputTypeName } from "../tasks/output-types/output-types.ts";
import type { Decision } from "./evaluation.ts";

/** `results_<date>.json`. */
export interface ResultsFile<Float = number> {
  /** Metrics by task, and then by group. */
  readonly results: Readonly<Record<string, ResultEntry<Float>>>;
  /** The groups' entries of `results` again; absent where no group was scored. */
  readonly groups?: Readonly<Record<string, ResultEntry<Float>>> | undefined;
  /** Names of a group's direct members. */
  readonly group_subtasks: Readonly<Record<string, readonly string[]>>;
  readonly configs: Readonly<Record<string, TaskConfig<Float>>>;
  /** A task's version is a float, a group's a string. */
  readonly versions: Readonly<Record<string, Float | string>>;
  /** Number of examples in the prompt. */
  readonly "n-shot": Readonly<Record<string, number>>;
  readonly higher_is_better: Readonly<Record<string, Readonly<Record<string, boolean>>>>;
  /** Documents in the split, and documents scored. */
  readonly "n-samples": Readonly<Record<string, { readonly original: number; readonly effective: number }>>;
  readonly config: RunConfig<Float>;
  readonly git_hash: null;
  /** Start, in seconds since 1970. */
  readonly date: Float;
  readonly pretty_env_info: string;
  /** Always "N/A", lm-eval's own word where that library is not in use. */
  readonly transformers_version: string;
  /** The version whose rules were followed; the program itself is named in `prunelab`. */
  readonly lm_eval_version: string;
  readonly upper_git_hash: null;
  /** Text and id of a token. */
  readonly tokenizer_pad_token: readonly [string, string];
  readonly tokenizer_eos_token: readonly [string, string];
  readonly tokenizer_bos_token: readonly [string | null, string];
  readonly eot_token_id: number;
  readonly max_length: number;
  /** SHA-256 over the doc, prompt and target hashes of all samples. */
  readonly task_hashes: Readonly<Record<string, string>>;
  readonly model_source: string;
  readonly model_name: string;
  readonly model_name_sanitized: string;
  readonly system_instruction: string | null;
  readonly system_instruction_sha: string | null;
  /** Null without a chat template. */
  readonly fewshot_as_multiturn: boolean | null;
  readonly chat_template: string | null;
  readonly chat_template_sha: string | null;
  readonly total_evaluation_time_seconds: string;
  /** Ours, and not in lm-eval's files. */
  readonly prunelab: {
    readonly version: string;
    readonly model_digest: string;
    /** Where each task's documents were read, and whether all of the split were there. */
    readonly data_sources: Readonly<Record<string, { kind: string; where: string; complete: boolean }>>;
    /** Where each task's examples were read, and whether lm-eval would have drawn the same; absent without examples. */
    readonly example_sources?:
      | Readonly<Record<string, { kind: string; where: string; draw: "lm-eval's draw" | "not lm-eval's draw" }>>
      | undefined;
    /** Tasks that were stopped when their change against another model was decided; absent if none was to be. */
    readonly decisions?: Readonly<Record<string, Decision>> | undefined;
    /** A random subset of the documents, where one was asked for. */
    readonly sampled?: { readonly count: number; readonly seed: number } | undefined;
  };
}

/** The metrics of a task or a group, under keys such as `"acc,none"` and `"acc_stderr,none"`; "N/A" is not a value. */
export interface ResultEntry<Float = number> {
  readonly name: string;
  readonly alias: string;
  /** Documents scored. */
  readonly sample_len: number;
  readonly [metric: `${string},${string}`]: Float | "N/A";
  /** Documents behind each metric; groups only. */
  readonly sample_count?: Readonly<Record<string, number>>;
}

/** How a task was asked. */
export interface TaskConfig<Float = number> {
  readonly task: string;
  readonly task_alias?: string | undefined;
  readonly dataset_path: string;
  readonly dataset_name?: string | undefined;
  readonly training_split?: string | undefined;
  readonly validation_split?: string | undefined;
  readonly test_split?: string | undefined;
  readonly fewshot_split?: string | undefined;
  readonly process_docs?: string | undefined;
  readonly doc_to_text: string;
  readonly doc_to_target: string;
  readonly unsafe_code: false;
  readonly doc_to_choice?: string | readonly string[] | undefined;
  readonly process_results?: string | undefined;
  readonly description: string;
  readonly target_delimiter: string;
  readonly fewshot_delimiter: string;
  readonly fewshot_config: Readonly<Record<string, unknown>>;
  readonly num_fewshot: number;
  /** With `ignore_case` and `ignore_punctuation` where texts are compared. */
  readonly metric_list: readonly Readonly<Record<string, string | boolean>>[];
  readonly output_type: OutputTypeName;
  readonly generation_kwargs?: Readonly<Record<string, unknown>> | undefined;
  readonly repeats: number;
  readonly filter_list?: readonly Readonly<Record<string, unknown>>[] | undefined;
  readonly should_decontaminate: boolean;
  readonly doc_to_decontamination_query?: string | undefined;
  readonly metadata: { readonly version: Float; readonly pretrained: string; readonly config_source: string };
}

/** How the run was started. */
export interface RunConfig<Float = number> {
  readonly model: string;
  readonly model_args: { readonly pretrained: string };
  readonly model_num_parameters: number;
  readonly model_dtype: string;
  readonly model_revision: string;
  readonly model_sha: string;
  readonly batch_size: string;
  readonly batch_sizes: readonly number[];
  readonly device: string;
  readonly use_cache: null;
  readonly limit: Float | null;
  /** lm-eval's default; no metric here needs a bootstrap. */
  readonly bootstrap_iters: number;
  readonly gen_kwargs: Readonly<Record<string, never>>;
  readonly random_seed: number;
  readonly numpy_seed: number;
  readonly torch_seed: number;
  readonly fewshot_seed: number;
}

/**
 * A line of `samples_<task>_<date>.jsonl`; after the named keys follow the metrics' values: 0 or 1, or of whole texts the
 * log-likelihood and the number of words or bytes.
 */
export interface SampleLine<Float = number> {
  /** Index of the document within the split. */
  readonly doc_id: number;
  readonly doc: Readonly<Record<string, unknown>>;
  /** The right choice's index, or a text where the task has one; a Python list of the right texts; the whole text. */
  readonly target: string;
  /** The requests, under `gen_args_0`, `gen_args_1` …: context and continuation, or context and how to go on, or the text. */
  readonly arguments: Readonly<Record<string, { readonly arg_0: string; readonly arg_1?: unknown }>>;
  /** For each request its one answer: the log-likelihood in Python's spelling, and "True" where greedy; or a text. */
  readonly resps: readonly (readonly [string | readonly [string, string]])[];
  readonly filtered_resps: readonly (string | readonly [string, string])[];
  readonly filter: string;
  /** Names of the metrics that follow. */
  readonly metrics: readonly string[];
  /** SHA-256 of the document as indented JSON. */
  readonly doc_hash: string;
  /** SHA-256 of the first request's context. */
  readonly prompt_hash: string;
  /** SHA-256 of the target. */
  readonly target_hash: string;
  readonly acc?: Float;
  readonly acc_norm?: Float;
}
