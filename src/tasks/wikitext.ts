/** WikiText-2: how well the model predicts whole Wikipedia articles. */
import { textField } from "../datasets/fields.ts";
import type { Row } from "../datasets/source.ts";
import { readWikitextPages } from "../datasets/wikitext-pages.ts";
import { tighten } from "../python/text.ts";
import type { RollingTask } from "./output-types/loglikelihood-rolling.ts";

interface WikitextDoc extends Row {
  readonly page: string;
}

/**
 * Merity et al., "Pointer Sentinel Mixture Models", ICLR 2017, arXiv:1609.07843. lm-eval's `wikitext`, version 2.0, whose sets
 * are articles: the spaces that WikiText puts around punctuation are taken away, but words and bytes are counted before that.
 */
export const wikitext: RollingTask<WikitextDoc> = {
  task: "wikitext",
  label: "WikiText-2",
  outputType: "loglikelihood_rolling",
  version: 2,
  dataset: {
    path: "EleutherAI/wikitext_document_level",
    name: "wikitext-2-raw-v1",
    folder: {
      files: {
        train: ["wikitext2/wiki.train.raw"],
        validation: ["wikitext2/wiki.valid.raw"],
        test: ["wikitext2/wiki.test.raw"],
      },
      read: readWikitextPages,
    },
  },
  splits: { training: "train", validation: "validation", test: "test" },
  fewshotSampler: "default",
  processDoc: (row) => ({ ...row, page: textField(row, "page") }),
  docToTarget: (doc) => detokenize(doc.page),
  docToCount: (doc) => doc.page,
  metrics: ["word_perplexity", "byte_perplexity", "bits_per_byte"],
  config: {
    doc_to_text: "",
    doc_to_target: "the article, without the spaces around punctuation",
    process_results: "words and bytes of the article as it is",
    doc_to_decontamination_query: "{{page}}",
  },
};

type Step = (text: string) => string;
const each =
  (between: string | RegExp, becomes: string): Step =>
  (text) =>
    text.replaceAll(between, becomes);

/** lm-eval's steps, in their order. */
const STEPS: readonly Step[] = [
  each("s '", "s'"),
  // Meant for quotes, but the slashes stand for themselves.
  each(/\/' [0-9]\//g, "/'[0-9]/"),
  each(" @-@ ", "-"),
  each(" @,@ ", ","),
  each(" @.@ ", "."),
  ...[":", ";", ".", "!", "?", ","].map((mark) => each(` ${mark} `, `${mark} `)),
  ...["()", "[]", "{}", '""', "''"].map(
    ([open, close]): Step =>
      (text) =>
        tighten(text, open!, close!),
  ),
  each("= = = =", "===="),
  each("= = =", "==="),
  each("= =", "=="),
  each(" ° ", "°"),
  each(" \n", "\n"),
  each("\n ", "\n"),
  each(" N ", " 1 "),
  each(" 's", "'s"),
];

function detokenize(page: string): string {
  return STEPS.reduce((text, step) => step(text), page);
}
