/** Evaluations from bare log-likelihoods, for tests. */
import { choiceTasks } from "../tasks/choice-tasks.test-helper.ts";
import { means } from "../tasks/output-types/metrics.ts";
import { type ChoiceSample, firstMaximum } from "../tasks/output-types/multiple-choice.ts";
import type { ChoiceEvaluation, Evaluation, TaskEvaluation } from "./evaluation.ts";

/** A document: the index of its right choice, and each choice's log-likelihood. */
export interface ScoredDoc {
  readonly target: number;
  readonly sums: readonly number[];
}

/** An evaluation of tasks by lm-eval's names. Choices of MMLU and BoolQ have their texts, others are endings of their own. */
export function scoredEvaluation(
  name: string,
  tasks: Readonly<Record<string, readonly ScoredDoc[]>>,
  more: Partial<Evaluation> = {},
): Evaluation {
  return {
    model: {
      name,
      digest: name,
      device: "cpu",
      parameterCount: 1,
      maxLength: 1,
      specialTokens: { pad: ["", 0], eos: ["", 1], bos: ["", 2] },
    },
    limit: null,
    startedAt: new Date(0),
    seconds: 1,
    reusedAnswers: 0,
    tasks: Object.entries(tasks).map(([task, docs]) => scoredTask(task, docs)),
    groups: [],
    ...more,
  };
}

function scoredTask(name: string, docs: readonly ScoredDoc[]): TaskEvaluation {
  const [task] = choiceTasks([name]);
  const texts = name.startsWith("mmlu") ? ["A", "B", "C", "D"] : name === "boolq" ? ["no", "yes"] : undefined;
  const samples = docs.map(({ target, sums }, docId): ChoiceSample => {
    return {
      docId,
      doc: {},
      target,
      requests: sums.map((_, index) => ({
        context: `${name} ${docId}`,
        continuation: ` ${texts?.[index] ?? `ending ${docId}.${index}`}`,
      })),
      answers: sums.map((sum) => ({ sum, isGreedy: false })),
      metrics: { acc: firstMaximum(sums) === target ? 1 : 0 },
    };
  });
  const source = { kind: "folder", where: "", complete: true, passedOver: [] } as const;
  return {
    outputType: "multiple_choice",
    task: task!,
    source,
    originalCount: docs.length,
    fewshotCount: 0,
    samples,
    metrics: means({ metrics: ["acc"] }, samples),
  };
}

/**
 * The model card's counts of right answers, 87 → 59 of 200 in HellaSwag and 184 → 189 of 726 in MMLU, as two evaluations.
 * Which documents they were is not known; this is one way.
 */
export const cardEvaluations: readonly [dense: Evaluation, pruned: Evaluation] = (() => {
  const card: [task: string, n: number, dense: number, pruned: number, shift: number][] = [
    ["hellaswag", 200, 87, 59, 45],
    ["mmlu_high_school_computer_science", 100, 24, 28, 12],
    ["mmlu_formal_logic", 126, 32, 37, 12],
    ["mmlu_professional_law", 200, 54, 52, 12],
    ["mmlu_high_school_mathematics", 200, 52, 49, 12],
    ["mmlu_abstract_algebra", 100, 22, 23, 12],
  ];
  const dense = card.map(([task, n, right]) => [task, docsRight(n, 0, right)]);
  const pruned = card.map(([task, n, , right, shift]) => [task, docsRight(n, shift, right)]);
  return [
    scoredEvaluation("google/gemma-3-270m", Object.fromEntries(dense), { limit: 200 }),
    scoredEvaluation("google/gemma-3-270m-magnitude-50", Object.fromEntries(pruned), { limit: 200 }),
  ];
})();

/** `n` documents of four choices, `right` of them from the `first`-th on answered rightly. */
function docsRight(n: number, first: number, right: number): ScoredDoc[] {
  return Array.from({ length: n }, (_, index) => {
    const target = index % 4;
    const taken = index >= first && index < first + right ? target : (target + 1) % 4;
    // Some nats apart, differently from document to document.
    return { target, sums: [0, 1, 2, 3].map((choice) => (choice === taken ? -1 : -2 - ((index + choice) % 3))) };
  });
}

/** The tasks of multiple choice of an evaluation. */
export function choicesOf({ tasks }: Evaluation): ChoiceEvaluation[] {
  return tasks.filter((task) => task.outputType === "multiple_choice");
}
