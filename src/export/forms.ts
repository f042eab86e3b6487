/** The forms that a model leaves in, a literal each. */
import { PrunelabError } from "../errors.ts";
import type { Form } from "./form.ts";
import { ggufForms } from "./gguf.ts";
import { huggingFaceForms } from "./hugging-face.ts";
import { onnxForms } from "./onnx.ts";
import { sparse } from "./sparse.ts";

/** In the order of the help. */
export const exportForms: readonly Form[] = [...huggingFaceForms, ...onnxForms, ...ggufForms, sparse];

/** @throws PrunelabError if there is no such form. */
export function findForm(name: string): Form {
  const form = exportForms.find((form) => form.name === name);
  if (form) return form;
  if (/^gguf:(q[45]_1|q[245]_k(_[sml])?|i?q4_nl|iq4_xs)$/i.test(name)) {
    throw new PrunelabError(
      `${name} is not written: its blocks have an offset or no level at zero, so pruned weights would not stay zero; choose gguf:q4_0, gguf:q5_0 or gguf:q8_0`,
    );
  }
  throw new PrunelabError(`unknown form: ${name}; choose one of ${exportForms.map((form) => form.name).join(", ")}`);
}
