import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { loadLanguageModel } from "../model/load.ts";
import { loadDocuments } from "../tasks/load-documents.ts";
import { evaluate } from "./evaluate.ts";
import { ownTask } from "./own-task.test-helper.ts";
import { choicesOf } from "./scored.test-helper.ts";

function temporaryFolder(t: { after: (fn: () => void) => void }): string {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-robust-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// Log-likelihoods, acc and acc_norm of lm-eval 0.4.13 (transformers 5.23, float32) with data/tiny-gemma3 on the same rows.
const odd: readonly [text: string, choices: string[], gold: number, sums: number[], acc: number, accNorm: number][] = [
  // 303 tokens where the model sees 256: cut on the left.
  [`${"word ".repeat(300)}end`, ["a", "b"], 0, [-5.67734, -12.34127], 1, 1],
  ["An empty choice:", ["", "x"], 1, [-12.43993, -24.01497], 0, 1],
  ["One begins the other:", ["no", "no way"], 1, [-10.46476, -31.68134], 0, 0],
  ["A tie:", ["same", "same"], 1, [-32.50333, -32.50333], 0, 0],
  ["Just one:", ["only"], 0, [-35.82605], 1, 1],
  ["Größe 🙂 é", ["🙂🙂", "naïve", "x"], 1, [-83.22523, -59.82045, -18.93865], 0, 1],
  ["line\r\nbreak\r\n", ["a\r\n", "b"], 0, [-50.15837, -26.87991], 0, 1],
  ["An empty choice:", ["", "x"], 1, [-12.43993, -24.01497], 0, 1],
  [" ", ["blank", "ab"], 0, [-53.29978, -29.11716], 0, 1],
];

test("odd documents are answered as lm-eval answers them", async (t) => {
  const rows = odd.map(([text, choices, gold]) => ({ text, choices, gold }));
  const task = ownTask(temporaryFolder(t), { validation: rows });
  const model = await loadLanguageModel(await openCheckpointFile(tinyModel));
  const evaluation = await evaluate(model, [task], { fresh: true });
  await model.release();
  choicesOf(evaluation)[0]!.samples.forEach(({ answers, metrics }, index) => {
    const [text, , , sums, acc, acc_norm] = odd[index]!;
    assert.deepEqual(metrics, { acc, acc_norm }, text);
    assert.equal(answers.length, sums.length);
    for (const [choice, { sum }] of answers.entries()) {
      assert.ok(Math.abs(sum - sums[choice]!) < 1e-3, `${text.slice(0, 20)} ${choice}: ${sum}`);
    }
  });
});

test("a row without a right choice is refused with its place, before anything is asked", async (t) => {
  const model = await loadLanguageModel(await openCheckpointFile(tinyModel));
  for (const [row, message] of [
    [
      { text: "q", choices: ["a", "b"], gold: 2 },
      /line 2.*right choice out of range: 2 of 2 choices|right choice out of range: 2 of 2 choices.*line 2/,
    ],
    [{ text: "q", choices: [], gold: -1 }, /right choice out of range: -1 of 0 choices/],
    [
      { text: "q", choices: [1, 2], gold: 0 },
      /line 2: each of the choices must be a text: 1 \(a number\); .*docToChoice/,
    ],
    [{ text: "q", choices: "ab", gold: 0 }, /line 2: the choices must be a list: "ab"; /],
    [{ text: 7, choices: ["a"], gold: 0 }, /line 2: no context: 7; correct the row or docToText/],
    [{ text: ["q", null], choices: ["a", "b"], gold: 0 }, /line 2: each of the contexts must be a text: null; /],
  ] as const) {
    const task = ownTask(temporaryFolder(t), { validation: [{ text: "q", choices: ["a"], gold: 0 }, row] });
    await assert.rejects(evaluate(model, [task]), { name: "PrunelabError", message });
  }
  await model.release();
});

test("an example that cannot be asked is refused before anything is asked", async (t) => {
  const validation = [{ text: "q", choices: ["a", "b"], gold: 0 }];
  const wrong = { text: "q", choices: [3, 4], gold: 0 };
  const task = ownTask(temporaryFolder(t), { validation, train: [wrong, wrong] });
  const model = await loadLanguageModel(await openCheckpointFile(tinyModel));
  const onProgress = () => assert.fail("something was asked");
  await assert.rejects(evaluate(model, [task], { numFewshot: 1, onProgress }), {
    name: "PrunelabError",
    message: /train\.jsonl line \d: each of the choices must be a text: 3/,
  });
  for (const numFewshot of [-1, 0.5]) {
    await assert.rejects(evaluate(model, [task], { numFewshot, onProgress }), /must be an integer from 0/);
  }
  await model.release();
});

test("examples out of the scored split itself are never the document's own, and then not lm-eval's", async (t) => {
  const validation = ["a", "b", "c"].map((text) => ({ text, choices: ["x", "y"], gold: 0 }));
  const own = ownTask(temporaryFolder(t), { validation });
  // lm-eval draws from a lone test split without leaving the document out, from a lone validation split without it.
  for (const [splits, isLmEvalDraw] of [
    [{ test: "validation" }, false],
    [{ validation: "validation" }, true],
  ] as const) {
    const { docs, examples } = await loadDocuments({ ...own, splits }, { numFewshot: 2 });
    for (const doc of docs) assert.ok(!examples!.draw(doc).some(({ text }) => text === doc.text));
    assert.equal(examples!.isLmEvalDraw, isLmEvalDraw);
  }
});

test("a choice longer than the model sees is refused by its text", async (t) => {
  const task = ownTask(temporaryFolder(t), {
    validation: [{ text: "q", choices: ["long ".repeat(300), "b"], gold: 0 }],
  });
  const model = await loadLanguageModel(await openCheckpointFile(tinyModel));
  await assert.rejects(evaluate(model, [task]), /^PrunelabError: continuation too long; the model sees 256 tokens: /);
  await model.release();
});

test("two evaluations at once share one cache and one model", async (t) => {
  const rows = Array.from({ length: 60 }, (_, i) => ({
    text: `At once, question ${i}:`,
    choices: ["a", "b c"],
    gold: 0,
  }));
  const task = ownTask(temporaryFolder(t), { validation: rows });
  const model = await loadLanguageModel(await openCheckpointFile(tinyModel));
  const [one, other] = await Promise.all([evaluate(model, [task]), evaluate(model, [task])]);
  assert.deepEqual(choicesOf(one)[0]!.samples, choicesOf(other)[0]!.samples);
  const third = await evaluate(model, [task]);
  assert.equal(third.reusedAnswers, 120);
  assert.deepEqual(choicesOf(third)[0]!.samples, choicesOf(one)[0]!.samples);
  await model.release();
});

const commandLine = fileURLToPath(new URL("../../scripts/cli/prunelab.ts", import.meta.url));

/** Scores piqa in `folder` with the tiny model in a process of its own. */
function startScoring(folder: string, cache: string, output: string): ChildProcess {
  const args = ["evaluate", "--model", tinyModel, "--tasks", "piqa", "--output", output];
  return spawn(process.execPath, ["--import", "tsx", commandLine, ...args], {
    env: { ...process.env, PRUNELAB_DATA: folder, PRUNELAB_CACHE: cache },
    stdio: ["ignore", "ignore", "inherit"],
  });
}

const ended = (child: ChildProcess) =>
  new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)));

