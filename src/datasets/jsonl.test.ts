import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { readJsonLines } from "./jsonl.ts";
import type { PlacedRow } from "./source.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-jsonl-"));
after(() => rm(folder, { recursive: true }));
const path = join(folder, "rows.jsonl");

async function read(content: string | Uint8Array): Promise<PlacedRow[]> {
  await writeFile(path, content);
  const rows: PlacedRow[] = [];
  for await (const row of readJsonLines(path)) rows.push(row);
  return rows;
}

test("takes a byte order mark, both line ends, blank lines and no last line end", async () => {
  const rows = await read('\ufeff{"a":1}\r\n\n  \r\n{"a":2}\n{"a":2}');
  assert.deepEqual(
    rows.map(({ row }) => row),
    [{ a: 1 }, { a: 2 }, { a: 2 }],
  );
  assert.deepEqual(
    rows.map(({ place }) => place),
    [`${path} line 1`, `${path} line 4`, `${path} line 5`],
  );
});

test("ends a line at a line feed only, not at U+2028", async () => {
  assert.deepEqual(await read('{"a":"x\u2028y\u2029z"}\n'), [
    { row: { a: "x\u2028y\u2029z" }, place: `${path} line 1` },
  ]);
});

test("reads a line of 50 MB, after and before others", async () => {
  const long = "é".repeat(25_000_000);
  const rows = await read(`{"a":"x"}\n{"a":"${long}"}\n{"a":"y"}\n`);
  assert.deepEqual(
    rows.map(({ row }) => (row.a as string).length),
    [1, 25_000_000, 1],
  );
  assert.equal(rows[1]?.row.a, long);
});

test("names the line that is not UTF-8, not JSON, or no object", async () => {
  const cases: [string | Uint8Array, RegExp][] = [
    [
      Buffer.concat([Buffer.from('{"a":1}\n{"a":"'), Buffer.from([0xff]), Buffer.from('"}\n')]),
      /^not UTF-8 text: .* line 2: /,
    ],
    ['{"a":1}\n{"a":', /^not JSON: .* line 2: /],
    ['{"a":1}\n[1]\n', /^not a JSON object: .* line 2: \[1\]; /],
    ['{"a":1}\nnull\n', /^not a JSON object: .* line 2: null; /],
  ];
  for (const [content, message] of cases) await assert.rejects(read(content), { name: "PrunelabError", message });
});

test("names a file that cannot be read", async () => {
  for (const name of ["none.jsonl", "."]) {
    const rows = readJsonLines(join(folder, name));
    await assert.rejects(rows.next(), {
      name: "PrunelabError",
      message: /^cannot read .*: (there is no such file|it is a folder)/,
    });
  }
});

test("gives back any objects, whatever the line ends between them", async () => {
  const object = fc.dictionary(fc.string({ unit: "binary" }), fc.oneof(fc.string({ unit: "binary" }), fc.integer()));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(object, fc.constantFrom("\n", "\r\n", "\n\n"))), async (lines) => {
      const rows = await read(lines.map(([value, end]) => JSON.stringify(value) + end).join(""));
      assert.deepEqual(
        rows.map(({ row }) => row),
        lines.map(([value]) => JSON.parse(JSON.stringify(value))),
      );
    }),
    { numRuns: 50 },
  );
});
