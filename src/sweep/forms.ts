/** Forms that a unit can leave its model in. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { writeCheckpoint } from "../checkpoint/write.ts";
import { PrunelabError } from "../errors.ts";
import { exportModel } from "../model/export.ts";

export const exportForms: Readonly<Record<string, (checkpoint: Checkpoint, folder: string) => Promise<unknown>>> = {
  "safetensors:bf16": writeCheckpoint,
  "onnx:fp32": exportModel,
};

/** @throws PrunelabError where a form is unknown. */
export function checkForms(forms: readonly string[]): void {
  const unknown = forms.find((form) => !Object.hasOwn(exportForms, form));
  if (unknown === undefined) return;
  throw new PrunelabError(`unknown form: ${unknown}; choose one of ${Object.keys(exportForms).join(", ")}`);
}
