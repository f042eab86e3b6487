/** Checks that the README's map is the tree as it is: each source file with the sentence at its top. `--write` renews it. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const begin = "<!-- map: made by npm run map -->";
const end = "<!-- end of map -->";

// Untracked files count too, so that a new file is missed before it is committed.
const files = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "src", "kernel", "scripts"],
  {
    encoding: "utf8",
  },
)
  .split("\n")
  .filter((file) => /\.(ts|js|py)$/.test(file) && !/\.(test|test-helper)\.ts$/.test(file))
  .sort();

/** The first sentence of a file's first comment. */
function sentenceOf(file: string): string {
  const source = readFileSync(file, "utf8").replace(/^#!.*\n/, "");
  const comment = /^(?:\/\/ @ts-check\n)?(?:\/\*\*([\s\S]*?)\*\/|\/\/ (.*)|"""([\s\S]*?)""")/.exec(source);
  const text = (comment?.[1] ?? comment?.[2] ?? comment?.[3] ?? "").replace(/\n\s*\*/g, " ").replace(/\s+/g, " ");
  const sentence = /^.*?[.:](?= |$)/.exec(text.trim())?.[0] ?? text.trim();
  if (sentence === "") throw new Error(`no sentence at the top of ${file}; say what it does`);
  return sentence.replace(/[.:]$/, "");
}

function map(): string {
  const lines: string[] = [];
  let folder = "";
  for (const file of files) {
    if (dirname(file) !== folder) {
      folder = dirname(file);
      lines.push("", `**\`${folder}/\`**`, "");
    }
    lines.push(`- \`${file.slice(folder.length + 1)}\` ${sentenceOf(file)}`);
  }
  return `${begin}\n${lines.join("\n")}\n\n${end}`;
}

const readme = readFileSync("README.md", "utf8");
const from = readme.indexOf(begin);
const to = readme.indexOf(end);
if (from < 0 || to < from) throw new Error(`README.md has no map; it belongs between ${begin} and ${end}`);
const renewed = readme.slice(0, from) + map() + readme.slice(to + end.length);
if (process.argv.includes("--write")) {
  writeFileSync("README.md", renewed);
} else if (renewed !== readme) {
  console.error("the map in README.md is not the tree as it is; run: npm run map");
  process.exit(1);
}
