/** `prunelab finetune`: trains a model under its mask, its norms, LoRA or a prompt, and writes what came of it. */
import { join } from "node:path";
import { prepareFolder } from "../../src/base/atomic.ts";
import { carryRecipe } from "../../src/card/recipe.ts";
import { PrunelabError } from "../../src/errors.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import {
  type FinetuneOptions,
  finetune as finetuneModel,
  openCheckpoint,
  writeAdapter,
  writeCheckpoint,
} from "../../src/index.ts";
import { type FinetuneMethod, finetuneMethods } from "../../src/train/finetune.ts";
import type { TrainingReport } from "../../src/train/loop.ts";
import { type Command, defineCommand, flag, value } from "./command.ts";
import { commandLine, oneOf, parseWhole, wholeFrom } from "./options.ts";
import { terminalProgress } from "./progress.ts";
import { parseNumber, stopOnInterrupt, trainingOptions, trainingSentence } from "./training-options.ts";

export const finetune: Command = defineCommand({
  usage: "--output <folder> [options]",
  description: `Fine-tunes a model on prompts and responses or on text. Weights that are zero stay zero. A run that was stopped or killed goes on where
its state was last kept, with the same losses.`,
  options: {
    ...trainingOptions,
    model: value("--model <id or path>", "a Hub id, a folder or a .gguf file", { default: defaultModel }),
    method: value("--method <name>", "what is trained: masked (all linear layers), norms, lora or prompt", {
      parse: oneOf<FinetuneMethod>(finetuneMethods),
      default: "masked",
      words: finetuneMethods,
    }),
    teacher: value("--teacher <id or path>", "learn half from this model's distribution; it needs the same embedding"),
    epochs: value("--epochs <n>", "passes over the data (default: 1)", { parse: parseNumber }),
    loraR: value("--lora-r <n>", "rank of LoRA's matrices", { parse: wholeFrom(1), default: "8", group: "LoRA" }),
    loraAlpha: value("--lora-alpha <n>", "LoRA's updates are scaled by alpha / r", {
      parse: parseNumber,
      default: "8",
      group: "LoRA",
    }),
    loraDropout: value("--lora-dropout <share>", "of LoRA's inputs", {
      parse: parseNumber,
      default: "0",
      group: "LoRA",
    }),
    targetModules: value("--target-modules <a,b>", "linear layers by the last part of their names", {
      default: "q_proj,v_proj",
      group: "LoRA",
    }),
    underMask: flag("--under-mask", "train LoRA under the mask, so that merging keeps the zeros", { group: "LoRA" }),
    virtualTokens: value("--virtual-tokens <n>", "of a prompt", { parse: wholeFrom(1), default: "8", group: "prompt" }),
    promptText: value("--prompt-text <text>", "start the prompt from these words instead of at random", {
      group: "prompt",
    }),
    seed: value("--seed <n>", "of the order of the data and of what is drawn", { parse: parseWhole, default: "0" }),
  },
  json: "the report: loss curve, held-out loss before and after",
  examples: [
    ["--model pruned --output tuned --minutes 15", "all linear layers on Dolly-15k's responses; zeros stay"],
    ["--model pruned --output adapter --method lora --lora-r 16", "an adapter for peft"],
    ["--model pruned --output tuned --data rows.jsonl --epochs 3", "your own rows of prompt and response"],
  ],
  notes: `masked and norms write a checkpoint; lora and prompt write an adapter as peft does, for prunelab evaluate --adapter and for peft.
Dolly-15k is looked for in the folder PRUNELAB_DATA, then on the Hugging Face Hub.`,
  run: async ({ output, model: name, method, teacher: teacherName, epochs, ...given }) => {
    if (!output) throw new PrunelabError("missing --output; name the folder to write");
    const { onProgress, note, finish } = terminalProgress();
    await prepareFolder(output);
    const model = await openCheckpoint(name, { onProgress, onNotice: note });
    const teacher = teacherName && (await openCheckpoint(teacherName, { onProgress, onNotice: note }));
    const options: FinetuneOptions = {
      method,
      data: given.data,
      ...(given.tokens !== undefined && { tokens: given.tokens }),
      ...(given.learningRate !== undefined && { learningRate: given.learningRate }),
      ...(given.minutes !== undefined && { minutes: given.minutes }),
      ...(given.maxSteps !== undefined && { maxSteps: given.maxSteps }),
      ...(epochs !== undefined && { epochs }),
      ...(teacher && { teacher }),
      lora: {
        r: given.loraR,
        lora_alpha: given.loraAlpha,
        lora_dropout: given.loraDropout,
        target_modules: given.targetModules.split(",").map((target) => target.trim()),
        masked: given.underMask,
      },
      prompt: { tokens: given.virtualTokens, ...(given.promptText !== undefined && { text: given.promptText }) },
      ...(given.pattern !== undefined && { pattern: given.pattern }),
      seed: given.seed,
      device: given.device,
      folder: join(output, "training"),
      signal: stopOnInterrupt(note),
      onProgress,
      onNotice: note,
    };
    const tuned = await finetuneModel(model, options);
    if (tuned.adapter) await writeAdapter(tuned.adapter, output);
    else {
      await writeCheckpoint(tuned, output, { onProgress });
      const training = `fine-tuned (${method}) on ${[given.data].flat().join(", ")}`;
      await carryRecipe(name, output, tuned, { training, command: commandLine() });
    }
    finish();
    const training: TrainingReport = tuned.training;
    return { text: `${trainingSentence(training)}\n${output}`, json: { ...training, folder: output } };
  },
});
