import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { modelFile, shared, skipWithoutModel, skipWithoutShared, tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { PrunelabError } from "../errors.ts";
import { cacheFolder } from "../hub/cache-folder.ts";
import { HubError } from "../hub/request.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { loadLanguageModel } from "../model/load.ts";
import { firstMaximum } from "../tasks/output-types/multiple-choice.ts";
import { openAnswerCache } from "./answer-cache.ts";
import { compareEvaluations } from "./compare.ts";
import { evaluate, evaluateCheckpoint } from "./evaluate.ts";
import { ownTask } from "./own-task.test-helper.ts";
import { writeResults } from "./results.ts";
import type { ResultsFile } from "./results-format.ts";
import { scoreRows } from "./score-rows.ts";
import { choicesOf } from "./scored.test-helper.ts";

const noHub = () => Promise.reject(new HubError("unreachable", "no network in this test"));
const demo = { folder: "", locate: noHub };

/** A model that likes short continuations, to test what surrounds a model. */
const shortest: LanguageModel = {
  name: "shortest",
  digest: "shortest",
  device: "cpu",
  parameterCount: 0,
  maxLength: 100,
  specialTokens: { pad: ["<pad>", 0], eos: ["<eos>", 1], bos: ["<bos>", 2] },
  loglikelihood: async (requests) =>
    requests.map(({ continuation }) => ({ sum: -continuation.length, isGreedy: false })),
  encode: (text) => [...text].map((character) => character.codePointAt(0)!),
  loglikelihoodTokens: async (windows) => windows.map((window) => -window.length),
  loglikelihoodRolling: async (texts) => texts.map(({ length }) => -length),
  generateUntil: async (requests) => requests.map(({ context }) => ` ${context.length} `),
  release: async () => {},
};

test("documents, answers and metrics belong together", async () => {
  const evaluation = await evaluate(shortest, ["hellaswag", "mmlu_formal_logic"], { limit: 7, ...demo });
  const { groups } = evaluation;
  const tasks = choicesOf(evaluation);
  assert.deepEqual(
    tasks.map(({ task, samples, source }) => [task.task, samples.length, source.kind]),
    [
      ["hellaswag", 7, "demo"],
      ["mmlu_formal_logic", 7, "demo"],
    ],
  );
  assert.deepEqual(groups, []);
  for (const { requests, answers, target, metrics } of tasks[0]!.samples) {
    const lengths = requests.map(({ continuation }) => continuation.length);
    assert.deepEqual(
      answers.map(({ sum }) => -sum),
      lengths,
    );
    assert.equal(metrics.acc, lengths.indexOf(Math.min(...lengths)) === target ? 1 : 0);
  }
});

test("a run stops between batches when its signal says so, and keeps what was answered", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-signal-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const rows = Array.from({ length: 200 }, (_, index) => ({ text: `Stop ${index}:`, choices: ["a", "b c"], gold: 0 }));
  const task = ownTask(folder, { validation: rows });
  const model = await loadLanguageModel(await openCheckpointFile(tinyModel));
  const stop = new AbortController();
  const reason = new Error("enough");
  const seen: number[] = [];
  const onProgress = ({ done }: { done: number }) => {
    seen.push(done);
    if (done > 0) stop.abort(reason);
  };
  await assert.rejects(evaluate(model, [task], { onProgress, signal: stop.signal, fresh: true }), reason);
  assert.ok(seen.at(-1)! < 200, `stopped after ${seen.at(-1)}`);
  await assert.rejects(evaluate(model, [task], { signal: stop.signal }), reason);
  const again = await evaluate(model, [task]);
  assert.ok(again.reusedAnswers > 0 && again.reusedAnswers < 400, `${again.reusedAnswers} answers kept`);
  await model.release();
});

/** Scores of a model that knows the first choice in `right` of 10 documents, and how many requests it was asked. */
function knowing(right: number): LanguageModel & { asked: number } {
  const model = {
    ...shortest,
    name: `knows ${right} of 10`,
    digest: `knows ${right}`,
    asked: 0,
    loglikelihood: async (requests: readonly { context: string; continuation: string }[]) => {
      model.asked += requests.length;
      return requests.map(({ context, continuation }) => {
        const isKnown = Number.parseInt(context, 10) % 10 < right;
        return { sum: (continuation === " a") === isKnown ? -1 : -2, isGreedy: false };
      });
    },
  };
  return model;
}

