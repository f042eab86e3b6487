import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../src/base/package-root.ts";
import { circles, folderOf, forbidden, sourceFiles } from "./house.ts";

const files = sourceFiles();

test("finds the files and what they import", () => {
  const own = files.find(({ path }) => path === "scripts/tools/house.ts");
  assert.deepEqual(own?.imports, ["src/base/package-root.ts"]);
  assert.ok(files.length > 100);
  const known = new Set(files.map(({ path }) => path));
  const unknown = files.flatMap(({ path, imports }) =>
    imports
      .filter((to) => /\.ts$/.test(to) && !known.has(to) && !to.endsWith(".test-helper.ts"))
      .map((to) => `${path} imports ${to}`),
  );
  assert.deepEqual(unknown, []);
});

test("the kernel imports src/base alone, the library neither kernel nor scripts", () => {
  assert.deepEqual(forbidden(files), []);
  const file = (path: string, ...imports: string[]) => ({ path, lines: 1, imports });
  const wrong = [
    file("kernel/cell/a.ts", "src/base/x.ts", "src/hub/x.ts", "src/errors.ts", "scripts/cli/x.ts"),
    file("src/hub/a.ts", "src/base/x.ts", "kernel/cell/x.ts", "scripts/cli/x.ts"),
    file("scripts/cli/a.ts", "src/hub/x.ts", "kernel/cell/x.ts"),
  ];
  assert.deepEqual(forbidden(wrong), [
    "kernel/cell/a.ts imports src/hub/x.ts",
    "kernel/cell/a.ts imports src/errors.ts",
    "kernel/cell/a.ts imports scripts/cli/x.ts",
    "src/hub/a.ts imports kernel/cell/x.ts",
    "src/hub/a.ts imports scripts/cli/x.ts",
  ]);
});

test("imports between folders go one way", () => {
  assert.deepEqual(circles(files), []);
  const file = (path: string, ...imports: string[]) => ({ path, lines: 1, imports });
  const round = [
    file("src/a/x.ts", "src/b/x.ts"),
    file("src/b/x.ts", "src/c/x.ts"),
    file("src/c/x.ts", "src/a/x.ts", "src/d/x.ts"),
  ];
  assert.deepEqual(circles(round), [
    "src/a/x.ts imports src/b/x.ts",
    "src/b/x.ts imports src/c/x.ts",
    "src/c/x.ts imports src/a/x.ts",
  ]);
});

test("no file is longer than 400 lines, and each says in its first line what it is", () => {
  assert.deepEqual(
    files.filter(({ lines }) => lines > 400).map(({ path }) => path),
    [],
  );
  const silent = files.filter(({ path }) => !/^(#!.*\n)?\/\*\*/.test(readFileSync(join(packageRoot(), path), "utf8")));
  assert.deepEqual(
    silent.map(({ path }) => path),
    [],
  );
});

test("ARCHITECTURE.md has a line for each folder", () => {
  const text = readFileSync(join(packageRoot(), "ARCHITECTURE.md"), "utf8");
  const folders = new Set(files.map(({ path }) => folderOf(path)).filter((folder) => !folder.endsWith(".ts")));
  assert.deepEqual(
    [...folders].filter((folder) => !text.includes(`| \`${folder}/\` |`)),
    [],
  );
  assert.ok(text.split("\n").length <= 121);
  assert.ok(readFileSync(join(packageRoot(), "README.md"), "utf8").split("\n").length <= 151);
});
