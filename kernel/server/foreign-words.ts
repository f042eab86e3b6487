/** What users of other kernels type into a cell: IPython's magics and shell escapes, and the words that leave a console. */

/** What to write instead; undefined if the cell begins with nothing of the kind. */
export function hintFor(source: string): string | undefined {
  const first = source.trimStart().split("\n", 1)[0] ?? "";
  const [, shell] = /^!\s*([a-z./~][^=]*)$/i.exec(first) ?? [];
  if (shell !== undefined) {
    const command = JSON.stringify(shell.trim());
    return `a shell command, as in IPython? import { execSync } from "node:child_process"; console.log(execSync(${command}, { encoding: "utf8" }))`;
  }
  const [, magic] = /^%{1,2}([a-z_]\w*)/i.exec(first) ?? [];
  if (magic === undefined) return undefined;
  const instead = replacements.get(magic);
  return `%${magic} is IPython's; ${instead ?? "this kernel has no magics: write it in TypeScript"}`;
}

const timing = 'here: console.time("cell"); …; console.timeEnd("cell")';
const replacements = new Map([
  ["time", timing],
  ["timeit", timing],
  ["pip", "packages come from npm: npm install <name> in the notebook's folder"],
  ["conda", "packages come from npm: npm install <name> in the notebook's folder"],
  ["cd", "here: process.chdir(folder)"],
  ["pwd", "here: process.cwd()"],
  ["env", "here: process.env"],
  ["load", "import what you need from the file"],
  ["run", "import the file"],
  ["matplotlib", "figures are shown without it"],
]);

/** Whether the cell is nothing but a word by which a console is left. */
export function asksToLeave(source: string): boolean {
  return /^\s*(?:exit|quit)(?:\(\s*\))?\s*;?\s*$/.test(source);
}
