/** `prunelab recover`: trains a pruned model with its dense one as the teacher. */
import { join } from "node:path";
import { prepareFolder } from "../../src/base/atomic.ts";
import { carryRecipe } from "../../src/card/recipe.ts";
import { PrunelabError } from "../../src/errors.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { openCheckpoint, type RecoverOptions, recover as recoverModel, writeCheckpoint } from "../../src/index.ts";
import { recoveryMethods } from "../../src/train/recover.ts";
import { type Command, defineCommand, value } from "./command.ts";
import { commandLine, oneOf, parseWhole } from "./options.ts";
import { terminalProgress } from "./progress.ts";
import { parseNumber, stopOnInterrupt, trainingOptions, trainingSentence } from "./training-options.ts";

export const recover: Command = defineCommand({
  usage: "--model <pruned> --output <folder> [options]",
  description: `Recovers what pruning lost, with the dense model as the teacher; zeros stay zero. A run that was stopped or killed goes on where its state
was last kept.`,
  options: {
    ...trainingOptions,
    tokens: { ...trainingOptions.tokens, help: "tokens of a window (default: 256)" },
    model: value("--model <id or path>", "the pruned model"),
    teacher: value("--teacher <id or path>", "the dense model", { default: defaultModel }),
    method: value("--method <name>", "distill (the whole model) or blocks (one block at a time)", {
      parse: oneOf(recoveryMethods),
      default: "blocks",
      words: recoveryMethods,
    }),
    epochs: value("--epochs <n>", "passes over the data (default: 1, for blocks 2)", { parse: parseNumber }),
    windows: value("--windows <n>", "windows to train on at most (default: all, for blocks 64)", { parse: parseWhole }),
    seed: value("--seed <n>", "of the order of the data", { parse: parseWhole, default: "0" }),
  },
  json: "the report: loss curve, or each block's error before and after",
  examples: [
    ["--model pruned --output recovered --minutes 15", "block by block, towards the dense model's outputs"],
    ["--model recovered --output better --method distill --minutes 15", "and then as a whole"],
  ],
  run: async ({ output, model: name, teacher: teacherName, method, ...given }) => {
    if (!output) throw new PrunelabError("missing --output; name the folder to write");
    if (!name) throw new PrunelabError("missing --model; name the pruned model");
    const { onProgress, note, finish } = terminalProgress();
    await prepareFolder(output);
    const pruned = await openCheckpoint(name, { onProgress, onNotice: note });
    const teacher = await openCheckpoint(teacherName, { onProgress, onNotice: note });
    const options: RecoverOptions = {
      teacher,
      method,
      data: given.data,
      seed: given.seed,
      ...(given.tokens !== undefined && { tokens: given.tokens }),
      ...(given.learningRate !== undefined && { learningRate: given.learningRate }),
      ...(given.minutes !== undefined && { minutes: given.minutes }),
      ...(given.maxSteps !== undefined && { maxSteps: given.maxSteps }),
      ...(given.epochs !== undefined && { epochs: given.epochs }),
      ...(given.windows !== undefined && { windows: given.windows }),
      ...(given.pattern !== undefined && { pattern: given.pattern }),
      device: given.device,
      folder: join(output, "training"),
      signal: stopOnInterrupt(note),
      onProgress,
      onNotice: note,
    };
    const { training, blocks, ...better } = await recoverModel(pruned, options);
    await writeCheckpoint(better, output, { onProgress });
    const step = {
      training: `recovered under its mask (${method}) with its dense model as the teacher, on ${[given.data].flat().join(", ")}`,
      command: commandLine(),
    };
    await carryRecipe(name, output, better, step);
    finish();
    const errors = blocks?.map(
      ({ layer, before, after }) => `block ${layer}: error ${before.toPrecision(3)} to ${after.toPrecision(3)}`,
    );
    const text = training ? trainingSentence(training) : errors!.join("\n");
    return { text: `${text}\n${output}`, json: { ...(training ?? { blocks }), folder: output } };
  },
});
