import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { HubError } from "../hub/request.ts";
import { choiceTasks } from "./choice-tasks.test-helper.ts";
import { allTasks, findTasks } from "./find-tasks.ts";
import { loadDocuments } from "./load-documents.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-documents-"));
after(() => rm(folder, { recursive: true }));
const file = join(folder, "boolq/dev.jsonl");
await mkdir(join(folder, "boolq"));

const locate = async (): Promise<never> => {
  throw new HubError("unreachable", "no network");
};
const { tasks } = findTasks(["boolq"]);
const boolq = tasks[0]!;
const line = (fields: object) => `${JSON.stringify({ question: "q", passage: "p", answer: true, ...fields })}\n`;

test("takes the first documents, or a share rounded up, as lm-eval does", async () => {
  await writeFile(
    file,
    line({ passage: "0" }) + line({ passage: "1" }) + line({ passage: "1" }) + line({ passage: "3" }),
  );
  const count = async (limit?: number | null) => {
    const { docs, originalCount } = await loadDocuments(boolq, {
      folder,
      locate,
      ...(limit !== undefined && { limit }),
    });
    assert.equal(originalCount, 4);
    return docs.map(({ passage }) => passage).join("");
  };
  assert.equal(await count(), "0113");
  assert.equal(await count(null), "0113");
  assert.equal(await count(2), "01");
  assert.equal(await count(2.9), "01");
  assert.equal(await count(200), "0113");
  assert.equal(await count(0.26), "01");
  assert.equal(await count(0.001), "0");
  for (const limit of [0, -1, Number.NaN]) {
    await assert.rejects(count(limit), { name: "PrunelabError", message: /^limit must be above 0: / });
  }
});

test("names the place of a document that does not fit its task, where it is scored", async () => {
  await writeFile(file, line({}) + line({ passage: 7 }));
  await assert.rejects(loadDocuments(boolq, { folder, locate }), {
    name: "PrunelabError",
    message: `malformed row: ${file} line 2: field "passage" must be a string: 7; fix the row or get the file again`,
  });
  assert.equal((await loadDocuments(boolq, { folder, locate, limit: 1 })).docs.length, 1);
});

test("names the place of a label that is not a number", async () => {
  await mkdir(join(folder, "piqa"), { recursive: true });
  await writeFile(join(folder, "piqa/valid.jsonl"), `${JSON.stringify({ goal: "g", sol1: "a", sol2: "b" })}\n`);
  await writeFile(join(folder, "piqa/valid-labels.lst"), "x\n");
  await assert.rejects(loadDocuments(findTasks(["piqa"]).tasks[0]!, { folder, locate }), {
    name: "PrunelabError",
    message: /valid\.jsonl line 1: field "label" must be an integer from 0 to 1: NaN; /,
  });
});

test("an empty file is an error", async () => {
  await writeFile(file, "\n");
  await assert.rejects(loadDocuments(boolq, { folder, locate }), { name: "PrunelabError", message: /is empty; / });
});

test("the demo has well-formed documents with all answers for the card's tasks and more", async () => {
  const five = [
    "abstract_algebra",
    "formal_logic",
    "high_school_computer_science",
    "high_school_mathematics",
    "professional_law",
  ];
  const demo = choiceTasks(
    allTasks.filter(({ outputType }) => outputType === "multiple_choice").map(({ task }) => task),
  ).filter(({ task }) => !task.startsWith("mmlu_") || five.includes(task.slice(5)));
  assert.equal(demo.length, 11);
  for (const task of demo) {
    const { docs, source } = await loadDocuments(task, { folder: "", locate });
    assert.equal(source.kind, "demo");
    assert.ok(docs.length >= 24, task.task);
    const golds = new Set(docs.map((doc) => task.docToTarget(doc)));
    assert.equal(golds.size, task.docToChoice(docs[0]!).length, task.task);
    for (const doc of docs) assert.equal(task.docToChoice(doc).length, task.docToChoice(docs[0]!).length);
  }
});
