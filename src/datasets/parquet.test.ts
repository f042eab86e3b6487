import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../base/package-root.ts";
import { readParquet } from "./parquet.ts";

// Both files were written by pyarrow: 64-bit and 32-bit integers, lists, a struct of lists, nulls, several row groups.
const fixture = (codec: string) => join(packageRoot(), "data", "expected", `rows-${codec}.parquet`);

const expected = Array.from({ length: 5 }, (_, index) => ({
  question: `question ${index}, é 𝔘`,
  choices: ["a", "b", `c${index}`, ""],
  answer: index % 4,
  ind: index,
  mixed: { text: ["x", "y"], label: ["A", "B"] },
  note: index % 2 ? null : "n",
}));

for (const codec of ["snappy", "zstd"]) {
  test(`reads rows as the Hub's JSON has them (${codec})`, async () => {
    const rows = await readParquet(fixture(codec));
    assert.deepEqual(
      rows.map(({ row }) => row),
      expected,
    );
    assert.equal(rows[3]?.place, `${fixture(codec)} row 3`);
  });
}

test("names a file that is cut off, empty, missing, or no parquet", async () => {
  const folder = await mkdtemp(join(tmpdir(), "prunelab-parquet-"));
  try {
    const whole = await readFile(fixture("snappy"));
    const cases = { cut: whole.subarray(0, 1000), empty: "", other: "not parquet at all, but long enough" };
    for (const [name, content] of Object.entries(cases)) await writeFile(join(folder, name), content);
    for (const name of [...Object.keys(cases), "missing"]) {
      const refusal = {
        name: "PrunelabError",
        message: new RegExp(`^cannot read parquet: .*${name}: .*; download it again$`),
      };
      await assert.rejects(readParquet(join(folder, name)), refusal);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
