import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { packageRoot } from "../base/package-root.ts";
import { shared, skipWithoutShared } from "../base/testing.test-helper.ts";
import { PrunelabError } from "../errors.ts";
import { HubError } from "../hub/request.ts";
import { allTasks } from "../tasks/find-tasks.ts";
import { loadRows as loadSet } from "./load-rows.ts";
import type { DatasetRef } from "./source.ts";

/** Finds the folder's layout in the benchmark of that set. */
const loadRows: typeof loadSet = (ref: DatasetRef, options) => {
  const known = allTasks.find(({ dataset }) => dataset.path === ref.path);
  return loadSet({ ...known?.dataset, ...ref }, options);
};

const folder = await mkdtemp(join(tmpdir(), "prunelab-rows-"));
after(() => rm(folder, { recursive: true }));

async function put(file: string, content: string): Promise<void> {
  await mkdir(dirname(join(folder, file)), { recursive: true });
  await writeFile(join(folder, file), content);
}

const offline = async (): Promise<never> => {
  throw new HubError("unreachable", "no network; try again");
};
const mmlu = { path: "cais/mmlu", name: "virology", split: "test" };

test("takes a folder first, then the Hub, then the demo, and says why", async () => {
  await put("mmlu/test/virology_test.csv", '"Q, 1",a,b,c,d,C\r\n\r\n');
  const inFolder = await loadRows(mmlu, { folder, locate: offline });
  assert.deepEqual(inFolder, {
    rows: [
      {
        row: { question: "Q, 1", subject: "virology", choices: ["a", "b", "c", "d"], answer: 2 },
        place: `${folder}/mmlu/test/virology_test.csv line 1`,
      },
    ],
    source: { kind: "folder", where: join(folder, "mmlu/test/virology_test.csv"), complete: true, passedOver: [] },
  });

  const parquet = join(packageRoot(), "data/expected/rows-zstd.parquet");
  const asked: unknown[] = [];
  const locate = async (...what: unknown[]) => {
    asked.push(what);
    return { files: [parquet, parquet], source: "the hub" };
  };
  const onHub = await loadRows({ ...mmlu, name: "sociology" }, { folder, locate });
  assert.deepEqual(asked, [["cais/mmlu", "sociology", "test"]]);
  assert.equal(onHub.rows.length, 10);
  assert.deepEqual(onHub.source, {
    kind: "hub",
    where: "the hub",
    complete: true,
    passedOver: [`${folder} has no cais/mmlu sociology (test)`],
  });

  const demo = await loadRows({ ...mmlu, name: "formal_logic" }, { folder: "", locate: offline });
  assert.equal(demo.source.kind, "demo");
  assert.deepEqual(demo.source.passedOver, ["no network; try again"]);
  assert.equal(demo.rows.length, 24);
});

test("never puts the demo in the place of a named folder's rows", async () => {
  await assert.rejects(loadRows({ ...mmlu, name: "formal_logic" }, { folder, locate: offline }), {
    name: "PrunelabError",
    message: /^no rows for cais\/mmlu formal_logic \(test\): .* has no .*; no network; try again; set PRUNELAB_DATA /,
  });
  await assert.rejects(loadRows(mmlu, { folder: join(folder, "none"), locate: offline }), {
    name: "PrunelabError",
    message: /^no such folder: .*none; correct the option folder, or PRUNELAB_DATA$/,
  });
  await assert.rejects(loadRows({ path: "some/thing", split: "test" }, { folder: "", locate: offline }), PrunelabError);
});

test("a failure that is not the Hub's is an error, and no reason to take the demo", async () => {
  const locate = async () => {
    throw new PrunelabError("the disk is full");
  };
  await assert.rejects(loadRows({ ...mmlu, name: "formal_logic" }, { folder: "", locate }), {
    message: "the disk is full",
  });
});

test("a broken file of the Hub is an error, and no reason to take the demo", async () => {
  const locate = async () => ({ files: [join(folder, "none.parquet")], source: "the hub" });
  const ref = { path: "Rowan/hellaswag", split: "validation" };
  await assert.rejects(loadRows(ref, { folder: "", locate }), { message: /^cannot read parquet: / });
});

