/** What a form of the table is: a way in which a model leaves Prunelab. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";

/** What a form will write. */
export interface ExportPlan {
  /** The files that hold weights, from the folder on: what is never written over without `force`. */
  readonly weights: readonly string[];
  /** Other files that would no longer belong to the weights, and are removed with `force`. */
  readonly replaces?: readonly string[];
  /** What all files take on the disk, at most. */
  readonly bytes: number;
}

/** What a caller may choose of a form's files. */
export interface FormSettings {
  /** The most that a file of safetensors holds. */
  readonly shardBytes: number;
}

export interface Form {
  /** As `--to` names it: `"gguf:q8_0"`. */
  readonly name: string;
  /** What it is for, in a line. */
  readonly summary: string;
  /** Looks at the model and writes nothing. Throws a PrunelabError where the model cannot have this form. */
  readonly plan: (checkpoint: Checkpoint, settings: FormSettings) => ExportPlan | Promise<ExportPlan>;
  /** Writes each file whole or not at all, weights last. */
  readonly write: (
    checkpoint: Checkpoint,
    folder: string,
    onProgress: OnProgress | undefined,
    settings: FormSettings,
  ) => Promise<void>;
  /** Reads what was written again. Throws a PrunelabError where it is not the model that it should be. Returns what else the user should know. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most have nothing to add.
  readonly check: (checkpoint: Checkpoint, folder: string, onProgress?: OnProgress) => Promise<string | void>;
}

/** What `check` throws. */
export function notAsWritten(path: string, what: string): PrunelabError {
  return new PrunelabError(
    `${path} is not what was written: ${what}; the disk or another program changed it, write it again`,
  );
}
