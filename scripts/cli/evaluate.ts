/** `prunelab evaluate`: scores a model on benchmarks and writes lm-eval's files. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { prepareFolder } from "../../src/base/atomic.ts";
import { duration } from "../../src/base/duration.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { evaluate, type LoadOptions, loadLanguageModel, openCheckpoint, writeResults } from "../../src/index.ts";
import { allGroups, allTasks, findTasks } from "../../src/tasks/find-tasks.ts";
import { checkSelection, defaultSeed } from "../../src/tasks/load-documents.ts";
import { parseLimit, parseWhole } from "./options.ts";
import { terminalProgress } from "./progress.ts";

const help = `usage: prunelab evaluate [options]

--model <id or path>   default ${defaultModel}
--device <name>        cpu, webgpu, cuda, dml or coreml; default cpu
--tasks <a,b>          lm-eval's names of tasks and groups; list prints them all; default hellaswag
--num-fewshot <n>      solved examples before each question; default 0
--limit <n>            first n documents of each task, a share below 1, or all; default all
--samples <n>          n documents of each task drawn at random instead, the same ones for the same --seed (default ${defaultSeed})
--system-instruction <text>
--apply-chat-template  put each prompt as a chat, by the model's own template; examples are turns of their own, unless
--no-multiturn         puts them into the one question
--output <folder>      for results_*.json and samples_*.jsonl; default data/results
--fresh                score anew what an earlier run has scored`;

export async function runEvaluate(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string", default: defaultModel },
      device: { type: "string", default: "cpu" },
      tasks: { type: "string", default: "hellaswag" },
      "num-fewshot": { type: "string", default: "0" },
      limit: { type: "string", default: "all" },
      samples: { type: "string" },
      seed: { type: "string", default: String(defaultSeed) },
      "system-instruction": { type: "string" },
      "apply-chat-template": { type: "boolean", default: false },
      "no-multiturn": { type: "boolean", default: false },
      output: { type: "string", default: join("data", "results") },
      fresh: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return console.log(help);
  const options = {
    limit: parseLimit(values.limit),
    numFewshot: parseWhole("--num-fewshot", values["num-fewshot"]),
    samples: values.samples === undefined ? null : parseWhole("--samples", values.samples),
    seed: parseWhole("--seed", values.seed),
    ...(values["system-instruction"] && { systemInstruction: values["system-instruction"] }),
    applyChatTemplate: values["apply-chat-template"],
    fewshotAsMultiturn: !values["no-multiturn"],
    fresh: values.fresh,
  };
  if (values.tasks === "list")
    return console.log([...allGroups.map(({ group }) => group), ...allTasks.map(({ task }) => task)].join("\n"));
  const tasks = values.tasks.split(",").map((name) => name.trim());
  // Mistakes should not cost a download first.
  findTasks(tasks);
  checkSelection(options);
  await prepareFolder(values.output);
  const { onProgress, note, finish } = terminalProgress();
  const model = await loadLanguageModel(await openCheckpoint(values.model, { onProgress, onNotice: note }), {
    // The library checks the name.
    device: values.device as LoadOptions["device"] & string,
    onProgress,
  });
  const evaluation = await evaluate(model, tasks, { ...options, onProgress });
  await model.release();
  finish();
  const { results } = await writeResults(evaluation, values.output);
  console.log(String(evaluation));
  for (const { task, source, examples } of evaluation.tasks) {
    if (source.kind === "demo") {
      console.log(
        `${task.task}: made-up documents, since ${source.passedOver.join("; ")}; name a folder in PRUNELAB_DATA`,
      );
    }
    if (examples?.isLmEvalDraw === false) {
      console.log(`${task.task}: lm-eval's own examples are not at hand, these are from ${examples.source.where}`);
    }
  }
  const { reusedAnswers } = evaluation;
  const reused = reusedAnswers > 0 ? `, ${reusedAnswers} answers from an earlier run` : "";
  console.log(`${duration(evaluation.seconds)}${reused}; ${results}`);
}
