import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { HubError } from "../hub/request.ts";
import { findTasks } from "./find-tasks.ts";
import { type LoadDocumentsOptions, loadDocuments } from "./load-documents.ts";

const folder = await mkdtemp(join(tmpdir(), "prunelab-examples-"));
after(() => rm(folder, { recursive: true }));
const locate = async (): Promise<never> => {
  throw new HubError("unreachable", "no network");
};
const [piqa, arc, mmlu] = findTasks(["piqa", "arc_easy", "mmlu_formal_logic"]).tasks;

async function writePiqa(name: "valid" | "train", goals: readonly string[]): Promise<void> {
  await mkdir(join(folder, "piqa"), { recursive: true });
  const rows = goals.map((goal) => JSON.stringify({ goal, sol1: "yes", sol2: "no" }));
  await writeFile(join(folder, `piqa/${name}.jsonl`), `${rows.join("\n")}\n`);
  await writeFile(join(folder, `piqa/${name}-labels.lst`), "0\n".repeat(goals.length));
}

async function draws(task: typeof piqa, options: LoadDocumentsOptions): Promise<unknown[]> {
  const { docs, examples } = await loadDocuments(task!, { folder, locate, ...options });
  return docs.map((doc) => examples!.draw(doc).map(({ goal, question }) => goal ?? question));
}

test("draws lm-eval's examples, one more where a document's own may be among them, and again where too few are left", async () => {
  await writePiqa("valid", ["p0", "p1", "p2", "p0", "other"]);
  await writePiqa(
    "train",
    Array.from({ length: 12 }, (_, index) => `p${index % 7}`),
  );
  // lm-eval 0.4.13: ContextSampler(pool, rnd=1234).sample(3, eval_doc=doc), one after another.
  assert.deepEqual(await draws(piqa, { numFewshot: 3 }), [
    ["p4", "p1", "p2"],
    ["p5", "p3", "p0"],
    ["p0", "p4", "p5"],
    ["p2", "p2", "p1"],
    ["p2", "p1", "p0"],
  ]);
  const { examples } = await loadDocuments(piqa!, { folder, locate, numFewshot: 3 });
  assert.equal(examples?.isLmEvalDraw, true);
  await rm(join(folder, "piqa/train.jsonl"));
});

test("draws no more than the examples where another split than the scored one is named", async () => {
  await mkdir(join(folder, "arc/ARC-Easy"), { recursive: true });
  const row = (stem: string) =>
    JSON.stringify({ id: "", answerKey: "A", question: { stem, choices: [{ text: "t", label: "A" }] } });
  const train = Array.from({ length: 12 }, (_, index) => row(`p${index % 7}`)).join("\n");
  await writeFile(join(folder, "arc/ARC-Easy/ARC-Easy-Train.jsonl"), train);
  await writeFile(join(folder, "arc/ARC-Easy/ARC-Easy-Test.jsonl"), `${row("p0")}\n${row("p1")}`);
  // lm-eval 0.4.13: ContextSampler(pool, rnd=1234).sample(3), so that a copy of the document may be among them.
  assert.deepEqual(await draws(arc, { numFewshot: 3 }), [
    ["p0", "p1", "p0"],
    ["p1", "p2", "p0"],
  ]);
});

test("takes the first rows of MMLU's dev split for every document", async () => {
  await mkdir(join(folder, "mmlu/dev"), { recursive: true });
  await mkdir(join(folder, "mmlu/test"), { recursive: true });
  await writeFile(join(folder, "mmlu/dev/formal_logic_dev.csv"), "d0,a,b,c,d,A\nd1,a,b,c,d,B\nd2,a,b,c,d,C\n");
  await writeFile(join(folder, "mmlu/test/formal_logic_test.csv"), "t0,a,b,c,d,A\nt1,a,b,c,d,B\n");
  assert.deepEqual(await draws(mmlu, { numFewshot: 2 }), [
    ["d0", "d1"],
    ["d0", "d1"],
  ]);
});

test("draws from rows that are not scored where the split is not available, and says so", async () => {
  const goals = Array.from({ length: 40 }, (_, index) => `g${index}`);
  await writePiqa("valid", [...goals, "g0"]);
  const limited = await loadDocuments(piqa!, { folder, locate, limit: 5, numFewshot: 4 });
  assert.equal(limited.docs.length, 5);
  assert.equal(limited.examples?.isLmEvalDraw, false);
  const free = new Set(goals.slice(5));
  for (const doc of limited.docs) {
    const shown: string[] = limited.examples!.draw(doc).map(({ goal }) => goal as string);
    assert.equal(new Set(shown).size, 4);
    // The last row is a scored one's twin.
    for (const goal of shown) assert.ok(free.has(goal), goal);
  }

  // Without a limit a tenth is kept back, rounded up to five, and again the twin does not count.
  const whole = await loadDocuments(piqa!, { folder, locate, numFewshot: 4 });
  assert.deepEqual(
    whole.docIds,
    goals.slice(0, 36).map((_, index) => index),
  );
  assert.equal(whole.originalCount, 41);
  const drawn = whole.docs.flatMap((doc) => whole.examples!.draw(doc).map(({ goal }) => goal));
  assert.deepEqual([...new Set(drawn)].sort(), ["g36", "g37", "g38", "g39"]);
});

test("refuses more examples than there are rows, and a number that is none", async () => {
  await writePiqa("valid", ["a", "b", "c"]);
  await assert.rejects(loadDocuments(piqa!, { folder, locate, numFewshot: 3 }), {
    name: "PrunelabError",
    message: /^too few rows for 3 examples: piqa has /,
  });
  for (const numFewshot of [-1, 1.5, Number.NaN]) {
    await assert.rejects(loadDocuments(piqa!, { folder, locate, numFewshot }), /must be an integer from 0/);
  }
});

test("a random subset is the same for the same seed, sorted, and excludes a limit", async () => {
  await writePiqa(
    "valid",
    Array.from({ length: 10 }, (_, index) => `g${index}`),
  );
  const ids = async (samples: number, seed?: number) =>
    (await loadDocuments(piqa!, { folder, locate, samples, ...(seed !== undefined && { seed }) })).docIds;
  // Python 3.11: sorted(random.Random(1234).sample(range(10), 4)).
  assert.deepEqual(await ids(4), [0, 1, 7, 9]);
  assert.deepEqual(await ids(4, 5), [4, 5, 6, 9]);
  assert.equal((await ids(50)).length, 10);
  await assert.rejects(ids(0), /samples must be an integer from 1: 0/);
  await assert.rejects(ids(3, -1), /invalid seed/);
  await assert.rejects(loadDocuments(piqa!, { folder, locate, samples: 3, limit: 3 }), /exclude each other/);
});