test("stops a task when its change is decided, asks others whole, and says what it saved", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-decided-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const rows = Array.from({ length: 320 }, (_, index) => ({ text: `${index}?`, choices: ["a", "b"], gold: 0 }));
  const task = ownTask(folder, { validation: rows });
  const dense = await evaluate(knowing(9), [task]);
  const worse = knowing(4);
  const progress: number[] = [];
  const pruned = await evaluate(worse, [task], {
    until: "decided",
    against: dense,
    onProgress: ({ done }) => progress.push(done),
  });
  const { decision, samples } = choicesOf(pruned)[0]!;
  assert.equal(decision!.verdict, "loss");
  assert.ok(decision!.high < 0 && decision!.low <= decision!.change && decision!.change <= decision!.high);
  assert.ok(decision!.saved > 200 && samples.length === 320 - decision!.saved && worse.asked === 2 * samples.length);
  assert.deepEqual([decision!.against, decision!.limit], ["knows 9 of 10", 320]);
  const ids = samples.map(({ docId }) => docId);
  assert.deepEqual(
    ids,
    [...ids].sort((a, b) => a - b),
  );
  assert.ok(ids.at(-1)! > 160, "a random part of the split, not its beginning");
  assert.match(String(pruned), new RegExp(`\\| ${samples.length} of 320, decided \\| acc \\|`));
  assert.deepEqual(scoreRows(pruned)[0]!.note, "stopped when decided");

  const [row] = compareEvaluations(dense, pruned).rows;
  assert.deepEqual([row!.n, row!.saved, row!.verdict, row!.marginP], [samples.length, decision!.saved, "loss", null]);
  assert.deepEqual([row!.changeLow, row!.changeHigh], [decision!.low, decision!.high]);
  const written = await writeResults(pruned, join(folder, "results"));
  const results = JSON.parse(readFileSync(written.results, "utf8")) as ResultsFile;
  assert.deepEqual(results.prunelab.decisions?.own, decision);
  assert.equal(results["n-samples"].own?.effective, samples.length);

  const same = await evaluate(knowing(9), [task], { until: "decided", against: dense });
  assert.deepEqual([same.tasks[0]!.decision?.verdict, same.tasks[0]!.decision?.saved], ["open", 0]);
  assert.equal(scoreRows(same)[0]!.note, "");
});

test("until decided needs another model that was asked the same, said before anything is asked", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-undecided-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const rows = Array.from({ length: 20 }, (_, index) => ({ text: `${index}?`, choices: ["a", "b"], gold: 0 }));
  const task = ownTask(folder, { validation: rows });
  const dense = await evaluate(knowing(9), [task]);
  const model = knowing(1);
  for (const [options, message] of [
    [{ until: "decided" }, /^until and against belong together: until is decided, against is missing; /],
    [{ against: dense }, /^until and against belong together: until is undefined, against is given; /],
    [
      { until: "decided", against: { ...dense, tasks: [] } },
      /^cannot decide own: knows 9 of 10 was not scored on it; /,
    ],
    [{ until: "decided", against: dense, limit: 5 }, /^cannot compare own: 20 and 5 documents; /],
    [
      { until: "decided", against: dense, systemInstruction: "x" },
      /^cannot compare own: document 0 was not the same; /,
    ],
  ] as const) {
    await assert.rejects(evaluate(model, [task], options), { name: "PrunelabError", message });
  }
  assert.equal(model.asked, 0);
});

test("no weights are loaded if every answer is known", async (t) => {
  const usual = process.env.PRUNELAB_CACHE;
  const own = mkdtempSync(join(tmpdir(), "prunelab-lazy-"));
  process.env.PRUNELAB_CACHE = own;
  t.after(() => {
    if (usual === undefined) delete process.env.PRUNELAB_CACHE;
    else process.env.PRUNELAB_CACHE = usual;
    rmSync(own, { recursive: true });
  });
  const checkpoint = await openCheckpointFile(tinyModel);
  const first = await evaluateCheckpoint(checkpoint, ["hellaswag"], { limit: 4, ...demo });
  rmSync(cacheFolder("weights"), { recursive: true });
  const second = await evaluateCheckpoint(checkpoint, ["hellaswag"], { limit: 4, ...demo });
  assert.equal(second.reusedAnswers, 16);
  assert.deepEqual(second.tasks[0]!.samples, first.tasks[0]!.samples);
  assert.equal(existsSync(cacheFolder("weights")), false);
});

