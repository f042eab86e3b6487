/** `prunelab evaluate`: scores a model on benchmarks and writes lm-eval's files. */
import { join } from "node:path";
import { prepareFolder } from "../../src/base/atomic.ts";
import { duration } from "../../src/base/duration.ts";
import { PrunelabError } from "../../src/errors.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import {
  applyAdapter,
  type Evaluation,
  evaluateCheckpoint,
  openCheckpoint,
  scoreRows,
  writeResults,
} from "../../src/index.ts";
import { type Device, deviceNames } from "../../src/onnx/session.ts";
import { allGroups, allTasks, findTasks } from "../../src/tasks/find-tasks.ts";
import { checkSelection, defaultSeed } from "../../src/tasks/load-documents.ts";
import type { Task } from "../../src/tasks/output-types/output-types.ts";
import { type Command, defineCommand, flag, value } from "./command.ts";
import { oneOf, parseLimit, parseWhole, wholeFrom } from "./options.ts";
import { terminalProgress } from "./progress.ts";

const taskNames = [...allGroups.map(({ group }) => group), ...allTasks.map(({ task }) => task)];

export const evaluate: Command = defineCommand({
  description: "Scores a model on benchmarks by lm-evaluation-harness's rules, prints its table and writes its files.",
  options: {
    model: value("--model <id or path>", "a Hub id, a folder or a .gguf file", { default: defaultModel }),
    tasks: value("--tasks <a,b>", "lm-eval's names of tasks and groups; list prints them all", {
      default: "hellaswag",
      words: ["list", ...taskNames],
    }),
    limit: value("--limit <n>", "first n documents of each task, a share below 1, or all", {
      parse: parseLimit,
      default: "all",
      words: ["all"],
    }),
    samples: value("--samples <n>", "n documents of each task drawn at random instead; the same for the same seed", {
      parse: wholeFrom(1),
    }),
    seed: value("--seed <n>", "of --samples", { parse: parseWhole, default: String(defaultSeed) }),
    numFewshot: value("--num-fewshot <n>", "solved examples before each question", { parse: parseWhole, default: "0" }),
    systemInstruction: value("--system-instruction <text>", "text before everything else"),
    applyChatTemplate: flag("--apply-chat-template", "put each prompt as a chat, by the model's own template"),
    multiturn: flag("--no-multiturn", "with it: put the examples into the one question, not as turns of their own"),
    device: value("--device <name>", "where the model runs, by ONNX Runtime's name", {
      parse: oneOf<Device>(deviceNames),
      default: "cpu",
      words: deviceNames,
    }),
    output: value("--output <folder>", "for results_*.json and samples_*.jsonl", { default: join("data", "results") }),
    adapter: value("--adapter <folder>", "a LoRA adapter or a prompt, of this package or of peft, to put on the model"),
    untilDecidedAgainst: value(
      "--until-decided-against <model>",
      "stop a multiple-choice task once it is decided which of the two is right more often",
    ),
    fresh: flag("--fresh", "score anew what an earlier run has scored"),
  },
  json: "a row for each metric of each task and group",
  examples: [
    ["--limit 200", "HellaSwag's first 200 documents; two minutes on 16 cores"],
    ["--model gemma-3-270m-wanda --tasks hellaswag,arc_easy --limit 200", "a pruned model's folder"],
    ["--tasks mmlu --num-fewshot 5 --samples 50", "5-shot, 50 random documents of each subject"],
    ["--model gemma-3-270m-wanda --until-decided-against gemma-3-270m", "only as many documents as it takes"],
    ["--tasks list", "every task and group"],
  ],
  notes: `The benchmarks' files are looked for in the folder PRUNELAB_DATA, then on the Hugging Face Hub; without both, small demo tasks are
scored. Answers are kept in the cache by the digest of the weights, so a second run is quick. The model
of --until-decided-against is asked every document, by the same options and without the adapter, unless the cache has its answers; results are
written of --model alone.`,
  resumes: true,
  run: async ({ model: name, tasks: list, device, output, multiturn, systemInstruction, adapter, ...given }) => {
    if (list === "list") return { text: taskNames.join("\n"), json: taskNames };
    const tasks = list.split(",").map((task) => task.trim());
    const { untilDecidedAgainst: other, ...rest } = given;
    const options = {
      ...rest,
      samples: rest.samples ?? null,
      fewshotAsMultiturn: multiturn,
      ...(systemInstruction && { systemInstruction }),
    };
    // Mistakes should not cost a download first.
    const found = findTasks(tasks);
    checkSelection(options);
    if (other !== undefined) refuseUndecidable(found.tasks, { name, other, adapter });
    await prepareFolder(output);
    const { onProgress, note, finish } = terminalProgress();
    const base = await openCheckpoint(name, { onProgress, onNotice: note });
    const checkpoint = adapter === undefined ? base : await applyAdapter(base, adapter);
    const common = { ...options, device, onProgress };
    // What the cache has of the other model costs nothing; --fresh is about the model that is scored.
    const against =
      other === undefined
        ? undefined
        : await evaluateCheckpoint(await openCheckpoint(other, { onProgress, onNotice: note }), tasks, {
            ...common,
            fresh: false,
          });
    const evaluation = await evaluateCheckpoint(checkpoint, tasks, {
      ...common,
      ...(against && { until: "decided", against }),
    });
    finish();
    const { results } = await writeResults(evaluation, output);
    const { reusedAnswers, seconds } = evaluation;
    const reused = reusedAnswers > 0 ? `, ${reusedAnswers} answers from an earlier run` : "";
    const end = `${duration(seconds)}${reused}; ${results}`;
    return {
      text: [String(evaluation), ...remarks(evaluation), ...decisions(evaluation), end].join("\n"),
      json: scoreRows(evaluation),
    };
  },
});

