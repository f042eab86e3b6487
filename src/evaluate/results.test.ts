import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { packageRoot } from "../base/package-root.ts";
import { shared, skipWithoutShared } from "../base/testing.test-helper.ts";
import { PrunelabError } from "../errors.ts";
import { HubError } from "../hub/request.ts";
import type { Loglikelihood, LoglikelihoodRequest } from "../model/language-model.ts";
import { choiceTasks } from "../tasks/choice-tasks.test-helper.ts";
import type { TaskGroup } from "../tasks/find-tasks.ts";
import { loadDocuments } from "../tasks/load-documents.ts";
import { means as taskMetrics } from "../tasks/output-types/metrics.ts";
import { type ChoiceTask, documentMetrics, multipleChoice } from "../tasks/output-types/multiple-choice.ts";
import { type Evaluation, groupEvaluations, type TaskEvaluation } from "./evaluation.ts";
import { sanitizeName, writeResults } from "./results.ts";
import type { ResultsFile } from "./results-format.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-results-"));
after(() => rm(folder, { recursive: true }));

const model: Evaluation["model"] = {
  name: "made/up",
  digest: "d",
  device: "cpu",
  parameterCount: 268098176,
  maxLength: 32768,
  specialTokens: { pad: ["<pad>", 0], eos: ["<eos>", 1], bos: ["<bos>", 2] },
};

function evaluationOf(tasks: TaskEvaluation[], groups: readonly TaskGroup[], limit: number | null): Evaluation {
  const startedAt = new Date(1_795_505_142_828);
  return { model, limit, startedAt, seconds: 432.5, reusedAnswers: 0, tasks, groups: groupEvaluations(groups, tasks) };
}

function taskEvaluation(
  task: ChoiceTask,
  documents: Pick<Awaited<ReturnType<typeof loadDocuments>>, "docs" | "source" | "originalCount">,
  answer: (request: LoglikelihoodRequest, docId: number, index: number) => Loglikelihood,
): TaskEvaluation {
  const { docs, source, originalCount } = documents;
  const samples = docs.map((doc, docId) => {
    const requests = multipleChoice.requests(task, doc);
    const answers = requests.map((request, index) => answer(request, docId, index));
    const metrics = documentMetrics(task, doc, answers);
    return { docId, doc, target: task.docToTarget(doc), requests, answers, metrics };
  });
  return {
    outputType: "multiple_choice",
    task,
    source,
    originalCount,
    fewshotCount: 0,
    samples,
    metrics: taskMetrics(task, samples),
  };
}

/** The answers of the model in data/expected/lm_eval_demo.py. */
function madeUp({ context, continuation }: LoglikelihoodRequest): Loglikelihood {
  const digest = createHash("sha256")
    .update(context + continuation)
    .digest();
  return { sum: Math.fround((-40 * digest.readUInt32BE()) / 2 ** 32), isGreedy: digest[4]! > 200 };
}

interface Expected {
  readonly keys: string[];
  readonly files: Partial<ResultsFile>;
  readonly samples: Record<string, { sha256: string; first: string }>;
}

test("writes the demo's samples byte for byte, and its results value for value, as lm-eval does", async () => {
  const expected = JSON.parse(
    await readFile(join(packageRoot(), "data/expected/lm-eval-demo.json"), "utf8"),
  ) as Expected;
  const locate = async () => {
    throw new HubError("unreachable", "no network");
  };
  const group = (name: string, members: string[], alias?: string): TaskGroup => ({
    ...{ group: name, version: 2, members, metrics: ["acc"] },
    ...(alias && { group_alias: alias }),
  });
  const groups = [
    group("mmlu", ["mmlu_stem", "mmlu_humanities"]),
    group("mmlu_stem", ["mmlu_abstract_algebra", "mmlu_high_school_mathematics"], "stem"),
    group("mmlu_humanities", ["mmlu_formal_logic"], "humanities"),
  ];
  const tasks: TaskEvaluation[] = [];
  for (const task of choiceTasks(Object.keys(expected.files.task_hashes!))) {
    tasks.push(taskEvaluation(task, await loadDocuments(task, { folder: "", locate }), madeUp));
  }
  const written = await writeResults(evaluationOf(tasks, groups, null), join(folder, "demo"));
  for (const [task, { sha256, first }] of Object.entries(expected.samples)) {
    const text = await readFile(written.samples[task]!, "utf8");
    assert.equal(text.split("\n")[0], first);
    assert.equal(createHash("sha256").update(text).digest("hex"), sha256, task);
  }
  const results = JSON.parse(await readFile(written.results, "utf8")) as ResultsFile;
  for (const [key, value] of Object.entries(expected.files)) {
    // As texts, so that the order of keys counts.
    assert.equal(JSON.stringify(results[key as keyof ResultsFile]), JSON.stringify(value), key);
  }
});

/** The keys of an object, through inner objects, with the types of the leaves. */
function shapeOf(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [`${path}: ${Array.isArray(value) ? "list" : value === null ? "null" : typeof value}`];
  }
  return Object.entries(value).flatMap(([name, inner]) => shapeOf(inner, `${path}/${name}`));
}

