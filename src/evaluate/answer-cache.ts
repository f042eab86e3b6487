/** Answers of finished batches in a file of one line each: a stopped run goes on from it, and a second run asks nothing twice. */
import { mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { asWriteError } from "../files/atomic.ts";
import type { Journal, Loglikelihood } from "../model/language-model.ts";

/** A journal in a file, and how many answers came from it. */
export interface AnswerCache extends Journal {
  readonly reused: () => number;
  close(): Promise<void>;
}

/**
 * Opens the file of one model's answers, by batch key. A line that a killed run left half-written is passed over; what was whole is used.
 * Several processes may append to one file. With `fresh` nothing that was there is used.
 */
export async function openAnswerCache(path: string, { fresh }: { fresh: boolean }): Promise<AnswerCache> {
  await mkdir(dirname(path), { recursive: true });
  const text = await readFile(path, "utf8").catch(() => "");
  const known = new Map<string, Loglikelihood[]>();
  for (const line of fresh ? [] : text.split("\n")) {
    const entry = parseLine(line);
    if (entry) known.set(...entry);
  }
  const file = await open(path, "a");
  // Ends a line that was cut off, so that it does not swallow the next one.
  if (text !== "" && !text.endsWith("\n")) await file.appendFile("\n");
  let reused = 0;
  return {
    get(key) {
      const answers = known.get(key);
      if (answers) reused += answers.length;
      return answers;
    },
    async add(key, answers) {
      const sums = answers.map(({ sum, isGreedy }) => [sum, isGreedy]);
      await file.appendFile(`${JSON.stringify([key, sums])}\n`).catch((error: unknown) => {
        throw asWriteError(error, path);
      });
    },
    reused: () => reused,
    close: () => file.close(),
  };
}

function parseLine(line: string): [string, Loglikelihood[]] | undefined {
  try {
    const [key, answers] = JSON.parse(line) as [unknown, unknown];
    if (typeof key !== "string" || !Array.isArray(answers)) return undefined;
    const isAnswer = (answer: unknown): answer is [number, boolean] =>
      Array.isArray(answer) && typeof answer[0] === "number" && typeof answer[1] === "boolean";
    if (!answers.every(isAnswer)) return undefined;
    return [key, answers.map(([sum, isGreedy]) => ({ sum, isGreedy }))];
  } catch {
    return undefined;
  }
}
