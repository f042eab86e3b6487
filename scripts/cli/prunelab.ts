#!/usr/bin/env node
import { packageVersion } from "../../src/base/package-root.ts";
/** The command `prunelab`: finds the subcommand, runs it, and tells a failure in one sentence. */
import { PrunelabError } from "../../src/errors.ts";
import { explainError } from "./explain-error.ts";

interface Command {
  readonly summary: string;
  readonly run: (args: string[]) => Promise<void>;
}

// Loaded when run: `prunelab --help` and `prunelab cache` should not wait for ONNX Runtime.
const commands: Record<string, Command> = {
  card: {
    summary: "prune, score dense and pruned, and print the model card's table with ours beside it",
    run: async (args) => (await import("./card.ts")).runCard(args),
  },
  prune: {
    summary: "prune a model and write it as a folder",
    run: async (args) => (await import("./prune.ts")).runPrune(args),
  },
  evaluate: {
    summary: "score a model on benchmarks",
    run: async (args) => (await import("./evaluate.ts")).runEvaluate(args),
  },
  fetch: {
    summary: "get a model into the cache and print where it is",
    run: async (args) => (await import("./fetch.ts")).runFetch(args),
  },
  run: {
    summary: "run notebooks without a person",
    run: async (args) => (await import("./run.ts")).runRun(args),
  },
  new: {
    summary: "make a folder with a notebook for an experiment of your own",
    run: async (args) => (await import("./new.ts")).runNew(args),
  },
  install: {
    summary: "install the Jupyter kernel for TypeScript",
    run: async (args) => (await import("../../kernel/server/install.ts")).runInstall(args),
  },
  uninstall: {
    summary: "remove the Jupyter kernel",
    run: async (args) => (await import("../../kernel/server/install.ts")).runUninstall(args),
  },
  cache: {
    summary: "list or clear what is cached",
    run: async (args) => (await import("./cache.ts")).runCache(args),
  },
};

const help = `usage: prunelab <command> [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`)
  .join("\n")}

prunelab <command> --help tells a command's options, prunelab --version the version.`;

async function main([name, ...args]: string[]): Promise<void> {
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    console.log(help);
    if (name === undefined) process.exitCode = 2;
    return;
  }
  if (name === "--version") return console.log(packageVersion());
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new PrunelabError(`unknown command; known are ${Object.keys(commands).join(", ")}: ${name}`);
  if (["card", "prune", "evaluate"].includes(name)) {
    process.once("SIGINT", () => {
      console.error("\nstopped; the same command goes on from what is finished");
      process.exit(130);
    });
  }
  await command.run(args);
}

main(process.argv.slice(2)).catch((error: unknown) => explainError("prunelab", error));
