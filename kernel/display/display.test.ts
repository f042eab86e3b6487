import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MimeBundle } from "../protocol/worker-channel.ts";
import { toBundle } from "./display.ts";
import { interactiveHtml, plotlyHtml, setInteractive } from "./display-figure.ts";
import { html, md, svg } from "./markup.ts";

function dataOf(value: unknown): Record<string, unknown> {
  return (toBundle(value) as MimeBundle).data;
}

/** As danfojs-node 1.2 has it. */
function frame(rows: number) {
  return {
    $isSeries: false,
    shape: [rows, 2],
    columns: ["a", "b<"],
    dtypes: ["int32", "float32"],
    index: Array.from({ length: rows }, (_, i) => i),
    values: Array.from({ length: rows }, (_, i) => [i, i / 3]),
  };
}

describe("a value's bundle", () => {
  it("is its own where it has a display method", () => {
    const shown = { [Symbol.for("Jupyter.display")]: () => ({ "text/html": "<b>x</b>" }) };
    assert.deepEqual(dataOf(shown), { "text/html": "<b>x</b>", "text/plain": "[Object]" });
  });

  it("is text without colour codes, cut where it is long", () => {
    assert.deepEqual(dataOf("a"), { "text/plain": "'a'" });
    assert.deepEqual(dataOf(-0), { "text/plain": "-0" });
    assert.match(String(dataOf(Array(90).fill("x".repeat(5000)))["text/plain"]).slice(-40), /… \d+ more characters$/);
  });

  it("sums up typed arrays and tensors", () => {
    assert.equal(dataOf(new Int8Array([1, 2]))["text/plain"], "Int8Array(2) [ 1, 2 ]");
    const long = new Float32Array(1_000_000);
    long[999_999] = Number.NaN;
    assert.equal(
      dataOf(long)["text/plain"],
      "Float32Array(1000000) [ 0, 0, 0, 0, 0, …, 0, 0, 0, 0, NaN ] min 0, max 0, mean 0, 999999 zeros, 1 not finite",
    );
    const tensor = { type: "float32", dims: [2, 2], data: new Float32Array([1, 2, 3, 0.1]) };
    assert.equal(dataOf(tensor)["text/plain"], "Tensor float32 [2, 2] [ 1, 2, 3, 0.1 ]");
    const text = { type: "string", dims: [1], data: ["a"] };
    assert.equal(dataOf(text)["text/plain"], 'Tensor string [1] [ "a" ]');
    const elsewhere = Object.defineProperty({ type: "float32", dims: [2] }, "data", {
      get: () => {
        throw new Error("on the GPU");
      },
    });
    assert.equal(dataOf(elsewhere)["text/plain"], "Tensor float32 [2], its data elsewhere");
  });

  it("shows frames by their first and last rows", () => {
    const { "text/html": table, "text/plain": plain } = dataOf(frame(50));
    assert.match(String(table), /<th title="float32">b&lt;<\/th>/);
    assert.equal(String(table).match(/<tr>/g)?.length, 12);
    assert.match(String(plain), /^\s+a\s+b<\n\s*0\s+0\s+0\n/);
    assert.match(String(plain), /\n\s*49\s+49\s+16\.3333\n\n50 rows × 2 columns$/);
    const series = { ...frame(2), $isSeries: true, shape: [2], columns: ["s"], values: [1, null] };
    assert.match(String(dataOf(series)["text/plain"]), /1 {2}null\n\n2 rows × 1 columns$/);
  });

  it("shows bytes that are a picture, and maps", () => {
    const png = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    assert.equal(dataOf(png)["image/png"], png.toString("base64"));
    assert.equal(dataOf(Buffer.from("<svg></svg>"))["image/svg+xml"], "<svg></svg>");
    assert.equal(dataOf(Buffer.from("plain"))["text/plain"], "<Buffer 70 6c 61 69 6e>");
    assert.match(String(dataOf(new Map([["<k>", 1]]))["text/html"]), /<th>&lt;k&gt;<\/th><td>1<\/td>/);
  });

  it("shows a plotly figure as JSON and as SVG", async () => {
    const figure = { data: [{ type: "bar", x: ["a"], y: [2] }], layout: { title: { text: "Bars" } } };
    const { data } = await (toBundle(figure) as Promise<MimeBundle>);
    assert.deepEqual(data["application/vnd.plotly.v1+json"], figure);
    assert.match(String(data["image/svg+xml"]), /^<svg.*Bars.*<\/svg>$/s);
    assert.equal(Buffer.from(String(data["image/png"]), "base64").toString("latin1", 1, 4), "PNG");
    assert.equal(data["text/plain"], "Plotly figure: Bars, 1 trace");
    assert.match(interactiveHtml({ data: [], layout: { title: "</script>" } }), /title":"\\u003c\/script>/);
    const broken = {
      data: [
        {
          type: "no such type",
          get x(): number[] {
            throw new Error("no");
          },
        },
      ],
      layout: {},
    };
    assert.match(
      String((await (toBundle(broken) as Promise<MimeBundle>)).data["text/plain"]),
      /cannot display it: Error: no/,
    );
  });

  it("of a figure is interactive by the page's one plotly.js once that was asked for", async () => {
    const figure = { data: [{ type: "bar", x: ["</script>"], y: [2] }], layout: { width: 500, height: 300 } };
    const shown = { [Symbol.for("Jupyter.display")]: () => ({ "application/vnd.plotly.v1+json": figure }) };
    setInteractive(true);
    try {
      for (const value of [figure, shown]) {
        const { data, metadata } = await toBundle(value);
        const html = String(data["text/html"]);
        assert.match(html, /Plotly\.newPlot/);
        assert.ok(html.length < 200_000 && !html.slice(0, -20).includes("</script>"), "not plotly.js again");
        if (value === figure) {
          assert.deepEqual(metadata, { "image/png": { width: 500, height: 300 } });
          assert.match(html, /^<div><img alt="" src="data:image\/png;base64,[^"]+" width="500">/);
        }
      }
      assert.ok(plotlyHtml().length > 4e6);
    } finally {
      setInteractive(false);
    }
    assert.equal((await toBundle(shown)).data["text/html"], undefined);
  });

  it("escapes what html and svg insert, but not their own results", () => {
    const inner = html`<i>${"&"}</i>`;
    assert.equal(String(html`<b title="${'"'}">${[inner, 1, "<"]}</b>`), '<b title="&quot;"><i>&amp;</i>1&lt;</b>');
    assert.equal(String(svg`<text>${"<"}</text>`), "<text>&lt;</text>");
    assert.equal(String(md`**${"a<b"}**`), "**a<b**");
    assert.equal(dataOf(html.raw("<hr>"))["text/html"], "<hr>");
  });
});
