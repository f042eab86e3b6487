/** Answers of finished batches in a file of one line each: a stopped run goes on from it, and a second run asks nothing twice. */
import { type FileHandle, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { asWriteError, makeFolder } from "../base/atomic.ts";
import { asReadError } from "../base/read-error.ts";
import type { Loglikelihood } from "../model/language-model.ts";
import type { AnswerJournals } from "../tasks/output-types/output-type.ts";

/** Journals in a file, and how many answers came from it. */
export interface AnswerCache extends AnswerJournals {
  readonly reused: () => number;
  close(): Promise<void>;
}

/**
 * Opens the file of one model's answers, by batch key. A line that a killed run left half-written is skipped; what was whole is used.
 * Several processes may append to one file. With `fresh` nothing that was there is used.
 */
export async function openAnswerCache(path: string, { fresh }: { fresh: boolean }): Promise<AnswerCache> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw asReadError(error, path);
  });
  const sums = new Map<string, readonly Loglikelihood[]>();
  const texts = new Map<string, readonly string[]>();
  for (const line of fresh ? [] : text.split("\n")) {
    const { key, answers } = parseLine(line) ?? {};
    if (key === undefined || answers === undefined) continue;
    if (answers.every(isText)) texts.set(key, answers);
    else if (answers.every(isSum))
      sums.set(
        key,
        answers.map(([sum, isGreedy]) => ({ sum, isGreedy })),
      );
  }
  // A line that was cut off is ended, so that it does not swallow the next one.
  const file = await openToAppend(path, text === "" || text.endsWith("\n") ? "" : "\n");
  let reused = 0;
  const journal = <Answer>(known: ReadonlyMap<string, readonly Answer[]>, toJson: (answer: Answer) => unknown) => ({
    get(key: string) {
      const answers = known.get(key);
      if (answers) reused += answers.length;
      return answers;
    },
    async add(key: string, answers: readonly Answer[]) {
      await file.appendFile(`${JSON.stringify([key, answers.map(toJson)])}\n`).catch((error: unknown) => {
        throw asWriteError(error, path);
      });
    },
  });
  return {
    sums: journal(sums, ({ sum, isGreedy }) => [sum, isGreedy]),
    texts: journal(texts, (written) => written),
    reused: () => reused,
    close: () => file.close(),
  };
}

async function openToAppend(path: string, first: string): Promise<FileHandle> {
  let file: FileHandle | undefined;
  try {
    makeFolder(dirname(path));
    file = await open(path, "a");
    await file.appendFile(first);
    return file;
  } catch (error) {
    await file?.close();
    throw asWriteError(error, path);
  }
}

function parseLine(line: string): { key: string; answers: readonly unknown[] } | undefined {
  try {
    const [key, answers] = JSON.parse(line) as [unknown, unknown];
    // A batch has at least one answer.
    if (typeof key === "string" && Array.isArray(answers) && answers.length > 0) return { key, answers };
  } catch {
    // Cut off, or no line of ours.
  }
  return undefined;
}

function isText(answer: unknown): answer is string {
  return typeof answer === "string";
}

function isSum(answer: unknown): answer is [number, boolean] {
  return Array.isArray(answer) && typeof answer[0] === "number" && typeof answer[1] === "boolean";
}