test("gives rows the Hub's fields, types and order", async () => {
  await put(
    "hellaswag/hellaswag_val_first200.jsonl",
    '{"label": 3, "ctx_b": "he", "ctx_a": "A.", "ctx": "A. he", "split": "val", "split_type": "indomain", "ind": 24, "activity_label": "L", "endings": ["a", "b", "c", "d"], "source_id": "s"}\n',
  );
  await put("boolq/dev.jsonl", '{"question": "is it", "title": "T", "answer": true, "passage": "P"}\n');
  await put("piqa/valid.jsonl", '{"goal": "g", "sol1": "a", "sol2": "b"}\n');
  await put("piqa/valid-labels.lst", "1\n");
  await put("winogrande/dev.jsonl", '{"qID": "q", "sentence": "_ x", "option1": "a", "option2": "b", "answer": "2"}\n');
  await put(
    "arc/ARC-Easy/ARC-Easy-Test.jsonl",
    '{"id": "i", "question": {"stem": "s", "choices": [{"text": "x", "label": "1"}, {"text": "y", "label": "2"}]}, "answerKey": "2"}\n',
  );
  const rowOf = async (path: string, name: string | undefined, split: string) => {
    const { rows, source } = await loadRows({ path, split, ...(name && { name }) }, { folder, locate: offline });
    return [JSON.stringify(rows[0]?.row), source.complete];
  };
  assert.deepEqual(await rowOf("Rowan/hellaswag", undefined, "validation"), [
    '{"ind":24,"activity_label":"L","ctx_a":"A.","ctx_b":"he","ctx":"A. he","endings":["a","b","c","d"],"source_id":"s","split":"val","split_type":"indomain","label":"3"}',
    false,
  ]);
  assert.deepEqual(await rowOf("aps/super_glue", "boolq", "validation"), [
    '{"question":"is it","passage":"P","idx":0,"label":1}',
    true,
  ]);
  assert.deepEqual(await rowOf("baber/piqa", undefined, "validation"), [
    '{"goal":"g","sol1":"a","sol2":"b","label":1}',
    true,
  ]);
  assert.deepEqual(await rowOf("allenai/winogrande", "winogrande_xl", "validation"), [
    '{"sentence":"_ x","option1":"a","option2":"b","answer":"2"}',
    true,
  ]);
  assert.deepEqual(await rowOf("allenai/ai2_arc", "ARC-Easy", "test"), [
    '{"id":"i","question":"s","choices":{"text":["x","y"],"label":["1","2"]},"answerKey":"2"}',
    true,
  ]);
});

test("names file, line, field and value of a malformed row", async () => {
  const cases: [string, string, string, RegExp][] = [
    [
      "cais/mmlu",
      "mmlu/test/virology_test.csv",
      "q,a,b,c,d,A\nq,a,b,c,d,E\n",
      /line 2: field "answer" must be A, B, C or D: "E"; /,
    ],
    ["cais/mmlu", "mmlu/test/virology_test.csv", "q,a,b,c,A\n", /line 1: a record must have 6 fields: 5; /],
    [
      "aps/super_glue",
      "boolq/dev.jsonl",
      '{"answer": "yes"}\n',
      /line 1: field "answer" must be true or false: "yes"; /,
    ],
    [
      "allenai/ai2_arc",
      "arc/ARC-Easy/ARC-Easy-Test.jsonl",
      '{"question": {}}\n',
      /line 1: field "question.choices" must be a list of objects: missing; /,
    ],
    [
      "allenai/ai2_arc",
      "arc/ARC-Easy/ARC-Easy-Test.jsonl",
      "{}\n",
      /line 1: field "question" must be an object: missing; /,
    ],
    [
      "allenai/ai2_arc",
      "arc/ARC-Easy/ARC-Easy-Test.jsonl",
      '{"question": {"stem": "s", "choices": [null]}}\n',
      /line 1: /,
    ],
    ["baber/piqa", "piqa/valid-labels.lst", "1\n0\n", /^labels do not fit the rows: .*lst has 2, .*jsonl has 1; /],
  ];
  const refs: Record<string, [string | undefined, string]> = {
    "cais/mmlu": ["virology", "test"],
    "aps/super_glue": ["boolq", "validation"],
    "allenai/ai2_arc": ["ARC-Easy", "test"],
    "baber/piqa": [undefined, "validation"],
  };
  for (const [path, file, content, message] of cases) {
    await put(file, content);
    const [name, split] = refs[path]!;
    const ref = { path, split, ...(name && { name }) };
    await assert.rejects(loadRows(ref, { folder, locate: offline }), { name: "PrunelabError", message }, content);
  }
});

test("reads every set of the shared folder to its last row", { skip: skipWithoutShared }, async () => {
  const counts: [string, string | undefined, string, number][] = [
    ["Rowan/hellaswag", undefined, "validation", 200],
    ["Rowan/hellaswag", undefined, "validation_sample1000", 1000],
    ["Rowan/hellaswag", undefined, "train", 3368],
    ["baber/piqa", undefined, "validation", 1838],
    ["allenai/ai2_arc", "ARC-Easy", "test", 2376],
    ["allenai/ai2_arc", "ARC-Challenge", "train", 1119],
    ["aps/super_glue", "boolq", "validation", 3270],
    ["allenai/winogrande", "winogrande_xl", "validation", 1267],
    ["cais/mmlu", "professional_law", "test", 1534],
    ["cais/mmlu", "high_school_mathematics", "dev", 5],
  ];
  for (const [path, name, split, count] of counts) {
    const { rows, source } = await loadRows(
      { path, split, ...(name && { name }) },
      { folder: join(shared!, "data"), locate: offline },
    );
    assert.equal(rows.length, count, `${path} ${split}`);
    assert.equal(source.complete, path !== "Rowan/hellaswag");
  }
});
