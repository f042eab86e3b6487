import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toBundle } from "./display.ts";
import { createDisplayApi } from "./display-api.ts";
import { arrayText } from "./display-array.ts";
import { isFigure } from "./display-figure.ts";
import { describeError } from "./traceback.ts";

const dataOf = (value: unknown) => (toBundle(value) as { data: Record<string, unknown> }).data;

function shown(value: unknown, options?: object): Record<string, unknown> {
  let content: Record<string, unknown> = {};
  const { display } = createDisplayApi((_id, _type, sent) => {
    content = sent.data as Record<string, unknown>;
  });
  display(value, options);
  return content;
}

describe("a bundle", () => {
  it("has bytes in base64, and text as text", () => {
    const png = new Uint8Array([0x89, 0x50]);
    const own = {
      [Symbol.for("Jupyter.display")]: () => ({
        "image/png": png,
        "image/svg+xml": Buffer.from("<svg/>"),
        "application/pdf": png.buffer,
      }),
    };
    const expected = { "image/png": "iVA=", "image/svg+xml": "<svg/>", "application/pdf": "iVA=" };
    assert.deepEqual({ ...dataOf(own), "text/plain": undefined }, { ...expected, "text/plain": undefined });
    assert.equal(shown({ "image/png": png, "text/plain": "p" }, { raw: true })["image/png"], "iVA=");
    const part = Buffer.from("xx\x89Pyy", "latin1").subarray(2, 4);
    assert.equal(shown({ "image/jpeg": part })["image/jpeg"], "iVA=");
    assert.deepEqual(shown({ "application/json": { a: new Float32Array([1]) } })["application/json"], { a: [1] });
  });

  it("is what display shows of an object of MIME types", () => {
    assert.equal(shown({ "text/html": "<b>x</b>" })["text/html"], "<b>x</b>");
    assert.match(String(shown({ "text/html": "<b>x</b>", note: 1 })["text/plain"]), /note: 1/);
    assert.equal(shown({})["text/plain"], "{}");
    assert.equal(shown({ "a/b": 1 })["text/plain"], "{ 'a/b': 1 }");
  });
});

describe("a value is shown as what it is", () => {
  it("a proxy that answers to everything, or to nothing, as text and without a complaint", () => {
    const proxies = [
      new Proxy({}, { get: () => () => 1 }),
      new Proxy({}, { get: () => () => ({}) }),
      new Proxy({}, { get: () => () => undefined, has: () => true }),
      new Proxy({}, { get: () => 1, has: () => true }),
      new Proxy(
        { a: 1 },
        {
          get() {
            throw new Error("no");
          },
        },
      ),
      new Proxy(
        { a: 1 },
        {
          get() {
            throw new Error("no");
          },
          has() {
            throw new Error("no");
          },
          ownKeys() {
            throw new Error("no");
          },
        },
      ),
      new Proxy(() => {}, { get: (_target, key) => key, apply: () => 1 }),
    ];
    for (const proxy of proxies) assert.doesNotMatch(String(dataOf(proxy)["text/plain"]), /cannot display|must return/);
    const itself: object = new Proxy(() => {}, { get: () => itself, apply: () => itself });
    assert.doesNotMatch(String(dataOf(itself)["text/plain"]), /cannot display/);
  });

  it("an object with type, dims and data as a tensor only if it is one", () => {
    for (const value of [
      { type: "box", dims: [1, 2], data: [1, 2] },
      { type: "float32", dims: [2, 2], data: new Float32Array(3) },
      { type: "float32", dims: [2], data: [1, 2] },
      { type: "float32", dims: [-1], data: new Float32Array(1) },
      { type: "float32", dims: [1], data: null },
      { type: "x", dims: [], data: {} },
    ])
      assert.equal(arrayText(value), undefined, JSON.stringify(value));
    assert.match(String(arrayText({ type: "int64", dims: [], data: new BigInt64Array(1) })), /^Tensor int64 \[\]/);
    assert.match(String(arrayText({ type: "bool", dims: [2], data: new Uint8Array(2) })), /^Tensor bool/);
  });

  it("an object with data and layout as a figure only if it is one", () => {
    for (const value of [
      { data: [], layout: {} },
      { data: [{ id: 1, name: "row" }], layout: {} },
      { data: [[1, 2]], layout: {} },
      { data: [1], layout: {} },
      { data: [{ y: [1] }], layout: {}, status: 200 },
      { data: [{ x: 1, y: 2 }], layout: { columns: 2 } },
    ])
      assert.equal(isFigure(value), false, JSON.stringify(value));
    for (const trace of [
      { y: [1] },
      { type: "pie", values: new Float32Array(1) },
      { type: "indicator", value: 3 },
      { type: "heatmap", z: [[1]] },
    ])
      assert.equal(isFigure({ data: [trace], layout: {} }), true, JSON.stringify(trace));
  });

  it("an error by its message, whatever its other parts throw", () => {
    const bad = (key: string, error: Error = new RangeError("kept")) =>
      Object.defineProperty(error, key, {
        enumerable: true,
        get() {
          throw new Error("no");
        },
      });
    for (const key of ["detail", "cause", "stack", "errors", "name", "toString"]) {
      const { value, traceback } = describeError(bad(key));
      assert.equal(value, "kept", key);
      assert.match(traceback.join("\n"), /kept/, key);
    }
    assert.match(describeError(bad("detail")).traceback.join("\n"), /detail: a value that cannot be shown/);
    assert.equal(describeError(bad("message")).name, "RangeError");
    assert.equal(describeError(bad("errors", new AggregateError([], "kept"))).value, "kept");
    assert.equal(describeError(Object.assign(new Error("m"), { name: Symbol("s") })).value, "m");
  });
});
