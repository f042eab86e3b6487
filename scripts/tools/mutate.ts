/**
 * `npm run mutate`: changes one token of src/ at a time, at random, and runs the tests of the file that it is in; whatever no test notices is
 * listed. Not a part of `npm test`: it takes minutes, and what lives must be judged by a person. A seed gives the same changes again.
 *
 *   npm run mutate -- --count 60 --seed 1 src/evaluate src/tasks/mmlu.ts
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { parseArgs } from "node:util";
import { mersenne } from "pure-rand/generator/mersenne";
import ts from "typescript";
import { packageRoot } from "../../src/base/package-root.ts";

/** A change of one token. */
interface Mutation {
  readonly file: string;
  readonly start: number;
  readonly before: string;
  readonly after: string;
}

/** Of the changes that no one has looked at and found harmless, so many must be noticed. */
const LEAST_NOTICED = 0.9;
const TEST_LIMIT_MS = 120_000;

/** What changes nothing that can be seen, each with the reason: "file: line as it stands: token → token". */
const harmlessPath = join(packageRoot(), "scripts", "tools", "harmless-mutations.txt");

const swaps: Readonly<Record<string, string>> = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "&&": "||",
  "||": "&&",
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "+=": "-=",
  "-=": "+=",
  true: "false",
  false: "true",
};

/** All changes of a file's tokens in expressions: operators, numbers, truth values, and the sign of a condition. */
function mutationsOf(file: string): Mutation[] {
  const text = readFileSync(file, "utf8");
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: Mutation[] = [];
  const add = (node: ts.Node, after: string) => {
    found.push({ file, start: node.getStart(source), before: node.getText(source), after });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return;
    if (ts.isBinaryExpression(node)) {
      const after = swaps[node.operatorToken.getText(source)];
      const isText = [node.left, node.right].some(
        (side) => ts.isStringLiteralLike(side) || ts.isTemplateExpression(side),
      );
      if (after && !isText) add(node.operatorToken, after);
    } else if (ts.isNumericLiteral(node)) add(node, String(Number(node.text) + 1));
    else if (node.kind === ts.SyntaxKind.TrueKeyword) add(node, "false");
    else if (node.kind === ts.SyntaxKind.FalseKeyword) add(node, "true");
    else if (ts.isIfStatement(node)) add(node.expression, `!(${node.expression.getText(source)})`);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** The tests beside a file: of its name, or else those of its folder that import it. */
function testsOf(file: string): string[] {
  const own = file.replace(/\.ts$/, ".test.ts");
  const name = `./${file.split(sep).at(-1)}"`;
  const beside = readdirSync(dirname(file)).filter((other) => other.endsWith(".test.ts"));
  const importing = beside
    .map((other) => join(dirname(file), other))
    .filter((other) => other === own || readFileSync(other, "utf8").includes(name));
  return importing;
}

function sourceFiles(path: string): string[] {
  if (path.endsWith(".ts")) return [path];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) return sourceFiles(inner);
    return /(?<!\.test|\.test-helper|\.d)\.ts$/.test(entry.name) ? [inner] : [];
  });
}

function lineOf(text: string, at: number): { number: number; text: string } {
  const start = text.lastIndexOf("\n", at - 1) + 1;
  const end = text.indexOf("\n", at);
  return { number: text.slice(0, at).split("\n").length, text: text.slice(start, end < 0 ? undefined : end).trim() };
}

/** A copy of the repository, so that nobody's working tree is changed. */
function copyRepository(): string {
  const copy = mkdtempSync(join(tmpdir(), "prunelab-mutate-"));
  for (const name of ["src", "kernel", "scripts", "data", "notebooks", "package.json", "tsconfig.json"]) {
    cpSync(join(packageRoot(), name), join(copy, name), { recursive: true });
  }
  for (const name of ["node_modules", "dist"]) {
    if (existsSync(join(packageRoot(), name))) symlinkSync(join(packageRoot(), name), join(copy, name), "dir");
  }
  return copy;
}

function noticed(copy: string, tests: readonly string[]): boolean {
  // The tests need neither the real model nor the reference answers.
  const { PRUNELAB_MODEL: _, PRUNELAB_SHARED: __, PRUNELAB_DATA: ___, ...env } = process.env;
  const { status } = spawnSync(process.execPath, ["--import", "tsx", "--test", ...tests], {
    cwd: copy,
    env: { ...env, PRUNELAB_CACHE: join(copy, "cache") },
    stdio: "ignore",
    timeout: TEST_LIMIT_MS,
  });
  return status !== 0;
}

const { values, positionals } = parseArgs({
  options: { count: { type: "string", default: "40" }, seed: { type: "string", default: "0" } },
  allowPositionals: true,
});
const count = Number(values.count);
const copy = copyRepository();
try {
  const paths = positionals.length > 0 ? positionals : ["src"];
  const files = paths.flatMap((path) => sourceFiles(join(copy, path)));
  const untested = files.filter((file) => testsOf(file).length === 0);
  const all = files.filter((file) => !untested.includes(file)).flatMap(mutationsOf);
  const random = mersenne(Number(values.seed));
  const chosen = Array.from({ length: Math.min(count, all.length) }, () => {
    const [mutation] = all.splice(Math.floor(((random.next() >>> 0) / 2 ** 32) * all.length), 1);
    return mutation!;
  });
  const harmless = existsSync(harmlessPath) ? readFileSync(harmlessPath, "utf8") : "";
  const tally = { noticed: 0, harmless: 0, lived: 0 };
  for (const { file, start, before, after } of chosen) {
    const text = readFileSync(file, "utf8");
    const line = lineOf(text, start);
    const key = `${relative(copy, file)}: ${line.text}: ${before} → ${after}`;
    if (harmless.includes(key)) {
      tally.harmless += 1;
      continue;
    }
    writeFileSync(file, text.slice(0, start) + after + text.slice(start + before.length));
    const isNoticed = noticed(copy, testsOf(file));
    writeFileSync(file, text);
    tally[isNoticed ? "noticed" : "lived"] += 1;
    if (!isNoticed) console.log(`LIVED ${relative(copy, file)}:${line.number}  ${line.text}  [${before} → ${after}]`);
  }
  const share = tally.noticed / Math.max(1, tally.noticed + tally.lived);
  console.log(
    `${tally.noticed} noticed, ${tally.lived} lived, ${tally.harmless} known to be harmless; ${(100 * share).toFixed(0)} % noticed (seed ${values.seed}; ${untested.length} files have no tests beside them)`,
  );
  if (share < LEAST_NOTICED) process.exitCode = 1;
} finally {
  rmSync(copy, { recursive: true });
}
