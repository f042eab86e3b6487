/** What `prunelab finetune` and `prunelab recover` have in common. */
import { duration } from "../../src/base/duration.ts";
import { PrunelabError } from "../../src/errors.ts";
import { type Device, deviceNames } from "../../src/onnx/session.ts";
import type { TrainingReport } from "../../src/train/loop.ts";
import { type OptionOf, value } from "./command.ts";
import { oneOf, wholeFrom } from "./options.ts";

/** A number; the library judges it. */
export function parseNumber(text: string, flag: string): number {
  const number = Number(text);
  if (text.trim() === "" || Number.isNaN(number)) throw new PrunelabError(`invalid ${flag}; a number: ${text}`);
  return number;
}

export const trainingOptions: {
  readonly output: OptionOf<string | undefined>;
  readonly data: OptionOf<string>;
  readonly minutes: OptionOf<number | undefined>;
  readonly maxSteps: OptionOf<number | undefined>;
  readonly learningRate: OptionOf<number | undefined>;
  readonly tokens: OptionOf<number | undefined>;
  readonly pattern: OptionOf<string | undefined>;
  readonly device: OptionOf<Device>;
} = {
  output: value("--output <folder>", "the folder to write"),
  data: value("--data <source>", "dolly, a .jsonl file of prompt and response, or a text file", {
    default: "dolly",
    words: ["dolly"],
  }),
  minutes: value("--minutes <n>", "about how long to train", { parse: parseNumber }),
  maxSteps: value("--max-steps <n>", "how many steps to train", { parse: wholeFrom(1) }),
  learningRate: value("--learning-rate <rate>", "peak, after the warm-up (default: the method's)", {
    parse: parseNumber,
  }),
  tokens: value("--window-length <n>", "tokens of a window (default: 512)", { parse: wholeFrom(2) }),
  pattern: value("--pattern <n:m>", "start only if the weights have this pattern of zeros, such as 2:4"),
  device: value("--device <name>", "where the graphs run, by ONNX Runtime's name; the optimizer is on the CPU", {
    parse: oneOf<Device>(deviceNames),
    default: "cpu",
    words: deviceNames,
  }),
};

/** The first Ctrl-C stops after the step that is under way and writes what is best so far, the second stops at once. */
export function stopOnInterrupt(note: (line: string) => void): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () => {
    note("stopping after this step; the best weights so far are written; again: stop at once");
    controller.abort();
    process.once("SIGINT", () => {
      console.error("\nstopped; the same command goes on from where the state was last kept");
      process.exit(130);
    });
  });
  return controller.signal;
}

/** What training reached, in one line. */
export function trainingSentence({
  heldOutBefore,
  heldOutAfter,
  bestStep,
  steps,
  seconds,
  tokens,
  stopped,
}: TrainingReport): string {
  const perplexity = (loss: number) => Math.exp(loss).toPrecision(4);
  const how = stopped === "finished" ? "" : `; ${stopped} after ${steps} steps`;
  return `held-out perplexity ${perplexity(heldOutBefore)} to ${perplexity(heldOutAfter)} at step ${bestStep}; ${tokens} tokens in ${duration(seconds)}${how}`;
}
