/** The public names, in the order of the pipeline. */
export type { Checkpoint } from "./checkpoint/checkpoint.ts";
export { writeCheckpoint } from "./checkpoint/write.ts";
export { type Comparison, compare } from "./compare.ts";
export { PrunelabError } from "./errors.ts";
export { type EvaluateOptions, evaluate } from "./evaluate/evaluate.ts";
export type { Evaluation } from "./evaluate/evaluation.ts";
export { perplexity } from "./evaluate/perplexity.ts";
export { writeResults } from "./evaluate/results.ts";
export { wikitextPerplexity } from "./evaluate/wikitext-perplexity.ts";
export { exportModel } from "./model/export.ts";
export type { LanguageModel } from "./model/language-model.ts";
export { type LoadOptions, loadLanguageModel } from "./model/load.ts";
export { type OpenCheckpointOptions, openCheckpoint } from "./open-checkpoint.ts";
export type { OnProgress, Progress } from "./progress.ts";
export type { PruneOptions } from "./prune/options.ts";
export { prune } from "./prune/prune.ts";
export type { ChoiceTask, GenerationTask, RollingTask, Task } from "./tasks/task.ts";
