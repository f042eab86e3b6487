#!/usr/bin/env node
/** The command `prunelab`: the table of its commands, and which of them runs. */
import { packageVersion } from "../../src/base/package-root.ts";
import { PrunelabError } from "../../src/errors.ts";
import { type Command, parse, quietCommander, toCommander, UsageError } from "./command.ts";
import type { CommandTable } from "./completion.ts";
import { explainError } from "./explain-error.ts";

// Loaded when run: `prunelab --help` and `prunelab cache` should not wait for ONNX Runtime.
const commands: CommandTable = {
  card: {
    summary: "prune, score dense and pruned, and print the model card's table with ours beside it",
    load: async () => (await import("./card.ts")).card,
  },
  prune: {
    summary: "prune a model and write it as a folder",
    load: async () => (await import("./prune.ts")).prune,
  },
  evaluate: {
    summary: "score a model on benchmarks",
    load: async () => (await import("./evaluate.ts")).evaluate,
  },
  fetch: {
    summary: "get a model into the cache and print where it is",
    load: async () => (await import("./fetch.ts")).fetch,
  },
  run: {
    summary: "run notebooks without a person",
    load: async () => (await import("./run.ts")).run,
  },
  new: {
    summary: "make a folder with a notebook for an experiment of your own",
    load: async () => (await import("./new.ts")).newExperiment,
  },
  install: {
    summary: "install the Jupyter kernel for TypeScript",
    load: async () => (await import("./install.ts")).install,
  },
  uninstall: {
    summary: "remove the Jupyter kernel",
    load: async () => (await import("./install.ts")).uninstall,
  },
  cache: {
    summary: "list or clear what is cached",
    load: async () => (await import("./cache.ts")).cache,
  },
  completion: {
    summary: "print a script that completes commands and options in bash, zsh or fish",
    load: async () => (await import("./completion.ts")).completionOf(commands),
  },
};

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