/** What the reader of a table should know of its documents: made-up ones, fewer than asked for, examples that are not lm-eval's. */
export function remarks({ tasks, limit, sampled }: Evaluation): string[] {
  const wanted = sampled?.count ?? limit ?? 0;
  const option = sampled ? "--samples" : "--limit";
  return tasks.flatMap(({ task: { task }, source, examples, originalCount }) => [
    ...(source.kind === "demo"
      ? [`${task}: made-up documents, since ${source.passedOver.join("; ")}; name a folder in PRUNELAB_DATA`]
      : []),
    ...(wanted > originalCount ? [`${task}: all ${originalCount} documents, fewer than ${option} ${wanted}`] : []),
    ...(examples?.isLmEvalDraw === false
      ? [`${task}: lm-eval's own examples are not available, these are from ${examples.source.where}`]
      : []),
  ]);
}

function refuseUndecidable(
  tasks: readonly Task[],
  { name, other, adapter }: { name: string; other: string; adapter: string | undefined },
): void {
  if (name === other && adapter === undefined) {
    throw new PrunelabError(
      `invalid --until-decided-against; it is --model itself, which no document tells apart: ${other}; name another model`,
    );
  }
  if (!tasks.some(({ outputType }) => outputType === "multiple_choice")) {
    throw new PrunelabError(
      `invalid --until-decided-against; none of the tasks is of multiple choice: ${tasks.map(({ task }) => task).join(", ")}; choose one that is, or leave the option out`,
    );
  }
}

/** Of each task that could be stopped: what was decided, and the documents that this saved. */
function decisions({ tasks }: Evaluation): string[] {
  return tasks.flatMap(({ task: { task }, samples, decision }) => {
    if (!decision) return [];
    const { against, limit, saved, verdict } = decision;
    const outcome = verdict === "open" ? "undecided" : `a ${verdict}`;
    return [`${task}: ${outcome} against ${against} after ${samples.length} of ${limit} documents, ${saved} saved`];
  });
}
