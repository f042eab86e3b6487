/** The public names. */

export { type BesidePublishedRow, besidePublished, besidePublishedFigure } from "./card/beside-published.ts";
export { cardRows } from "./card/card-table.ts";
export { type ModelCard, type ModelCardOptions, modelCard, writeModelCard } from "./card/model-card.ts";
export {
  gemmaTables,
  type PublishedTable,
  publishedRows,
  sweelolAverageMmlu,
  sweelolCard,
} from "./card/published.ts";
export { publishedFigure } from "./card/published-figure.ts";
export { type Recipe, readRecipe, writeRecipe } from "./card/recipe.ts";
export { scorePublished } from "./card/score-published.ts";
export type { CardScore } from "./card/scored-tasks.ts";
export type { Checkpoint } from "./checkpoint/checkpoint.ts";
export { writeCheckpoint } from "./checkpoint/write.ts";
export { PrunelabError } from "./errors.ts";
export { type EvaluateOptions, evaluate, evaluateCheckpoint, type ShownEvaluation } from "./evaluate/evaluate.ts";
export type { Evaluation } from "./evaluate/evaluation.ts";
export { perplexity, wikitextPerplexity } from "./evaluate/perplexity.ts";
export { writeResults } from "./evaluate/results.ts";
export { type ScoreRow, scoreRows } from "./evaluate/score-rows.ts";
export { type ExportedModel, type ExportOptions, exportModel } from "./export/export-model.ts";
export { exportForms } from "./export/forms.ts";
export { type OpenCheckpointOptions, openCheckpoint } from "./hub/open-checkpoint.ts";
export { type Pushed, type PushFile, type PushOptions, type PushPlan, pushModel, pushResults } from "./hub/push.ts";
export type { LanguageModel } from "./model/language-model.ts";
export { type LoadOptions, loadLanguageModel } from "./model/load.ts";
export { type Bar, type BarFigureOptions, type BarSeries, barFigure } from "./plot/bar-figure.ts";
export type { Figure, FigureText } from "./plot/figure.ts";
export { histogramFigure } from "./plot/histogram-figure.ts";
export {
  blockFigure,
  type LineFigureOptions,
  type LinePoint,
  type LineSeries,
  sweepFigure,
} from "./plot/line-figure.ts";
export { type LossFigureOptions, lossFigure } from "./plot/loss-figure.ts";
export { sparsityFigure } from "./plot/sparsity-figure.ts";
export type { OnProgress, Progress } from "./progress.ts";
export {
  type Calibration,
  type CalibrationOptions,
  type CalibrationPart,
  loadCalibration,
} from "./prune/calibration.ts";
export { type Inspection, inspectCheckpoint } from "./prune/inspect.ts";
export { type MaskDifference, maskDifference, maskOf } from "./prune/mask.ts";
export { maskRefinements, pruningMethods } from "./prune/methods/methods.ts";
export type { PruneOptions } from "./prune/options.ts";
export { type PrunedCheckpoint, prune } from "./prune/prune.ts";
export { type SparsityReport, sparsityReport } from "./prune/sparsity.ts";
export { type ColumnNorms, columnNorms } from "./prune/statistics.ts";
export { type WeightHistogram, type WeightHistogramOptions, weightHistogram } from "./prune/weight-histogram.ts";
export { type Comparison, compare } from "./report/compare.ts";
export { comparisonFigure } from "./report/comparison-figure.ts";
export { type FrameOptions, frame, frameCsv, frameHtml, frameMarkdown } from "./report/frame.ts";
export {
  collectSweep,
  type SweepCollection,
  type SweepRow,
  sweepLines,
  sweepSeries,
  sweepTable,
} from "./sweep/collect.ts";
export { type PlanOptions, planSweep, type Unit, unitName } from "./sweep/plan.ts";
export { type RunSweepOptions, runSweep } from "./sweep/run.ts";
export type { Study } from "./sweep/study.ts";
export type { GenerationTask } from "./tasks/output-types/generate-until.ts";
export type { RollingTask } from "./tasks/output-types/loglikelihood-rolling.ts";
export type { ChoiceTask } from "./tasks/output-types/multiple-choice.ts";
export type { Task } from "./tasks/output-types/output-types.ts";
export {
  type Adapter,
  type ApplyOptions,
  applyAdapter,
  type MergedCheckpoint,
  mergeAdapter,
  readAdapter,
  writeAdapter,
} from "./train/adapter.ts";
export type { TrainingRow } from "./train/data.ts";
export { type FinetunedCheckpoint, type FinetuneOptions, finetune } from "./train/finetune.ts";
export type { LossPoint, TrainingReport } from "./train/loop.ts";
export { type Mask, readMask, writeMask } from "./train/mask.ts";
export { type RecoveredCheckpoint, type RecoverOptions, recover } from "./train/recover.ts";