test("an unknown task and a limit of nothing are refused before anything is scored", async () => {
  await assert.rejects(evaluate(shortest, ["helaswag"], demo), /unknown task: helaswag; nearest: hellaswag/);
  await assert.rejects(evaluate(shortest, ["hellaswag"], { limit: 0, ...demo }), PrunelabError);
});

test("a second run takes its answers from the first, also after a line was cut off", async (t) => {
  // A cache of its own: another run of these tests may have left its answers in the one that all share.
  const usual = process.env.PRUNELAB_CACHE;
  const own = mkdtempSync(join(tmpdir(), "prunelab-cache-"));
  process.env.PRUNELAB_CACHE = own;
  t.after(() => {
    if (usual === undefined) delete process.env.PRUNELAB_CACHE;
    else process.env.PRUNELAB_CACHE = usual;
    rmSync(own, { recursive: true });
  });
  const model = await loadLanguageModel(await openCheckpointFile(tinyModel));
  const options = { limit: 12, ...demo };
  const first = await evaluate(model, ["hellaswag"], options);
  assert.equal(first.reusedAnswers, 0);
  const second = await evaluate(model, ["hellaswag"], options);
  assert.equal(second.reusedAnswers, 48);
  assert.deepEqual(second.tasks[0]!.samples, first.tasks[0]!.samples);

  const file = join(cacheFolder("answers"), `${model.digest}.jsonl`);
  // The last line is the whole call's; the one before is a batch's.
  const text = readFileSync(file, "utf8").trimEnd();
  writeFileSync(file, text.slice(0, text.lastIndexOf("\n") - 20));
  const third = await evaluate(model, ["hellaswag"], options);
  assert.ok(third.reusedAnswers > 0 && third.reusedAnswers < 48, `${third.reusedAnswers} answers reused`);
  assert.deepEqual(third.tasks[0]!.samples, first.tasks[0]!.samples);
  const fourth = await evaluate(model, ["hellaswag"], options);
  assert.equal(fourth.reusedAnswers, 48);
  assert.equal((await evaluate(model, ["hellaswag"], { ...options, fresh: true })).reusedAnswers, 0);
  await model.release();
});

test("garbage in the answers' file is skipped", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-answers-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "answers.jsonl");
  writeFileSync(path, '\n{"a":1}\nnull\n["k",[[1]]]\n["k",5]\n["good",[[-1.5,true]]]\n["cut",[[-1.');
  const cache = await openAnswerCache(path, { fresh: false });
  assert.equal(cache.sums.get("k"), undefined);
  assert.deepEqual(cache.sums.get("good"), [{ sum: -1.5, isGreedy: true }]);
  await cache.sums.add("new", [{ sum: -2, isGreedy: false }]);
  await cache.close();
  const again = await openAnswerCache(path, { fresh: false });
  assert.deepEqual(again.sums.get("new"), [{ sum: -2, isGreedy: false }]);
  await again.close();
});

test("every document is answered as lm-eval answers it", { skip: skipWithoutShared || skipWithoutModel }, async () => {
  const folder = join(shared!, "reference", "samples", "base");
  const model = await loadLanguageModel(await openCheckpointFile(modelFile!));
  for (const file of readdirSync(folder)) {
    const task = file.replace(".jsonl", "");
    const lines = readFileSync(join(folder, file), "utf8").trim().split("\n");
    const data = join(shared!, "data");
    assert.ok(existsSync(data));
    const evaluation = await evaluate(model, [task], { limit: lines.length, folder: data });
    choicesOf(evaluation)[0]!.samples.forEach(({ answers, metrics }, i) => {
      const expected = JSON.parse(lines[i]!);
      const sums = answers.map(({ sum }) => sum);
      assert.equal(firstMaximum(sums), firstMaximum(expected.loglikelihoods), `${task} ${i}`);
      sums.forEach((sum, choice) => {
        assert.ok(Math.abs(sum - expected.loglikelihoods[choice]) < 2e-3, `${task} ${i}: ${sum}`);
      });
      assert.equal(metrics.acc, expected.acc, `${task} ${i}`);
      assert.equal(metrics.acc_norm, expected.acc_norm, `${task} ${i}`);
    });
  }
  await model.release();
});

