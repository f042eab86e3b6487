import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { frame, frameCsv, frameHtml, frameMarkdown } from "./frame.ts";

const rows = [
  { task: "MMLU, 5 subjects", n: 1200, share: 0.435, percent: 43.5, p: 0.00001234 },
  { task: '<b>"x"</b>', n: 20, share: 1 / 3, percent: -2 / 3, p: null },
];

function bundleOf(value: object): Record<string, unknown> {
  return (value as Record<symbol, () => Record<string, unknown>>)[Symbol.for("Jupyter.display")]!();
}

describe("a frame", () => {
  it("is danfojs's, with the columns that were asked for", async () => {
    const made = await frame(rows, { columns: ["n", "percent"] });
    assert.deepEqual(
      [made.shape, made.columns],
      [
        [2, 2],
        ["n", "percent"],
      ],
    );
    assert.equal(made.column("n").sum(), 1220);
    assert.deepEqual(made.sortValues("n").values, [
      [20, -2 / 3],
      [1200, 43.5],
    ]);
  });

  it("shows itself with its caption, and carries its numbers with all their digits", async () => {
    const bundle = bundleOf(await frame(rows, { caption: "n: documents; source: a test" }));
    assert.match(
      String(bundle["text/html"]),
      /<p style="max-width:56em"><small>n: documents; source: a test<\/small><\/p>$/,
    );
    assert.match(String(bundle["text/plain"]), /^MMLU, 5 subjects +1,200 +0\.4350 +43\.50 +1\.2e-5$/m);
    const { data, schema } = bundle["application/vnd.dataresource+json"] as {
      data: object[];
      schema: { fields: object[] };
    };
    assert.deepEqual(data, rows);
    assert.deepEqual(schema.fields.at(-1), { name: "p", type: "number" });
  });

  it("becomes HTML, Markdown and CSV, escaped, also where it was made from another", async () => {
    const made = (await frame(rows)).sortValues("n") as Awaited<ReturnType<typeof frame>>;
    assert.match(frameHtml(made), /&lt;b&gt;&quot;x&quot;&lt;\/b&gt;/);
    assert.match(frameMarkdown(made), /^\| MMLU, 5 subjects \| 1,200 \| 0\.4350 \| 43\.50 \| 1\.2e-5 \|$/m);
    assert.equal(
      frameCsv(made),
      'task,n,share,percent,p\r\n"<b>""x""</b>",20,0.3333333333333333,-0.6666666666666666,\r\n"MMLU, 5 subjects",1200,0.435,43.5,0.00001234\r\n',
    );
  });

  it("shows numbers with their own digits, years as years, and changes with their sign", async () => {
    const shown = String(
      bundleOf(
        await frame([
          { year: 2025, built: 1999, loss: 0.123456, share: 1 / 3, change: 1.5, "card: change": 0, marginChange: -1 },
          { year: 2026, built: 2026, loss: 12, share: 2 / 3, change: -14, "card: change": -2, marginChange: 2 },
        ]),
      )["text/plain"],
    );
    assert.match(shown, /2025 +1999 +0\.123456 +0\.3333 +\+1\.5 +0 +-1$/m);
    assert.match(shown, /2026 +2026 +12\.000000 +0\.6667 +-14\.0 +-2 +\+2$/m);
  });

  it("shows head and tail of many rows with their count, all where asked, and carries all", async () => {
    const many = Array.from({ length: 500 }, (_, index) => ({ index_of: index }));
    const bundle = bundleOf(await frame(many, { caption: "source: a test" }));
    assert.equal(String(bundle["text/html"]).match(/<tr>/g)!.length, 42);
    assert.match(String(bundle["text/plain"]), /\n +19\n +…\n +480\n/);
    assert.match(String(bundle["text/plain"]), /500 rows, the first and last 20 shown\. source: a test$/);
    assert.equal((bundle["application/vnd.dataresource+json"] as { data: object[] }).data.length, 500);
    const all = bundleOf(await frame(many, { allRows: true }));
    assert.equal(String(all["text/html"]).match(/<tr>/g)!.length, 501);
  });

  it("keeps a text of several lines in one", async () => {
    assert.match(frameMarkdown(await frame([{ text: "one\n\ntwo" }])), /^\| one ⏎ two \|$/m);
  });

  it("has charts that are plotly figures", async () => {
    const made = await frame([
      { task: "a", score: 1 },
      { task: "b", score: 2 },
    ]);
    const figure = made
      .plot("")
      .bar({ config: { x: "task", y: "score" } as never, layout: { title: "Scores" } as never });
    assert.deepEqual(figure, {
      data: [{ x: ["a", "b"], y: [1, 2], type: "bar" }],
      layout: { title: "Scores", xaxis: { title: "task" }, yaxis: { title: "score" } },
    });
  });

  it("says what is wrong", async () => {
    await assert.rejects(frame([]), /^PrunelabError: no rows for a frame: 0; give one or more$/);
    await assert.rejects(frame(rows, { columns: ["m"] }), /unknown column: m; known are task, n, share, percent, p$/);
    await assert.rejects(frame([{ columns: 1 }]), /danfojs frames have a property of that name: columns; rename/);
  });
});
