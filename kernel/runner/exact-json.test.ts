import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { type ExactNumber, formatExact, parseExact } from "./exact-json.ts";

it("gives numbers back as they were written", () => {
  for (const number of [
    "1.0",
    "-0",
    "1e-05",
    "1E5",
    "0.10",
    "12345678901234567890",
    "1e400",
    "NaN",
    "-Infinity",
    "Infinity",
  ]) {
    const text = `{\n "a": ${number},\n "b": [\n  ${number}\n ]\n}`;
    assert.equal(formatExact(parseExact(text)), text);
    assert.equal(Number((parseExact(text) as { a: ExactNumber }).a), Number(number));
  }
  assert.deepEqual(parseExact('{"nbformat": 4, "x": 0.5, "text": "1.0 \\" NaN 1.0"}'), {
    nbformat: 4,
    x: 0.5,
    text: '1.0 " NaN 1.0',
  });
});

it("is JSON.parse for all that JavaScript can hold, and reports the same mistakes", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      assert.deepEqual(JSON.parse(formatExact(parseExact(text))), JSON.parse(text));
    }),
  );
  for (const bad of ["01", "1.", "--1", "[1,]", "1.0.0", "{1.0: 2}", "+1", "1.0 2.0"])
    assert.throws(() => parseExact(bad), SyntaxError, bad);
});
