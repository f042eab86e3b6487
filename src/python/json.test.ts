import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PythonFloat, parseJson, pythonFloat, pythonJson } from "./json.ts";

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

test("writes what it has read as Python writes what it has read", () => {
  // json.dumps(json.loads(text), ensure_ascii=False), Python 3.11
  for (const [text, expected] of [
    [
      '{"a": 1.0, "b": 1e22, "c": 1E+2, "d": -0, "e": -0.0, "f": 1.50}',
      '{"a": 1.0, "b": 1e+22, "c": 100.0, "d": 0, "e": -0.0, "f": 1.5}',
    ],
    [
      '{"a": 9007199254740993, "b": -123456789012345678901234567890}',
      '{"a": 9007199254740993, "b": -123456789012345678901234567890}',
    ],
    [
      '{"b": 1, "10": 2, "9": {"1": 0, "x": [], "0": [1.0, [2e0, 3]]}}',
      '{"b": 1, "10": 2, "9": {"1": 0, "x": [], "0": [1.0, [2.0, 3]]}}',
    ],
    ['{"a": {"x": 1.0}, "a": {"x": 1}, "b": [1.0], "b": 2, "2": 1.0, "2": 5}', '{"a": {"x": 1}, "b": 2, "2": 5}'],
    [
      '{"text": "it cost 3.5 and \\"1\\": \\\\", "n": 1.0, "": -0}',
      '{"text": "it cost 3.5 and \\"1\\": \\\\", "n": 1.0, "": 0}',
    ],
    ['[1.0, "}", {"]": 1.0}, null, true, 1e400]', '[1.0, "}", {"]": 1.0}, null, true, Infinity]'],
  ] as const) {
    assert.equal(pythonJson(parseJson(text)), expected);
    assert.deepEqual(JSON.parse(JSON.stringify(parseJson(text))), JSON.parse(JSON.stringify(JSON.parse(text))));
  }
  assert.throws(() => parseJson('{"a": 1.0'), SyntaxError);
});

test("a copy of a row keeps its spelling, a new value has its own", () => {
  const row = parseJson('{"z": 1.0, "2": 1.0, "1": "x"}') as Record<string, unknown>;
  assert.equal(pythonJson({ ...row, added: 3 }), '{"z": 1.0, "2": 1.0, "1": "x", "added": 3}');
  assert.equal(pythonJson({ ...row, z: 2 }), '{"z": 2, "2": 1.0, "1": "x"}');
});

test("reads any JSON as JSON.parse does, and writes it as Python's float and int would", () => {
  fc.assert(
    fc.property(fc.json({ stringUnit: "binary", noUnicodeString: false } as object), (text) => {
      const value = parseJson(text);
      assert.equal(JSON.stringify(value), JSON.stringify(JSON.parse(text)));
      assert.deepEqual(JSON.parse(pythonJson(value)), JSON.parse(JSON.stringify(JSON.parse(text))));
    }),
  );
});
