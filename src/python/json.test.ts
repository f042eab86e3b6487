import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PythonFloat, pythonFloat, pythonJson } from "./json.ts";

// Expected texts are Python 3.11's own.

test("spells floats as Python's repr", () => {
  const cases: [number, string][] = [
    [0.1, "0.1"],
    [1e16, "1e+16"],
    [123456789012345680, "1.2345678901234568e+17"],
    [1e15, "1000000000000000.0"],
    [9999999999999998, "9999999999999998.0"],
    [1e-4, "0.0001"],
    [9.999e-5, "9.999e-05"],
    [1.5e-7, "1.5e-07"],
    [5e-324, "5e-324"],
    [Number.MAX_VALUE, "1.7976931348623157e+308"],
    [Math.fround(-46.52348327636719), "-46.52348327636719"],
    [2 / 3, "0.6666666666666666"],
    [100, "100.0"],
    [0, "0.0"],
    [-0, "-0.0"],
    [1e100, "1e+100"],
    [Number.NaN, "nan"],
    [Number.NEGATIVE_INFINITY, "-inf"],
  ];
  for (const [value, expected] of cases) assert.equal(pythonFloat(value), expected);
});

test("a float's spelling reads back as the same float and looks like one", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = pythonFloat(value);
      assert.ok(Object.is(Number(text), value), text);
      assert.match(text, /^-?(\d{1,16}\.\d+|\d(\.\d+)?e[+-]\d{2,3})$/);
    }),
  );
});

test("spells JSON as Python does, on one line and indented", () => {
  const value = {
    a: [],
    b: {},
    c: [1, [2.5, { d: null }]],
    'é\u2028\x7f\x00"\\\n\t\b\f\r/': "𝔘\x1f",
    t: true,
    f: false,
    left: undefined,
  };
  assert.equal(
    pythonJson(value),
    '{"a": [], "b": {}, "c": [1, [2.5, {"d": null}]], "é\u2028\x7f\\u0000\\"\\\\\\n\\t\\b\\f\\r/": "𝔘\\u001f", "t": true, "f": false}',
  );
  assert.equal(
    pythonJson(value, { indent: 2 }),
    '{\n  "a": [],\n  "b": {},\n  "c": [\n    1,\n    [\n      2.5,\n      {\n        "d": null\n      }\n    ]\n  ],\n  "é\u2028\x7f\\u0000\\"\\\\\\n\\t\\b\\f\\r/": "𝔘\\u001f",\n  "t": true,\n  "f": false\n}',
  );
});

test("tells integers from floats", () => {
  const value = [
    200,
    new PythonFloat(200),
    1e21,
    12345678901234567890n,
    new PythonFloat(Number.NaN),
    Number.NEGATIVE_INFINITY,
  ];
  assert.equal(pythonJson(value), "[200, 200.0, 1000000000000000000000, 12345678901234567890, NaN, -Infinity]");
  assert.throws(() => pythonJson([() => 1]), { name: "TypeError", message: "no JSON for a function" });
});

test("writes any JSON so that it reads back the same", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), fc.constantFrom(0, 2), (value, indent) => {
      assert.deepEqual(JSON.parse(pythonJson(value, { indent })), JSON.parse(JSON.stringify(value)));
    }),
  );
});