/** The files' texts by kind, with the times in names and values taken out. */
function written(output: string): Record<string, string> {
  const folder = join(output, "tiny-gemma3");
  return Object.fromEntries(
    readdirSync(folder).map((name) => [
      name.replace(/_\d{4}-.*(?=\.json)/, ""),
      readFileSync(join(folder, name), "utf8")
        .replace(/"date": [\d.]+/, "")
        .replace(/"total_evaluation_time_seconds": "[\d.e-]+"/, ""),
    ]),
  );
}

test("a run that was killed goes on and writes the same files", async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, "piqa"));
  const rows = Array.from({ length: 1500 }, (_, i) => ({
    goal: `goal ${i % 1400} of many`,
    sol1: `way ${i}`,
    sol2: "none 🙂",
  }));
  writeFileSync(join(folder, "piqa/valid.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  writeFileSync(join(folder, "piqa/valid-labels.lst"), rows.map((_, i) => `${i % 2}\n`).join(""));

  const cache = join(folder, "cache");
  const killed = startScoring(folder, cache, join(folder, "killed"));
  const exit = ended(killed);
  const answers = () => {
    const names = readdirSync(join(cache, "answers"));
    return names.length === 0 ? 0 : statSync(join(cache, "answers", names[0]!)).size;
  };
  for (let size = 0; size < 4000; await sleep(2)) {
    assert.equal(killed.exitCode, null, "the run ended before it could be killed");
    try {
      size = answers();
    } catch {
      // Not there yet.
    }
  }
  killed.kill("SIGKILL");
  assert.equal(await exit, null);
  assert.throws(() => readdirSync(join(folder, "killed", "tiny-gemma3")), /ENOENT/);
  const kept = answers();

  assert.equal(await ended(startScoring(folder, cache, join(folder, "resumed"))), 0);
  assert.ok(answers() > kept);
  assert.equal(await ended(startScoring(folder, join(folder, "other-cache"), join(folder, "whole"))), 0);
  const resumed = written(join(folder, "resumed"));
  assert.deepEqual(Object.keys(resumed).sort(), ["results.json", "samples_piqa.jsonl"]);
  assert.deepEqual(resumed, written(join(folder, "whole")));
  // What was kept was used: the resumed run has not written it a second time.
  const whole = statSync(
    join(folder, "other-cache", "answers", readdirSync(join(folder, "other-cache", "answers"))[0]!),
  );
  assert.ok(answers() <= whole.size + 1000, `${answers()} and ${whole.size} bytes of answers`);
});
