import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { cardEvaluations, type ScoredDoc, scoredEvaluation } from "../evaluate/scored.test-helper.ts";
import { type Comparison, compare } from "./compare.ts";

const card = compare(...cardEvaluations);

describe("compare", () => {
  it("says of the card's counts what may be concluded", () => {
    assert.deepEqual(card.conclusion, [
      "HellaSwag falls by 14.0 points (likely 6.4 to 21.4), from 43.5 % to 29.5 % of 200 documents right. 45 answers turned wrong and 17 turned right; between equally good models luck alone would split them so unevenly about once in 3,000 times (p = 0.0003; 0.0007 after Holm's correction for 2 comparisons). gemma-3-270m-magnitude-50 is not clearly better than guessing (25.0 %).",
      "MMLU, 5 subjects: no difference can be concluded. 25.3 % and 26.0 % of 726 documents are right. 60 answers turned wrong and 65 turned right; luck alone can do that (p = 0.66). Only a change of some 4.3 points or more would show reliably. Neither model is clearly better than guessing (25.0 %), so this task cannot show what they know.",
      "None of the 5 subjects of MMLU shows a difference by itself.",
    ]);
  });

  it("shows itself as text, Markdown and HTML with a plot", async () => {
    const { "text/plain": text, "text/markdown": markdown, "text/html": html } = await mimeBundle(card);
    assert.equal(String(card), text);
    assert.equal(card.markdown, markdown);
    assert.match(text, /^HellaSwag +200 +43\.5 +36\.8 to 50\.4 +29\.5 +23\.6 to 36\.2 +-14\.0 /m);
    assert.match(text, /^MMLU, 5 subjects, plain mean +24\.9 +26\.2 +\+1\.3$/m);
    assert.match(
      markdown,
      /^\| MMLU, 5 subjects, pooled share \| 726 \| 25\.3 \| 22\.3 to 28\.6 \| 26\.0 \| 23\.0 to 29\.3 \| \+0\.7 /m,
    );
    assert.equal(html.match(/<table>/g)!.length, 2);
    const [, picture] = /<img alt="Bars: accuracy[^"]*" width="760" src="data:image\/png;base64,([^"]+)">$/.exec(html)!;
    assert.equal(Buffer.from(picture!, "base64").toString("latin1", 1, 4), "PNG");
    assert.ok(text.includes("Limit 200: the first documents of each task"));
  });

  it("gives p once where the correction does not change what is printed", () => {
    const twoTasks = (side: "a" | "b") => {
      const docs = docsOf({ bothRight: 51, lost: 36, won: 8, bothWrong: 105 }, side);
      return scoredEvaluation(side, { hellaswag: docs, piqa: docs });
    };
    const [hellaswag] = compare(twoTasks("a"), twoTasks("b")).conclusion;
    assert.match(hellaswag!, /\(p < 0\.0001; also after Holm's correction for 2 comparisons\)/);
  });

  it("tells a rise, and the same documents right", () => {
    const [rise] = of({ bothRight: 40, lost: 2, won: 38, bothWrong: 20 }).conclusion;
    assert.match(rise!, /^HellaSwag rises by 36\.0 points .* \(p < 0\.0001\)\.$/);
    const [same] = of({ bothRight: 40, lost: 0, won: 0, bothWrong: 20 }).conclusion;
    assert.equal(same, "HellaSwag: no difference, the same 40 of 60 documents are right for both models.");
  });

  it("holds models against guessing and against the best constant answer", () => {
    const standing = (counts: Counts) => of(counts).conclusion[0]!;
    // Right answers are A to D in turn, so that guessing and a constant answer give the same 25 %.
    assert.match(
      standing({ bothRight: 2, lost: 0, won: 5, bothWrong: 73 }),
      /a is right less often than guessing \(25\.0 %\)\./,
    );
    assert.match(
      standing({ bothRight: 20, lost: 2, won: 2, bothWrong: 56 }),
      /Neither model is clearly better than guessing/,
    );
    assert.match(
      standing({ bothRight: 20, lost: 30, won: 2, bothWrong: 28 }),
      /\. b is not clearly better than guessing/,
    );
    assert.doesNotMatch(standing({ bothRight: 60, lost: 10, won: 8, bothWrong: 2 }), /guessing|always answering/);
    const yes = (right: number) =>
      Array.from({ length: 80 }, (_, index) => ({
        target: index < 50 ? 1 : 0,
        sums: index < right ? [-2, -1] : [-1, -2],
      }));
    const [constant] = compare(
      scoredEvaluation("a", { boolq: yes(80) }),
      scoredEvaluation("b", { boolq: yes(78) }),
    ).conclusion;
    assert.match(constant!, /Neither model is clearly better than always answering yes \(62\.5 %\)\./);
  });

  it("lets a finding go that only the number of comparisons brought about", () => {
    const lost = { bothRight: 50, lost: 8, won: 1, bothWrong: 41 };
    assert.match(of(lost).conclusion[0]!, /^HellaSwag falls by 7\.0 points/);
    const same = { bothRight: 50, lost: 5, won: 5, bothWrong: 40 };
    const tasks = { hellaswag: lost, piqa: same, arc_easy: same, boolq: same };
    const [a, b] = (["a", "b"] as const).map((side) =>
      scoredEvaluation(
        side,
        Object.fromEntries(Object.entries(tasks).map(([task, counts]) => [task, docsOf(counts, side)])),
      ),
    );
    assert.match(
      compare(a!, b!).conclusion[0]!,
      /no difference can be concluded\..*; luck alone seldom does that to a given task, but often enough to one of 4 \(p = 0\.039; 0\.16 after Holm/,
    );
  });

  it("names the finer measure where counting finds nothing", () => {
    const docs = (margin: number) =>
      Array.from({ length: 60 }, (_, index) => ({ target: 0, sums: [-1, -1 - margin - (index % 5) / 10, -9, -9] }));
    const [same] = compare(
      scoredEvaluation("a", { hellaswag: docs(2) }),
      scoredEvaluation("b", { hellaswag: docs(1) }),
    ).conclusion;
    assert.match(
      same!,
      /^HellaSwag: no difference, the same 60 of 60 .*the right answer lost probability against the best wrong one/,
    );
    const one = docs(1).map((doc, index) => (index === 0 ? { ...doc, target: 1 } : doc));
    const other = docs(2).map((doc, index) => (index === 0 ? { ...doc, target: 1, sums: [-2, -1, -9, -9] } : doc));
    const [finer] = compare(
      scoredEvaluation("a", { hellaswag: one }),
      scoredEvaluation("b", { hellaswag: other }),
    ).conclusion;
    assert.match(
      finer!,
      /no difference can be concluded.*the right answer gained probability against the best wrong one \(p < 0\.0001\)/,
    );
  });

  it("warns of the same answer throughout, of demo documents, and of one model compared with itself", () => {
    const always = (choice: number) =>
      Array.from({ length: 20 }, (_, index) => ({
        target: index % 4,
        sums: [0, 1, 2, 3].map((own) => (own === choice ? -1 : -2)),
      }));
    const tasks = { mmlu_anatomy: always(0), mmlu_virology: always(0) };
    const a = scoredEvaluation("org/same", tasks);
    const demo = {
      ...a,
      tasks: a.tasks.map((task) => ({ ...task, source: { ...task.source, kind: "demo" as const } })),
    };
    const { conclusion } = compare(a, demo);
    assert.equal(
      conclusion[0],
      "Made-up demo documents stand in for MMLU anatomy and MMLU virology: their numbers say nothing about the models.",
    );
    assert.equal(conclusion[1], "Both runs are of the same weights: a difference comes from the computation alone.");
    assert.equal(
      conclusion.at(-2),
      "the first model answers (almost) always the same: A 20 times of 20 in MMLU anatomy and A 20 times of 20 in MMLU virology. Such a score only counts how often that happens to be right.",
    );
  });

  it("lets no markup of a model's name through", async () => {
    const evil = "x|<img src=x onerror=alert(1)>";
    const shown = compare(
      scoredEvaluation(evil, { hellaswag: docsOf(some, "a") }),
      scoredEvaluation("b", { hellaswag: docsOf(some, "b") }),
    );
    const bundle = await mimeBundle(shown);
    assert.ok(!bundle["text/html"].includes("<img src=x") && bundle["text/html"].includes("&lt;img"));
    assert.ok(!/[^\\]<img/.test(bundle["text/markdown"]) && !/x\|/.test(bundle["text/markdown"]));
  });

  it("prints whole sentences and numbers, whatever was answered", () => {
    const sum = fc.oneof(fc.double({ min: -60, max: 0 }), fc.constantFrom(-1, -2, Number.NEGATIVE_INFINITY));
    const sums = fc.array(sum, { minLength: 1, maxLength: 5 });
    const doc = sums.chain((a) =>
      fc.record({
        target: fc.nat(a.length - 1),
        a: fc.constant(a),
        b: fc.array(sum, { minLength: a.length, maxLength: a.length }),
      }),
    );
    const task = fc.array(doc, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.record({ arc_easy: task, mmlu_anatomy: task, mmlu_virology: task }), (given) => {
        const side = (name: "a" | "b") => {
          const docs = Object.entries(given).map(([task, docs]) => [
            task,
            docs.map((doc) => ({ target: doc.target, sums: doc[name] })),
          ]);
          return scoredEvaluation(name, Object.fromEntries(docs));
        };
        const shown = compare(side("a"), side("b"));
        for (const text of [String(shown), shown.markdown]) assert.doesNotMatch(text, /NaN|undefined|null|Infinity/);
        for (const sentence of shown.conclusion) assert.match(sentence, /^\S.*[^. ]\.$/);
      }),
      { numRuns: 50 },
    );
  });
});

type Counts = Record<"bothRight" | "lost" | "won" | "bothWrong", number>;
const some: Counts = { bothRight: 3, lost: 2, won: 1, bothWrong: 4 };

function of(counts: Counts): Comparison {
  return compare(
    scoredEvaluation("a", { hellaswag: docsOf(counts, "a") }),
    scoredEvaluation("b", { hellaswag: docsOf(counts, "b") }),
  );
}

/** One model's answers; four choices, right ones in turn. */
function docsOf({ bothRight, lost, won, bothWrong }: Counts, side: "a" | "b"): ScoredDoc[] {
  return Array.from({ length: bothRight + lost + won + bothWrong }, (_, index) => {
    const isRight =
      index < bothRight ||
      (side === "a" ? index < bothRight + lost : index >= bothRight + lost && index < bothRight + lost + won);
    const target = index % 4;
    const taken = isRight ? target : (target + 1) % 4;
    return { target, sums: [0, 1, 2, 3].map((choice) => (choice === taken ? -1 : -2)) };
  });
}

function mimeBundle(comparison: Comparison): Promise<Record<"text/plain" | "text/markdown" | "text/html", string>> {
  const display = Symbol.for("Jupyter.display");
  return (comparison as unknown as Record<symbol, () => ReturnType<typeof mimeBundle>>)[display]!();
}
