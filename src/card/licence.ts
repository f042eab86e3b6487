/** Under which terms a base model stands, and so everything that is made from it: a row for each owner's models. */

export interface Licence {
  /** Ids on the Hub that it holds for. */
  readonly bases: RegExp;
  /** The Hub's identifier (https://huggingface.co/docs/hub/repositories-licenses). */
  readonly id: string;
  readonly name: string;
  readonly url: string;
  /** What a published derivative must do, in a sentence or two. */
  readonly duties: string;
  /** What must stand in a file `NOTICE` beside the weights. */
  readonly notice?: string;
}

const gemma: Licence = {
  bases: /(^|\/)gemma-/i,
  id: "gemma",
  name: "Gemma Terms of Use",
  url: "https://ai.google.dev/gemma/terms",
  // Section 3.1 of the terms.
  duties:
    "A pruned Gemma is a Model Derivative under these terms: whoever passes it on passes on their use restrictions (the Prohibited Use Policy), gives a copy of the terms, says that the files were changed, and keeps the file NOTICE beside them. A card that names another licence for it, such as Apache-2.0, is wrong.",
  notice: "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
};

const apache: Omit<Licence, "bases"> = {
  id: "apache-2.0",
  name: "Apache License 2.0",
  url: "https://www.apache.org/licenses/LICENSE-2.0",
  duties: "Whoever passes it on gives a copy of the licence, keeps the notices, and says that the files were changed.",
};

const licences: readonly Licence[] = [
  gemma,
  { bases: /^(HuggingFaceTB\/SmolLM|TinyLlama\/|allenai\/OLMo-2)/i, ...apache },
  // 3B and 72B of Qwen2.5 have licences of their own.
  { bases: /^Qwen\/(Qwen3|Qwen2(\.5)?-(0\.5B|1\.5B|7B|14B|32B))/i, ...apache },
];

/** The licence of a base; undefined where it is not known. A Gemma is told by its family, whatever it is called. */
export function licenceOf(base: string, modelType: string): Licence | undefined {
  return modelType.startsWith("gemma") ? gemma : licences.find(({ bases }) => bases.test(base));
}
