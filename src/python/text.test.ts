import assert from "node:assert/strict";
import { test } from "node:test";
import { capitalize, countWords, length, pythonList, strip } from "./text.ts";

// Expected values are Python 3.11's own.

test("capitalize raises the first character and lowers the rest", () => {
  const cases = {
    "": "",
    a: "A",
    "the SUN": "The sun",
    " x Y": " x y",
    "ÉTÉ À LA MER": "Été à la mer",
    ǆABC: "ǅabc",
    ǳ: "ǲ",
    ßX: "Ssx",
    ﬁN: "Fin",
    ŉA: "ʼNa",
    ᾳX: "ᾼx",
    ᾷX: "\u0391\u0342\u0345x",
    აბ: "აბ",
    ΣΑΣ: "Σας",
    "ΑΣ Β": "Ας β",
    İI: "İi",
    𐐨𐐀: "𐐀𐐨",
    "1A": "1a",
  };
  for (const [text, expected] of Object.entries(cases)) assert.equal(capitalize(text), expected, text);
});

test("strip takes Python's white space", () => {
  assert.equal(strip(" \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u2000\u2028\u3000a b\u202f\u205f\u1680 "), "a b");
  assert.equal(strip("\ufeffa\u200b"), "\ufeffa\u200b");
  assert.equal(strip(" \n"), "");
});

test("length counts code points", () => {
  assert.equal(length("aé𝔘👍🏽"), 5);
  assert.equal(length("\ud800x"), 2);
  assert.equal(length(""), 0);
});

test("a list of texts is spelled as Python's str does", () => {
  const texts = [
    "a",
    "it's",
    'say "x"',
    "both ' and \"",
    "back\\slash",
    "\n\r\t\u0000\u007f\u00a0\u00ad",
    "\u00e9 \ud83d\ude42 \u2028 \ue000",
    "\udb40\udc01",
    "",
  ];
  assert.equal(
    pythonList(texts),
    "['a', \"it's\", 'say \"x\"', 'both \\' and \"', 'back\\\\slash', '\\n\\r\\t\\x00\\x7f\\xa0\\xad', '\u00e9 \ud83d\ude42 \\u2028 \\ue000', '\\U000e0001', '']",
  );
  assert.equal(pythonList([]), "[]");
  assert.equal(countWords(" a  b\n"), 4);
  assert.equal(countWords(""), 1);
});
