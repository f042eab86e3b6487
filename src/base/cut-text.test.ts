import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { cutText } from "./cut-text.ts";

it("cuts no character in two, and no more than it must", () => {
  assert.equal(cutText("ab😀", 3), "ab");
  assert.equal(cutText("ab😀c", 4), "ab😀");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(20), (text, limit) => {
      const cut = cutText(text, limit);
      return (
        Buffer.from(cut).toString() === cut &&
        text.startsWith(cut) &&
        cut.length <= limit &&
        cut.length >= Math.min(text.length, limit) - 1
      );
    }),
  );
});