test("regenerates the reference's files from its log-likelihoods", { skip: skipWithoutShared }, async () => {
  const reference = join(shared!, "reference/lm-eval-output");
  const names = await readdir(reference);
  const read = (prefix: string) => readFile(join(reference, names.find((name) => name.startsWith(prefix))!), "utf8");
  const lines = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  const expectedSamples = (await read("samples_")).trimEnd().split("\n");
  const expectedResults = JSON.parse(await read("results_")) as ResultsFile;
  const known = lines(await readFile(join(shared!, "reference/samples/base/hellaswag.jsonl"), "utf8"));
  const full = expectedSamples.map((line) => JSON.parse(line).resps as [[string, string]][]);

  const [task] = choiceTasks(["hellaswag"]);
  const rows = lines(await readFile(join(shared!, "data/hellaswag/hellaswag_val_first200.jsonl"), "utf8"));
  // The reference read the rows through a JSON loader, which fills a field that some rows lack with null.
  const docs = rows.map((row) => task!.processDoc({ ...row, reconstructed: row.reconstructed ?? null }));
  const source = { kind: "folder" as const, where: "first200", complete: false, passedOver: [] };
  const evaluated = taskEvaluation(task!, { docs, source, originalCount: 200 }, (_, docId, index) => ({
    // The first three lines have all digits.
    sum: Number(full[docId]?.[index]?.[0][0] ?? known[docId].loglikelihoods[index]),
    isGreedy: known[docId].is_greedy[index],
  }));
  const now = new Date(2026, 10, 24, 7, 32, 49, 608);
  const written = await writeResults(evaluationOf([evaluated], [], 200), join(folder, "reference"), { now });

  assert.equal(basename(written.results), "results_2026-11-24T07-32-49.608000.json");
  assert.equal(basename(written.samples.hellaswag!), "samples_hellaswag_2026-11-24T07-32-49.608000.jsonl");
  const text = await readFile(written.samples.hellaswag!, "utf8");
  assert.deepEqual(text.split("\n").slice(0, 3), expectedSamples);

  const resultsText = await readFile(written.results, "utf8");
  assert.match(resultsText, /\n {4}"limit": 200\.0,\n/);
  assert.match(resultsText, /\n {8}"version": 1\.0,\n/);
  const results = JSON.parse(resultsText) as ResultsFile;
  for (const key of ["results", "group_subtasks", "versions", "n-shot", "higher_is_better", "n-samples"] as const) {
    assert.equal(JSON.stringify(results[key]), JSON.stringify(expectedResults[key]), key);
  }
  // Documents that were rebuilt have their own hash, in the reference too.
  assert.deepEqual(results.task_hashes, expectedResults.task_hashes);
  // Ours comes last; the reference read a local file and noted the dtype among the model's arguments.
  const { prunelab, ...theirs } = results;
  assert.ok(prunelab.model_digest && prunelab.version);
  assert.deepEqual(Object.keys(theirs), Object.keys(expectedResults));
  const excused = /dataset_|training_split|\/(model_args|metadata)\/dtype|fewshot_config\/process_docs|^\/prunelab/;
  const shape = (file: unknown) => shapeOf(file).filter((line) => !excused.test(line));
  assert.deepEqual(shape(results), shape(expectedResults));
});

test("a metric of one document has no error, and a text of any kind is written", async () => {
  const [task] = choiceTasks(["boolq"]);
  const docs = [{ question: "q\u2028\ud800", passage: "p\r\n", label: 1 }];
  const source = { kind: "folder" as const, where: "", complete: true, passedOver: [] };
  const one = taskEvaluation(task!, { docs, source, originalCount: 1 }, () => ({ sum: -1, isGreedy: true }));
  const written = await writeResults(evaluationOf([one], [], 0.5), join(folder, "one"));
  const results = JSON.parse(await readFile(written.results, "utf8")) as ResultsFile;
  assert.equal(results.results.boolq?.["acc_stderr,none"], "N/A");
  assert.equal(results.config.limit, 0.5);
  assert.equal("groups" in results, false);
  const lines = (await readFile(written.samples.boolq!, "utf8")).trimEnd().split("\n");
  assert.equal(lines.length, 1);
  assert.deepEqual(JSON.parse(lines[0]!).resps, [[["-1.0", "True"]], [["-1.0", "True"]]]);
});

test("a document's hash is Python's, whatever its numbers and keys", async () => {
  const path = join(folder, "numbers.jsonl");
  await writeFile(
    path,
    '{"passage":"p","question":"q","label":1,"weight":1.0,"big":1e22,"id":9007199254740993,"10":"b","9":"a"}\n',
  );
  const [boolq] = choiceTasks(["boolq"]);
  const task = { ...boolq!, task: "own", dataset: { path: "own", files: { validation: path } } };
  const documents = await loadDocuments(task);
  const written = await writeResults(
    evaluationOf([taskEvaluation(task, documents, () => ({ sum: -1, isGreedy: true }))], [], null),
    join(folder, "numbers"),
  );
  const text = await readFile(written.samples.own!, "utf8");
  assert.ok(text.includes('"weight": 1.0, "big": 1e+22, "id": 9007199254740993, "10": "b", "9": "a"}, "target"'), text);
  // hashlib.sha256(json.dumps(json.loads(line), indent=2, ensure_ascii=False).encode()).hexdigest(), Python 3.11
  assert.equal(JSON.parse(text).doc_hash, "2fe897bd6d1bf5e55073cfd8e1f99d7902556bce1809790ca218e2385539900c");
});

test("a folder that cannot be written is a plain error", async () => {
  await writeFile(join(folder, "file"), "");
  await assert.rejects(writeResults(evaluationOf([], [], null), join(folder, "file")), PrunelabError);
});

test("sanitizes a model's name as lm-eval does", () => {
  assert.equal(sanitizeName('a/b:c"<>|\\?*[d]'), "a__b__c__d__");
  assert.equal(sanitizeName("plain-1.0"), "plain-1.0");
});
