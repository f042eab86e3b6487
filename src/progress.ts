/** What a long step tells of how far it is. */
/** How far a long step has come. `total` is 0 where it is not known. */
export interface Progress {
  /** What is being done, e.g. `"download model.safetensors"`, `"prune"`, `"score hellaswag"`. */
  readonly step: string;
  readonly done: number;
  readonly total: number;
  /** What is counted: `"bytes"`, `"tensors"`, `"documents"`. */
  readonly unit: string;
}

/** Called often; must be cheap. */
export type OnProgress = (progress: Progress) => void;
