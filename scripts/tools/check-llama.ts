/**
 * Exports a model as GGUF, lets llama.cpp load each file, and compares tokens, greedy texts and perplexity with ours.
 * Usage: check-llama.ts <folder with node-llama-cpp> [model] [tokens of a window] [tokens to write] [which, such as dense-gguf:f16,pruned-gguf:q8_0];
 * ci-llama.sh installs it.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { tokenWindows } from "../../src/evaluate/perplexity.ts";
import { type Checkpoint, exportModel, loadLanguageModel, openCheckpoint, prune } from "../../src/index.ts";
import { generateGreedily } from "../../src/model/generate.ts";
import { buildGraph } from "../../src/model/graphs.ts";
import { weightsFolder } from "../../src/model/weights.ts";
import { openSession } from "../../src/onnx/session.ts";

const [installed = "", model = "data/tiny-gemma3", length = "128", written = "20", only = ""] = process.argv.slice(2);
const [windowTokens, newTokens] = [Number(length), Number(written)];
const texts = [
  "The quick brown fox jumps over the lazy dog.",
  "  two spaces,\n\n\ttabs and   three",
  "Zürich – 北京 🙂 ½",
  "def f(x):\n    return x ** 2  # 1234567890",
];
const prompts = ["The capital of France is", "Once upon a time", "The model"];

interface Answers {
  readonly tokens: readonly (readonly number[])[];
  readonly greedy: readonly (readonly number[])[];
  readonly perplexity: number;
}

/** Runs in a process of its own: a file that lacks a key ends llama.cpp's. */
const child = `
  import { readFileSync, writeFileSync } from "node:fs";
  const [library, asked, answered] = process.argv.slice(2);
  const { getLlama } = await import(library);
  const { path, texts, prompts, newTokens, windows } = JSON.parse(readFileSync(asked, "utf8"));
  const llama = await getLlama({ build: "never", gpu: false, maxThreads: 1, logLevel: "error" });
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({ contextSize: 512, flashAttention: false, threads: 1 });
  const sequence = context.getSequence();
  const greedy = [];
  for (const prompt of prompts) {
    await sequence.clearHistory();
    const ids = [];
    for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
      ids.push(token);
      if (ids.length === newTokens) break;
    }
    greedy.push(ids);
  }
  let sum = 0, count = 0;
  const options = { temperature: 1, topK: 0, topP: 1, minP: 0 };
  for (const window of windows) {
    await sequence.clearHistory();
    await sequence.controlledEvaluate(
      window.slice(0, -1).map((token) => [token, { generateNext: { probabilities: true, options } }]),
      { onTokenResult: (i, { next }) => { sum += Math.log(next.probabilities.get(window[i + 1]) ?? 0); count += 1; } },
    );
  }
  const tokens = texts.map((text) => model.tokenize(text));
  writeFileSync(answered, JSON.stringify({ tokens, greedy, perplexity: Math.exp(-sum / count) }));
  await llama.dispose();
`;

