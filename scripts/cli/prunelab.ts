#!/usr/bin/env node
/** The command `prunelab`: finds the command that the words name, and runs it. */
import { packageVersion } from "../../src/base/package-root.ts";
import { PrunelabError } from "../../src/errors.ts";
import { type Command, parse, quietCommander, toCommander, UsageError } from "./command.ts";
import { commands } from "./commands.ts";
import { explainError } from "./explain-error.ts";

async function main(words: readonly string[]): Promise<void> {
  const asked = words[0] === "help" ? words[1] : words[0];
  const program = quietCommander("prunelab")
    .usage("<command> [options]")
    .version(packageVersion(), "--version", "print the version")
    .helpCommand("help [command]", "show a command's help")
    .addHelpText("after", "\nprunelab <command> --help shows a command's options, with examples.");
  let loaded: Command | undefined;
  for (const [name, { summary, load }] of Object.entries(commands)) {
    if (name === asked) loaded = await load();
    // The others stand in the help, and among the names that a misspelt one is compared with.
    const command =
      name === asked && loaded ? toCommander(name, summary, loaded) : quietCommander(name).summary(summary);
    program.addCommand(command);
  }
  if (words.length === 0) {
    program.outputHelp();
    process.exitCode = 2;
    return;
  }
  try {
    await parse(program, words);
  } catch (error) {
    if (loaded || !(error instanceof UsageError)) throw error;
    const names = error.message.includes("did you mean") ? "" : `; known are ${Object.keys(commands).join(", ")}`;
    throw new PrunelabError(`${error.message}${names}`);
  }
}

main(process.argv.slice(2)).catch((error: unknown) => explainError("prunelab", error));
