/** What tests may find outside the repository. A test that needs one says so when it is skipped. */

import { fileURLToPath } from "node:url";

/** The seeded model of some 80,000 weights that scripts/tools/make-tiny-gemma3.ts makes: a Hugging Face folder, with a `model.gguf`. */
export const tinyModel: string = fileURLToPath(new URL("../../data/tiny-gemma3", import.meta.url));

/** A folder with `data/` and `reference/`. */
export const shared: string | undefined = process.env.PRUNELAB_SHARED;
export const skipWithoutShared: string | false = shared
  ? false
  : "set PRUNELAB_SHARED to a folder with data/ and reference/";

/** The model's GGUF file. */
export const modelFile: string | undefined = process.env.PRUNELAB_MODEL;
export const skipWithoutModel: string | false = modelFile ? false : "set PRUNELAB_MODEL to the model's GGUF file";
