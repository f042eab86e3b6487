import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readWikitextPages } from "./wikitext-pages.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-wikitext-"));
after(() => rm(folder, { recursive: true }));
const path = join(folder, "wiki.test.raw");

test("cuts articles at titles, not at sections, and loses nothing between", async () => {
  const pages = [" = A = \n \n Text = of A . \n = = Part = = \n more \n ", " = B = \n b \n"];
  await writeFile(path, ` \n${pages.join("\n")}`);
  const rows = await readWikitextPages(path);
  assert.deepEqual(
    rows.map(({ row }) => row.page),
    pages,
  );
  assert.deepEqual(
    rows.map(({ place }) => place),
    [`${path} line 2`, `${path} line 8`],
  );
});

test("a title has one mark on each side, and a text between", async () => {
  const lines = [
    " = A = B = ",
    " = Only a beginning ",
    " Only an end = ",
    " = = = Deep = = = ",
    " == joined == ",
    " x ",
    "= C =",
  ];
  await writeFile(path, lines.join("\n"));
  const rows = await readWikitextPages(path);
  assert.deepEqual(
    rows.map(({ row }) => row.page),
    [lines.slice(0, 6).join("\n"), "= C ="],
  );
});

test("an empty file has no articles; a missing one is named", async () => {
  await writeFile(path, "\n \n");
  assert.deepEqual(await readWikitextPages(path), []);
  await assert.rejects(readWikitextPages(join(folder, "none")), {
    name: "PrunelabError",
    message: /none: there is no such file/,
  });
});
