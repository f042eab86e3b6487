import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { PrunelabError } from "../errors.ts";
import { parseCsv, readCsv } from "./csv.ts";

const fieldsOf = (text: string) => parseCsv(text, "x.csv").map(({ fields }) => fields);

test("reads fields in quotes and without", () => {
  assert.deepEqual(fieldsOf('a,"b, ""c""\nd",\n'), [["a", 'b, "c"\nd', ""]]);
  assert.deepEqual(fieldsOf("a,b"), [["a", "b"]]);
  assert.deepEqual(fieldsOf("a,"), [["a", ""]]);
  assert.deepEqual(fieldsOf(""), []);
});

test("takes both line ends, blank lines, and empty fields in quotes", () => {
  assert.deepEqual(fieldsOf('a,b\r\n\r\n"c\r\nd",e\n\n""\n\n'), [["a", "b"], ["c\r\nd", "e"], [""]]);
});

test("knows the line where a record begins", () => {
  const places = parseCsv('a\n"b\r\nb"\r\n\nc', "x.csv").map(({ place }) => place);
  assert.deepEqual(places, ["x.csv line 1", "x.csv line 2", "x.csv line 5"]);
});

test("refuses quotes that do not enclose a whole field", () => {
  for (const text of ['ok\n"a', 'ok\na"b"', 'ok\n"a"b', 'ok\n "a"', "ok\na\rb"]) {
    assert.throws(() => parseCsv(text, "x.csv"), { name: "PrunelabError", message: /^not CSV: x\.csv line 2: / }, text);
  }
});

test("gives back what was written, however it was quoted", () => {
  const field = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r", " ", "é", "𝔘") });
  const end = fc.constantFrom("\n", "\r\n");
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.array(field, { minLength: 2 }), fc.boolean(), end)), (records) => {
      const quote = (text: string, always: boolean) =>
        always || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
      const text = records.map(([fields, always, ending]) => fields.map((f) => quote(f, always)).join(",") + ending);
      assert.deepEqual(
        fieldsOf(text.join("")),
        records.map(([fields]) => fields),
      );
    }),
  );
});

test("any text is either read or refused with a plain error", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r"), maxLength: 30 }), (text) => {
      try {
        parseCsv(text, "x.csv");
      } catch (error) {
        assert.ok(error instanceof PrunelabError);
      }
    }),
  );
});

test("reads a file with a byte order mark; names a missing file and one that is not UTF-8", async () => {
  const folder = await mkdtemp(join(tmpdir(), "prunelab-csv-"));
  try {
    await writeFile(join(folder, "bom.csv"), "\ufeffa,b\r\n");
    assert.deepEqual((await readCsv(join(folder, "bom.csv")))[0]?.fields, ["a", "b"]);
    await assert.rejects(readCsv(join(folder, "none.csv")), {
      name: "PrunelabError",
      message: /none\.csv: there is no such file/,
    });
    await writeFile(join(folder, "latin.csv"), Buffer.from([0x63, 0xe9]));
    await assert.rejects(readCsv(join(folder, "latin.csv")), { name: "PrunelabError", message: /latin\.csv/ });
  } finally {
    await rm(folder, { recursive: true });
  }
});
