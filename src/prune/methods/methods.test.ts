import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { maskRefinements, methodsMarkdown, pruningMethods } from "./methods.ts";

test("README.md has the table of methods as it is", () => {
  const readme = readFileSync(new URL("README.md", import.meta.url), "utf8");
  assert.ok(readme.includes(methodsMarkdown()), `put this into src/prune/methods/README.md:\n${methodsMarkdown()}`);
});

test("names are used once, and every method without a kernel can prune a layer", () => {
  const names = [...pruningMethods, ...maskRefinements].map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, kernel, needs, prune } of pruningMethods) {
    assert.ok(prune || kernel, name);
    // What the WebAssembly scores, it scores from weights alone.
    assert.ok(!kernel || needs === "nothing", name);
  }
});