const work = mkdtempSync(join(tmpdir(), "prunelab-llama-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
const library = pathToFileURL(createRequire(join(resolve(installed), "x.js")).resolve("node-llama-cpp")).href;
writeFileSync(join(work, "child.mjs"), child);

// Rounded by us in every form: with the blocks of a base in K types a file gives what the base gives under llama.cpp, further from float32.
const { gguf: _, ...dense } = await openCheckpoint(model);
const pruned = await prune(dense, { method: "magnitude", sparsity: 0.3 });
// A random model's perplexity, thousands over 512 tokens, moves more by rounding than a trained one's.
const ofQ8 = dense.config.vocab_size > 10_000 ? 0.01 : 0.05;
let failures = 0;
for (const [checkpoint, forms] of [
  [dense, ["gguf:f16", "gguf:bf16", "gguf:q8_0"]],
  [pruned, ["gguf:f16", "gguf:q8_0", "gguf:q5_0", "gguf:q4_0"]],
] as const) {
  const own = await ourAnswers(checkpoint);
  for (const to of forms.filter(
    (form) => only === "" || only.split(",").includes(`${checkpoint === dense ? "dense" : "pruned"}-${form}`),
  )) {
    const { files, summary } = await exportModel(checkpoint, join(work, "gguf"), { to });
    console.log(summary);
    const path = join(work, "gguf", files[0]!.name);
    const { stderr, status } = ask(path, own);
    rmSync(path);
    if (status !== 0) {
      failures += 1;
      console.log(`${to}: llama.cpp ended with ${status}\n${stderr}`);
      continue;
    }
    const seen: Answers = JSON.parse(readFileSync(join(work, "answered.json"), "utf8"));
    const sameTokens = JSON.stringify(seen.tokens) === JSON.stringify(own.tokens);
    const sameGreedy = seen.greedy.filter((ids, i) => JSON.stringify(ids) === JSON.stringify(own.greedy[i])).length;
    const change = seen.perplexity / own.perplexity - 1;
    const must = {
      greedy: /f16/.test(to) ? prompts.length : 0,
      change: to.includes("16") ? 0.01 : to.includes("q8") ? ofQ8 : Number.POSITIVE_INFINITY,
    };
    const isRight = sameTokens && sameGreedy >= must.greedy && Math.abs(change) <= must.change;
    if (!isRight) failures += 1;
    console.log(
      `${isRight ? "ok" : "WRONG"} ${checkpoint.name} ${to}: tokens ${sameTokens ? "the same" : JSON.stringify([seen.tokens, own.tokens])}, ` +
        `${sameGreedy} of ${prompts.length} greedy texts of ${newTokens} tokens the same, perplexity ${seen.perplexity.toFixed(4)} (ours ${own.perplexity.toFixed(4)}, ${(100 * change).toFixed(2)} %)`,
    );
    if (sameGreedy < must.greedy) console.log(JSON.stringify([seen.greedy, own.greedy]));
  }
}
process.exitCode = failures === 0 ? 0 : 1;

function ask(path: string, { prompted, windows }: Awaited<ReturnType<typeof ourAnswers>>) {
  writeFileSync(join(work, "asked.json"), JSON.stringify({ path, texts, prompts: prompted, newTokens, windows }));
  const words = [join(work, "child.mjs"), library, join(work, "asked.json"), join(work, "answered.json")];
  return spawnSync(process.execPath, words, { encoding: "utf8" });
}

async function ourAnswers(checkpoint: Checkpoint) {
  const language = await loadLanguageModel(checkpoint);
  const bos = checkpoint.config.bos_token_id!;
  const wikitext = process.env.PRUNELAB_DATA && join(process.env.PRUNELAB_DATA, "wikitext2", "wiki.test.raw");
  const text = readFileSync(wikitext || "README.md", "utf8").slice(0, 8 * windowTokens * 4);
  const windows = tokenWindows(language.encode(text), bos, windowTokens).slice(0, 2);
  const sums = await language.loglikelihoodTokens(windows);
  const predicted = windows.length * (windowTokens - 1);
  const prompted = prompts.map((prompt) => [bos, ...language.encode(prompt)]);
  const tokens = texts.map((text) => language.encode(text));
  await language.release();
  const session = await openSession(buildGraph(checkpoint.config, "generate"), {
    folder: await weightsFolder(checkpoint),
  });
  const greedy = await generateGreedily(session, checkpoint.config, prompted, {
    maxNewTokens: newTokens,
    isDone: ([...ids]) => [checkpoint.config.eos_token_id].flat().includes(ids.at(-1) ?? null),
  });
  await session.release();
  return {
    tokens,
    prompted,
    greedy,
    windows,
    perplexity: Math.exp(-sums.reduce((sum, value) => sum + value, 0) / predicted),
  };
}
