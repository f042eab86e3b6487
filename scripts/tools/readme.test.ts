import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { type Command, exampleLine, parse, quietCommander, toCommander } from "../cli/command.ts";
import { commands } from "../cli/commands.ts";

const readme = readFileSync("README.md", "utf8");
const documents = ["README.md", "CONTRIBUTING.md", "src/onnx/DEVICES.md", "src/hub/VARIABLES.md", "ARCHITECTURE.md"];

/** What the fences of a language hold. */
function fences(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, "gm"))].map(([, inner]) => inner!);
}

test("every TypeScript snippet runs, on the tiny model and the demo tasks", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-readme-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"), "junction");
  cpSync("data/tasks", folder, { recursive: true });
  const rows = [...readme.matchAll(/files: \{ test: "(.*?)" \} \}, \/\/ (\{.*\})$/gm)];
  for (const [, file, row] of rows) writeFileSync(join(folder, file!), `${row}\n`.repeat(3));
  const snippets = fences(readme, "ts");
  assert.ok(snippets.length >= 3 && rows.length === 1);
  for (const [index, snippet] of snippets.entries()) {
    const file = join(folder, `snippet-${index}.mts`);
    writeFileSync(
      file,
      snippet.replaceAll("google/gemma-3-270m", resolve("data/tiny-gemma3")).replaceAll(/limit: \d+/g, "limit: 3"),
    );
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", file], {
      cwd: folder,
      encoding: "utf8",
      env: {
        ...process.env,
        PRUNELAB_DATA: folder,
        PRUNELAB_CACHE: join(folder, "cache"),
        HF_HUB_OFFLINE: "1",
        HF_HOME: folder,
      },
    });
    assert.equal(status, 0, `${snippet}\n${stderr}`);
    assert.ok(stdout.trim().length > 0, snippet);
  }
});

/** The words of a shell command up to a comment or pipe, quotes taken off. */
function wordsOf(line: string): string[] {
  const [command = ""] = line.split(/ +(?:[#>|;]|&&)/);
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
}

/** The same command, and those within it, with another thing to do. */
function doing(command: Command, run: () => Promise<void>): Command {
  const inner = Object.entries(command.commands ?? {}).map(([name, each]) => [
    name,
    { ...each, command: doing(each.command, run) },
  ]);
  return { ...command, run, ...(command.commands && { commands: Object.fromEntries(inner) }) };
}

/** Parses the words of `prunelab …` without running them. */
async function parses([name = "", ...words]: string[]): Promise<void> {
  const program = quietCommander("prunelab");
  const entry = commands[name];
  assert.ok(entry, `no such command: ${name}`);
  let ran = false;
  const run = async () => {
    ran = true;
  };
  await parse(program.addCommand(toCommander(name, entry.summary, doing(await entry.load(), run))), [name, ...words]);
  assert.ok(ran || words.includes("--help"));
}

test("every shell command of the documents is one that there is, with options that there are", async () => {
  const scripts = Object.keys(JSON.parse(readFileSync("package.json", "utf8")).scripts);
  let count = 0;
  for (const text of documents.map((document) => readFileSync(document, "utf8"))) {
    const lines = [
      ...fences(text, "sh").flatMap((fence) => fence.split("\n")),
      ...[...text.matchAll(/`((?:npx|npm) [^`]+)`/g)].map(([, code]) => code!),
    ];
    for (const line of lines) {
      const words = wordsOf(line);
      if (words[0] === "npx" && words[1] === "prunelab" && words[2] !== "--help") await parses(words.slice(2));
      else if (words[0] === "npm") {
        const script = words[1] === "run" ? words[2]! : words[1]!;
        assert.ok(scripts.includes(script), line);
      } else continue;
      count++;
    }
  }
  assert.ok(count > 15, String(count));
});

test("every example in a command's help is one that the command takes", async () => {
  for (const [name, { load }] of Object.entries(commands)) {
    const command = await load();
    const families = Object.entries(command.commands ?? {});
    const all = [[name, command] as const, ...families.map(([own, each]) => [`${name} ${own}`, each.command] as const)];
    for (const [words, { examples }] of all) {
      for (const [rest] of examples) {
        const line = wordsOf(exampleLine(words, rest));
        await parses(line.slice(line.indexOf("prunelab") + 1));
      }
    }
  }
});

test("links lead to files that are there", () => {
  for (const document of documents) {
    const folder = join(document, "..");
    for (const [, target] of readFileSync(document, "utf8").matchAll(/\]\(([^)#]+)\)/g)) {
      if (!/^https?:/.test(target!))
        assert.doesNotThrow(() => readFileSync(join(folder, target!)), `${document}: ${target}`);
    }
  }
});
