import assert from "node:assert/strict";
import { test } from "node:test";
import { asksToLeave, hintFor } from "./foreign-words.ts";

test("magics and shell escapes get what to write instead", () => {
  assert.match(hintFor("!ls -l") ?? "", /execSync\("ls -l", \{ encoding: "utf8" \}\)/);
  assert.match(hintFor('\n! echo "a"') ?? "", /execSync\("echo \\"a\\"", /);
  assert.match(hintFor("%time f()") ?? "", /^%time is IPython's; here: console\.time/);
  assert.match(hintFor("%%timeit\nf()") ?? "", /console\.timeEnd/);
  assert.match(hintFor("%pip install x") ?? "", /npm install/);
  assert.match(hintFor("%%bash\nls") ?? "", /^%bash is IPython's; this kernel has no magics/);
  for (const source of ["!(a)", "!a === b", "a % b", "5 %3", "", "//%time"]) assert.equal(hintFor(source), undefined);
});

test("a lone exit or quit asks to leave", () => {
  for (const source of ["exit", " quit() ;", "exit();\n"]) assert.ok(asksToLeave(source), source);
  for (const source of ["exit(1)", "exit + 1", "process.exit()", "exits", "exit; 1"]) assert.ok(!asksToLeave(source));
});
