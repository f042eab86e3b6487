import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { shared, skipWithoutShared } from "../../base/testing.test-helper.ts";
import type { ChatMessage } from "../../model/language-model.ts";
import { choiceTasks } from "../choice-tasks.test-helper.ts";
import { findTasks } from "../find-tasks.ts";
import { loadDocuments } from "../load-documents.ts";
import { generateUntil } from "./generate-until.ts";
import { means as taskMetrics } from "./metrics.ts";
import { documentMetrics, multipleChoice } from "./multiple-choice.ts";

interface ReferenceLine {
  readonly target: string;
  readonly loglikelihoods: readonly number[];
  readonly is_greedy: readonly boolean[];
  readonly acc: number;
  readonly acc_norm?: number;
  /** The first documents only. */
  readonly context?: string;
  readonly continuations?: readonly string[];
}

const scores: Record<string, Record<string, number>> = {
  hellaswag: { acc: 0.435, acc_norm: 0.51 },
  mmlu_abstract_algebra: { acc: 0.23 },
  mmlu_high_school_computer_science: { acc: 0.22 },
  boolq: { acc: 0.625 },
  arc_easy: { acc: 0.55, acc_norm: 0.59 },
  winogrande: { acc: 0.54 },
};

for (const task of choiceTasks(Object.keys(scores))) {
  test(`asks and scores ${task.task} as lm-eval does`, { skip: skipWithoutShared }, async () => {
    const { docs } = await loadDocuments(task, { folder: join(shared!, "data"), limit: 200 });
    const text = await readFile(join(shared!, `reference/samples/base/${task.task}.jsonl`), "utf8");
    const reference = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as ReferenceLine);
    assert.equal(docs.length, reference.length);
    const samples = docs.map((doc, docId) => {
      const expected = reference[docId]!;
      const requests = multipleChoice.requests(task, doc);
      const target = task.docToTarget(doc);
      assert.equal(task.targetText?.(doc) ?? String(target), expected.target);
      if (expected.context !== undefined) {
        // The reference keeps the first context; WinoGrande has two.
        assert.equal(requests[0]?.context, expected.context);
        assert.deepEqual(
          requests.map(({ continuation }) => continuation),
          expected.continuations,
        );
      }
      const answers = expected.loglikelihoods.map((sum, index) => ({ sum, isGreedy: expected.is_greedy[index]! }));
      const metrics = documentMetrics(task, doc, answers);
      const { acc, acc_norm } = expected;
      assert.deepEqual(metrics, acc_norm === undefined ? { acc } : { acc, acc_norm }, `document ${docId}`);
      return { docId, doc, target, requests, answers, metrics };
    });
    const values = Object.entries(taskMetrics(task, samples)).map(([metric, { value }]) => [metric, value]);
    assert.deepEqual(Object.fromEntries(values), scores[task.task]);
  });
}

test("puts the description and the examples before the context", () => {
  const [task] = choiceTasks(["mmlu_formal_logic"]);
  const doc = { question: " \nQ ", choices: ["w", "x", "y", "z"], answer: 1 };
  const described = "The following are multiple choice questions (with answers) about formal logic.\n\n";
  const asked = "Q\nA. w\nB. x\nC. y\nD. z\nAnswer:";
  assert.deepEqual(multipleChoice.requests(task!, doc)[1], { context: described + asked, continuation: " B" });
  const [, , , shown] = multipleChoice.requests(task!, doc, { examples: [doc, { ...doc, answer: 3 }] });
  assert.equal(shown?.context, `${described}${asked} B\n\n${asked} D\n\n${asked}`);
});

test("WinoGrande has a context for each option and one continuation", () => {
  const [task] = choiceTasks(["winogrande"]);
  const doc = { sentence: "The cat fled as _ barked _.  ", option1: "Rex", option2: "Tom", answer: "2" };
  assert.deepEqual(multipleChoice.requests(task!, doc), [
    { context: "The cat fled as Rex", continuation: " barked _." },
    { context: "The cat fled as Tom", continuation: " barked _." },
  ]);
  assert.equal(task!.docToTarget(doc), 1);
  assert.equal(task!.targetText?.(doc), "barked _.");
  const [first] = multipleChoice.requests(task!, doc, {
    examples: [doc, { ...doc, sentence: "It was _", answer: "1" }],
  });
  // lm-eval leaves an empty target out, delimiters and all.
  assert.equal(first?.context, "The cat fled as Tom barked _.\n\nIt was RexThe cat fled as Rex");
});

test("an instruction stands before the description, with a blank line between unless there is white space", () => {
  const [mmlu, piqa] = choiceTasks(["mmlu_formal_logic", "piqa"]);
  const [doc, asked] = [{ goal: "g", sol1: "a", sol2: "b", label: 0 }, "Question: g\nAnswer:"];
  const instructed = (systemInstruction: string) =>
    multipleChoice.requests(piqa!, doc, { systemInstruction })[0]?.context;
  // lm-eval puts nothing between an instruction and the question.
  assert.equal(instructed("Be brief."), `Be brief.${asked}`);
  const question = { question: "Q", choices: ["w", "x", "y", "z"], answer: 1 };
  const described = (systemInstruction: string) =>
    multipleChoice.requests(mmlu!, question, { systemInstruction })[0]!.context;
  assert.match(described("Be brief."), /^Be brief\.\n\nThe following /);
  assert.match(described("Be brief.\n"), /^Be brief\.\nThe following /);
});

test("a chat has examples as turns or in the question, and no space before the choices", () => {
  const [piqa, winogrande] = choiceTasks(["piqa", "winogrande"]);
  const doc = { goal: "g", sol1: "a", sol2: "b", label: 1 };
  const render = (messages: readonly ChatMessage[]) =>
    messages.map(({ role, content }) => `<${role}>${content}`).join("");
  const asked = (multiturn: boolean) =>
    multipleChoice.requests(piqa!, doc, { examples: [doc], systemInstruction: "s", chat: { render, multiturn } })[1];
  assert.deepEqual(asked(true), {
    context: "<system>s<user>Question: g\nAnswer:<assistant>b<user>Question: g\nAnswer:",
    continuation: "b",
  });
  assert.equal(asked(false)?.context, "<system>s<user>Question: g\nAnswer: b\n\nQuestion: g\nAnswer:");
  const gap = { sentence: "The _ fled.", option1: "x", option2: "y", answer: "1" };
  assert.deepEqual(multipleChoice.requests(winogrande!, gap, { examples: [gap], chat: { render, multiturn: true } }), [
    { context: "<user>The x<assistant>fled.<user>The x", continuation: "fled." },
    { context: "<user>The x<assistant>fled.<user>The y", continuation: "fled." },
  ]);
});

test("a text to be written begins where an answer would, after examples with their first answers", () => {
  const [task] = findTasks(["triviaqa"]).tasks;
  assert.ok(task?.outputType === "generate_until");
  const doc = { question: "Who?", answer: { aliases: ["A", "B"] } };
  assert.deepEqual(generateUntil.requests(task, doc, { examples: [doc] })[0], {
    context: "Question: Who??\nAnswer: A\n\nQuestion: Who??\nAnswer:",
    until: ["\n", ".", ","],
  });
});
