/** The table of commands, in the order of the help. A new command is a file beside this one and its line here. */
import type { CommandTable } from "./completion.ts";

// Loaded when run: `prunelab --help` and `prunelab cache` should not wait for ONNX Runtime.
export const commands: CommandTable = {
  card: {
    summary: "prune, score dense and pruned, and print the model card's table with ours beside it",
    load: async () => (await import("./card.ts")).card,
  },
  prune: {
    summary: "prune a model and write it as a folder",
    load: async () => (await import("./prune.ts")).prune,
  },
  recover: {
    summary: "train a pruned model with its dense one as the teacher",
    load: async () => (await import("./recover.ts")).recover,
  },
  finetune: {
    summary: "train a model under its mask, its norms, LoRA or a prompt",
    load: async () => (await import("./finetune.ts")).finetune,
  },
  evaluate: {
    summary: "score a model on benchmarks",
    load: async () => (await import("./evaluate.ts")).evaluate,
  },
  inspect: {
    summary: "say what a model is and how it was pruned",
    load: async () => (await import("./inspect.ts")).inspect,
  },
  export: {
    summary: "write a model in a form that others run it in",
    load: async () => (await import("./export.ts")).exportCommand,
  },
  sweep: {
    summary: "measure many recipes: here, on several machines, or on a cluster",
    load: async () => (await import("./sweep.ts")).sweep,
  },
  demo: {
    summary: "open a page on which exported models write side by side",
    load: async () => (await import("./demo.ts")).demo,
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
