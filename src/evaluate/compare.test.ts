import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import fc from "fast-check";
import { shared, skipWithoutShared } from "../base/testing.test-helper.ts";
import { PrunelabError } from "../errors.ts";
import { findTasks } from "../tasks/find-tasks.ts";
import type { GenerationTask } from "../tasks/output-types/generate-until.ts";
import { compareEvaluations } from "./compare.ts";
import type { Evaluation } from "./evaluation.ts";
import { cardEvaluations, choicesOf, type ScoredDoc, scoredEvaluation } from "./scored.test-helper.ts";

const [dense, pruned] = cardEvaluations;

describe("compareEvaluations", () => {
  it("finds the card's HellaSwag loss, and no gain in its MMLU", () => {
    const [hellaswag, mmlu, ...subjects] = compareEvaluations(dense, pruned).rows;
    assert.deepEqual([hellaswag!.a, hellaswag!.b, hellaswag!.lost, hellaswag!.won], [0.435, 0.295, 45, 17]);
    assert.equal(hellaswag!.verdict, "loss");
    assert.deepEqual([mmlu!.kind, mmlu!.n, mmlu!.aRight, mmlu!.bRight], ["group", 726, 184, 189]);
    assert.equal(mmlu!.verdict, "open");
    assert.ok(mmlu!.aLow < mmlu!.chance && mmlu!.chance < mmlu!.aHigh);
    assert.ok(mmlu!.bLow < mmlu!.chance && mmlu!.chance < mmlu!.bHigh);
    // The card's own "Average MMLU".
    assert.equal((100 * mmlu!.aMeanOfTasks!).toFixed(2), "24.88");
    assert.equal((100 * mmlu!.bMeanOfTasks!).toFixed(2), "26.17");
    assert.equal(subjects.length, 5);
    assert.ok(subjects.every(({ verdict, aMeanOfTasks }) => verdict === "open" && aMeanOfTasks === null));
  });

  it("calls nothing a loss or a gain that is exactly no change", () => {
    const half = (right: number) =>
      Array.from({ length: 60 }, (_, index) => ({ target: 0, sums: index % 2 === right ? [-1, -2] : [-2, -1] }));
    const [row] = compareEvaluations(
      scoredEvaluation("a", { boolq: half(0) }),
      scoredEvaluation("b", { boolq: half(1) }),
    ).rows;
    assert.deepEqual([row!.lost, row!.won, row!.change, row!.verdict], [30, 30, 0, "open"]);
    assert.ok(row!.p > 0.9 && row!.pHolm === row!.p);
  });

  it("names what it does not compare", () => {
    const [task] = findTasks(["triviaqa"]).tasks;
    const withText = (evaluation: Evaluation): Evaluation => ({
      ...evaluation,
      tasks: [
        ...evaluation.tasks,
        {
          ...{ outputType: "generate_until", task: task as GenerationTask, samples: [], metrics: {} },
          ...{ source: dense.tasks[0]!.source, originalCount: 0, fewshotCount: 0 },
        },
      ],
    });
    const data = compareEvaluations(withText(dense), withText(pruned));
    assert.deepEqual([data.leftOut, data.rows], [["triviaqa"], compareEvaluations(dense, pruned).rows]);
    assert.deepEqual(compareEvaluations(withText(dense), pruned).leftOut, []);
  });

  it("corrects p over the overview, and apart from it over a group's parts", () => {
    const { rows } = compareEvaluations(dense, pruned);
    const [hellaswag, mmlu, ...subjects] = rows;
    assert.deepEqual(
      [hellaswag, mmlu].map((row) => [row!.within, row!.comparisons]),
      [
        [null, 2],
        [null, 2],
      ],
    );
    assert.equal(hellaswag!.pHolm, 2 * hellaswag!.p);
    assert.ok(subjects.every(({ within, comparisons }) => within === "mmlu" && comparisons === 5));
    const least = subjects.reduce((least, row) => (row.p < least.p ? row : least));
    assert.equal(least.pHolm, Math.min(1, 5 * least.p));
  });

  it("turns round when the models swap, and depends on the seed in the bootstrap alone", () => {
    const [there, back] = [compareEvaluations(dense, pruned).rows, compareEvaluations(pruned, dense).rows];
    const other = compareEvaluations(dense, pruned, { seed: 1 }).rows;
    assert.deepEqual(compareEvaluations(dense, pruned).rows, there);
    assert.notDeepEqual(other, there);
    for (const [index, row] of there.entries()) {
      const { marginLow, marginHigh, marginP, marginPHolm, ...fixed } = row;
      assert.deepEqual(
        { ...other[index], marginLow, marginHigh, marginP, marginPHolm },
        { ...fixed, marginLow, marginHigh, marginP, marginPHolm },
      );
      assert.deepEqual(
        [back[index]!.a, back[index]!.lost, back[index]!.p, back[index]!.pHolm],
        [row.b, row.won, row.p, row.pHolm],
      );
      assert.ok(Math.abs(back[index]!.change + row.change) < 1e-12);
      assert.ok(Math.abs(back[index]!.marginChange! + row.marginChange!) < 1e-12);
    }
  });

  it("gives groups that were named a row, and a single task of a group none", () => {
    const tasks = { mmlu_formal_logic: docs(3), mmlu_professional_law: docs(3), mmlu_abstract_algebra: docs(3) };
    const { groups } = findTasks(["mmlu_humanities"]);
    const named = { groups: groups.map((group) => ({ group, tasks: [], sampleCount: 6, metrics: {} })) };
    const evaluation = scoredEvaluation("model", tasks, named);
    assert.deepEqual(
      compareEvaluations(evaluation, evaluation).rows.map(({ name }) => name),
      ["mmlu", "mmlu_humanities", "mmlu_formal_logic", "mmlu_professional_law", "mmlu_abstract_algebra"],
    );
    const single = scoredEvaluation("model", { mmlu_formal_logic: docs(3) });
    assert.deepEqual(
      compareEvaluations(single, single).rows.map(({ name, within }) => [name, within]),
      [["mmlu_formal_logic", null]],
    );
  });

  it("copes with one document, one choice, differing numbers of choices, and log-likelihoods that are no numbers", () => {
    const odd: ScoredDoc[] = [
      { target: 0, sums: [-3] },
      { target: 2, sums: [-1, Number.NaN, -2] },
      { target: 1, sums: [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY] },
    ];
    const [row] = compareEvaluations(
      scoredEvaluation("a", { arc_easy: odd }),
      scoredEvaluation("b", { arc_easy: odd }),
    ).rows;
    assert.deepEqual([row!.aRight, row!.p, row!.verdict, row!.detectable], [1, 1, "open", null]);
    assert.deepEqual([row!.marginN, row!.marginChange, row!.marginPHolm], [0, null, null]);
    assert.equal(row!.chance, (1 + 1 / 3 + 1 / 2) / 3);
  });

  it("refuses runs that were not asked the same", () => {
    const base = { hellaswag: docs(4), boolq: [{ target: 0, sums: [-1, -2] }] };
    const a = scoredEvaluation("a", base);
    const refused = (b: Evaluation, message: RegExp) => {
      assert.throws(
        () => compareEvaluations(a, b),
        (error) => error instanceof PrunelabError && message.test(error.message),
      );
    };
    refused(scoredEvaluation("b", { hellaswag: base.hellaswag }), /boolq only for a, not for b/);
    refused(scoredEvaluation("b", { ...base, piqa: base.boolq }), /piqa only for b, not for a/);
    refused(scoredEvaluation("b", { ...base, hellaswag: docs(3) }), /hellaswag: 4 and 3 documents/);
    refused(
      scoredEvaluation("b", { ...base, hellaswag: docs(4).map((doc) => ({ ...doc, target: 3 })) }),
      /hellaswag: document 0 /,
    );
    const oneMore = docs(4).map((doc, index) => (index === 2 ? { ...doc, sums: [...doc.sums, -9] } : doc));
    refused(scoredEvaluation("b", { ...base, hellaswag: oneMore }), /hellaswag: document 2 was not the same/);
    const shots = choicesOf(a).map((task) => ({
      ...task,
      samples: task.samples.map((sample) => ({
        ...sample,
        requests: sample.requests.map((request) => ({ ...request, context: `shot\n\n${request.context}` })),
      })),
    }));
    refused({ ...a, tasks: shots }, /hellaswag: document 0 .*same limit and shots/);
    assert.throws(() => compareEvaluations(scoredEvaluation("a", {}), scoredEvaluation("b", {})), PrunelabError);
    const none = scoredEvaluation("a", { hellaswag: [] });
    assert.throws(() => compareEvaluations(none, none), /0 and 0 documents/);
    assert.throws(() => compareEvaluations(a, a, { seed: 0.5 }), /invalid seed; not an integer: 0.5/);
  });

  it("keeps every number in its bounds, whatever was answered", () => {
    const sum = fc.oneof(fc.double({ min: -60, max: 0, noNaN: true }), fc.constantFrom(-1, -2));
    const doc = fc.record({ target: fc.nat(3), a: fc.tuple(sum, sum, sum, sum), b: fc.tuple(sum, sum, sum, sum) });
    fc.assert(
      fc.property(fc.array(doc, { minLength: 1, maxLength: 12 }), (given) => {
        const side = (of: "a" | "b") => given.map((doc) => ({ target: doc.target, sums: doc[of] }));
        const [row] = compareEvaluations(
          scoredEvaluation("a", { hellaswag: side("a") }),
          scoredEvaluation("b", { hellaswag: side("b") }),
        ).rows;
        assert.ok(0 <= row!.aLow && row!.aLow <= row!.a && row!.a <= row!.aHigh && row!.aHigh <= 1);
        assert.ok(row!.changeLow <= row!.change + 1e-12 && row!.change <= row!.changeHigh + 1e-12);
        assert.ok(0 <= row!.p && row!.p <= row!.pHolm && row!.pHolm <= 1);
        assert.ok(0 < row!.marginP! && row!.marginP! <= 1 && row!.marginLow! <= row!.marginHigh!);
        assert.ok(row!.bestConstant >= row!.chance);
        assert.equal(row!.aRight + row!.won - row!.lost, row!.bRight);
      }),
      { numRuns: 30 },
    );
  });

  it("knows lm-eval's accuracies and answers of the dense model", { skip: skipWithoutShared }, () => {
    const names = ["hellaswag", "arc_easy", "boolq", "mmlu_abstract_algebra", "mmlu_high_school_computer_science"];
    const evaluation = scoredEvaluation("base", Object.fromEntries(names.map((name) => [name, referenceDocs(name)])));
    const { rows, choices } = compareEvaluations(evaluation, evaluation);
    const by = (name: string) => rows.find((row) => row.name === name)!;
    assert.deepEqual(
      names.map((name) => by(name).a),
      [0.435, 0.55, 0.625, 0.23, 0.22],
    );
    // Counts of the right letters in the data themselves.
    assert.deepEqual(
      choices.filter(({ name }) => name === "hellaswag").map(({ right }) => right),
      [53, 47, 58, 42],
    );
    assert.deepEqual(
      [
        by("mmlu_high_school_computer_science").bestConstant,
        by("mmlu_high_school_computer_science").bestConstantChoice,
      ],
      [0.33, "C"],
    );
    assert.equal(by("boolq").bestConstantChoice, "yes");
    // The dense model itself answers D on 95 of 100 documents.
    assert.deepEqual(
      names.filter((name) => by(name).aDegenerate),
      ["mmlu_high_school_computer_science"],
    );
    assert.ok(rows.every(({ p, marginP, verdict }) => p === 1 && marginP === 1 && verdict === "open"));
  });
});

/** Every answer right. */
function docs(n: number): ScoredDoc[] {
  return Array.from({ length: n }, () => ({ target: 1, sums: [-3, -1, -4, -2] }));
}

function referenceDocs(task: string): ScoredDoc[] {
  const lines = readFileSync(`${shared}/reference/samples/base/${task}.jsonl`, "utf8").trim().split("\n");
  return lines.map((line) => {
    const { target, loglikelihoods } = JSON.parse(line) as { target: string; loglikelihoods: number[] };
    return { target: Number(target), sums: loglikelihoods };
  });
}
