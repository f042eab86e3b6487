import assert from "node:assert/strict";
import { test } from "node:test";
import { wikitext } from "./wikitext.ts";

// Expected texts: lm-eval 0.4.13's wikitext_detokenizer.
const texts: readonly [page: string, text: string][] = [
  [" = Title = \n \n = = Part = = \n = = = Deep = = = \n", " = Title =\n\n== Part ==\n=== Deep ===\n"],
  [
    "the boys ' own 5 @,@ 000 @-@ strong , 3 @.@ 5 . Yes ! No ? a ; b : c",
    "the boys' own 5,000-strong, 3.5. Yes! No? a; b: c",
  ],
  ["( a ) [ b ] { c } \" d e \" ' f ' ( g \n )", "(a) [b] {c} \"d e\" 'f' (g)"],
  ["it 's 20 \u00b0 C , N = 1 and N N", "it's 20\u00b0C, 1 = 1 and 1 N"],
  ["unbalanced ( here \" and ' there", "unbalanced ( here \" and ' there"],
  ["\u001c( x\u0085)\u2003", "\u001c(x)\u2003"],
  ["\ud83d\ude42 ( \ud83d\ude42 )", "\ud83d\ude42 (\ud83d\ude42)"],
  ["/' 5/ ( a ( b ) c )", "/'[0-9]/ (a ( b) c )"],
  ["", ""],
];

test("takes away the spaces that WikiText has around punctuation, as lm-eval does", () => {
  for (const [page, text] of texts) assert.equal(wikitext.docToTarget({ page }), text);
});
