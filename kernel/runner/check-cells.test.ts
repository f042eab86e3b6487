import assert from "node:assert/strict";
import { test } from "node:test";
import { checkCells } from "./check-cells.ts";
import { isCode } from "./notebook.ts";
import { notebookOf, temporaryFolder } from "./testing.test-helper.ts";
import { withLanguage } from "./with-language.ts";

test("cells are checked in order without running, and one error does not make others", async (t) => {
  const cells = notebookOf(
    'import { join } from "node:path";\nconst count: number = 1; throw new Error("not run");',
    "const bad: number = join('a');\nconst after = count;",
    "# text",
    "bad.toFixed(); after.toFixed()",
    "skip-execution|nothing of this exists",
    "raises-exception|count.nothing",
    "count?",
    "const = 4",
    "absent",
  ).cells.filter(isCode);
  const before = process.cwd();
  const found = await withLanguage(temporaryFolder(t), (language) => checkCells(language, cells));
  assert.equal(process.cwd(), before);
  assert.deepEqual(
    found.map(({ number, error }) => [number, error.name]),
    [
      [2, "TypeScriptError"],
      [7, "SyntaxError"],
      [8, "TypeScriptError"],
    ],
  );
  assert.deepEqual(found[0]?.error.traceback, [
    "TS2322: Type 'string' is not assignable to type 'number'.",
    "    at cell 2, line 1, column 7",
    "---> 1 | const bad: number = join('a');",
    "       |       ^^^",
  ]);
});