test("scores a task of the user's own, with examples, instruction and template, and says so in its files", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-own-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const row = (text: string) => ({ text, choices: ["one", "three"], gold: 0 });
  const task = ownTask(folder, { validation: [row("a"), row("b")], train: [row("t")] });
  const chatTemplate = {
    text: "T",
    render: (messages: readonly { content: string }[]) => messages.map((m) => m.content).join("|"),
  };
  const evaluation = await evaluate({ ...shortest, chatTemplate }, [task], {
    systemInstruction: "Be brief.",
    applyChatTemplate: true,
  });
  assert.equal(evaluation.tasks[0]!.metrics.acc?.value, 1);
  assert.equal(choicesOf(evaluation)[0]!.samples[1]!.requests[1]!.context, "Be brief.|b");
  const shown = await evaluate(
    { ...shortest, chatTemplate },
    [ownTask(folder, { validation: [row("a")], train: [row("t"), row("t")] })],
    {
      numFewshot: 1,
      applyChatTemplate: true,
      fewshotAsMultiturn: false,
    },
  );
  assert.equal(choicesOf(shown)[0]!.samples[0]!.requests[0]!.context, "t one\n\na");
  const written = await writeResults(shown, join(folder, "results"));
  const results = JSON.parse(readFileSync(written.results, "utf8")) as ResultsFile;
  assert.equal(results["n-shot"].own, 1);
  assert.equal(results.chat_template, "T");
  assert.equal(results.chat_template_sha, "e632b7095b0bf32c260fa4c539e9fd7b852d0de454e9be26f24d0d6f91d069d3");
  assert.equal(results.fewshot_as_multiturn, false);
  assert.equal(results.prunelab.example_sources?.own?.draw, "lm-eval's draw");
  assert.match(results.configs.own!.doc_to_text, /text/);
  await assert.rejects(
    evaluate(shortest, [task], { applyChatTemplate: true }),
    /^PrunelabError: no chat template: shortest /,
  );
});

test("a model's texts and perplexities go into files as lm-eval writes them", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-kinds-"));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "triviaqa"));
  mkdirSync(join(folder, "wikitext2"));
  const question = { question: "How long?", answer: { aliases: ["it's", "28"] } };
  writeFileSync(join(folder, "triviaqa/validation.jsonl"), `${JSON.stringify(question)}\n`);
  writeFileSync(join(folder, "wikitext2/wiki.test.raw"), " \n = A = \n \n é b . \n");
  const evaluation = await evaluate(shortest, ["triviaqa", "wikitext"], { folder, locate: noHub });
  const written = await writeResults(evaluation, join(folder, "results"));
  const results = JSON.parse(readFileSync(written.results, "utf8")) as ResultsFile;
  // The answer is the prompt's length, the log-likelihood minus the text's.
  const page = " = A = \n \n é b . \n";
  const text = " = A =\n\né b.\n";
  const sum = -text.length;
  assert.equal(results.results.triviaqa!["exact_match,remove_whitespace"], 1);
  const { value } = evaluation.tasks[1]!.metrics.word_perplexity!;
  assert.ok(Math.abs(value - Math.exp(-sum / 8)) < 1e-9, `${value}`);
  assert.equal(results.results.wikitext!["byte_perplexity,none"], Math.exp(-sum / Buffer.byteLength(page)));
  assert.equal(results.results.wikitext!["bits_per_byte_stderr,none"], "N/A");
  assert.deepEqual(results.higher_is_better.wikitext, {
    word_perplexity: false,
    byte_perplexity: false,
    bits_per_byte: false,
  });
  assert.match(
    readFileSync(written.samples.triviaqa!, "utf8"),
    /"target": "\[\\"it's\\", '28'\]", "arguments": \{"gen_args_0": \{"arg_0": "Question: How long\?\?\\nAnswer:", "arg_1": \{"until": \["\\n", "\.", ","\], "do_sample": false, "temperature": 0\.0\}\}\}, "resps": \[\[" 28 "\]\], "filtered_resps": \["28"\], "filter": "remove_whitespace", "metrics": \["exact_match"\]/,
  );
  const line = JSON.parse(readFileSync(written.samples.wikitext!, "utf8"));
  assert.deepEqual(line.word_perplexity, [sum, 8]);
  assert.deepEqual(line.bits_per_byte, [sum, Buffer.byteLength(page)]);
  assert.deepEqual(line.arguments, { gen_args_0: { arg_0: text } });
});
