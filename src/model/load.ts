/** A checkpoint as a language model that answers requests: tokenizer, packs, scoring graph and answers joined. */

import { createHash } from "node:crypto";
import { packageVersion } from "../base/package-root.ts";
import { withTable } from "../base/value-table.ts";
import type { Checkpoint, TokenizerFiles } from "../checkpoint/checkpoint.ts";
import { weightCount } from "../checkpoint/tensor.ts";
import { factsOf } from "../checkpoint/tokenizer-facts.ts";
import { PrunelabError } from "../errors.ts";
import type { Device } from "../onnx/session.ts";
import { listener, type OnProgress } from "../progress.ts";
import { readChatTemplate } from "./chat-template.ts";
import { encodeRequest, type ScoredSequence } from "./encode.ts";
import { batchPrompts, generateGreedily } from "./generate.ts";
import { openGraphSession } from "./graph-session.ts";
import type {
  AskOptions,
  GenerationRequest,
  LanguageModel,
  Loglikelihood,
  LoglikelihoodRequest,
} from "./language-model.ts";
import { rollingWindows } from "./rolling.ts";
import { computePrefix, scoreTrees, type TokenScore } from "./score.ts";
import { type Pack, packSequences, sharedPrefixLength, TreeBuilder } from "./token-tree.ts";
import { encodePrompt, loadTokenizer, type Tokenizer } from "./tokenizer.ts";
import { weightsFolder } from "./weights.ts";

// A shorter prefix costs more as a forward of its own than it saves.
const shortestPrefix = 8;

const defaultMaxNewTokens = 256;

export interface LoadOptions {
  /** `"cpu"` (the default), `"webgpu"`, `"cuda"`, `"dml"` or `"coreml"`, through ONNX Runtime. */
  readonly device?: Device;
  readonly onProgress?: OnProgress;
}

/**
 * Loads a checkpoint to score with: writes its weights to the cache where they are not there yet, and opens a session on them. Memory: about 7
 * bytes a weight. Call `release()` when done.
 *
 * @throws PrunelabError when the checkpoint cannot be read, the cache cannot be written or the device is not there.
 */
export async function loadLanguageModel(checkpoint: Checkpoint, options: LoadOptions = {}): Promise<LanguageModel> {
  const { model, ready } = await openLanguageModel(checkpoint, options);
  await ready();
  return model;
}

/**
 * The same without the tokenizer, which takes a second or more to read: it is read when something is asked that no journal answers. Until
 * `ready` has ended, the model's `encode` throws.
 */
export async function openLanguageModel(
  checkpoint: Checkpoint,
  { device = "cpu", onProgress }: LoadOptions = {},
): Promise<{ readonly model: LanguageModel; readonly ready: () => Promise<Tokenizer> }> {
  const { config } = checkpoint;
  const facts = await (checkpoint.tokenizerFacts?.() ?? checkpoint.tokenizer().then(factsOf));
  const { specialTokens } = facts;
  const chatTemplate = readChatTemplate({ tokenizerConfig: { chat_template: facts.chatTemplate } }, specialTokens);
  let files: TokenizerFiles | undefined;
  let loaded: Tokenizer | undefined;
  const tokenizer = () => {
    if (!files) throw new Error("the tokenizer is not read yet");
    loaded ??= withinEmbedding(loadTokenizer(files), config.vocab_size);
    return loaded;
  };
  const ready = async () => {
    files ??= await checkpoint.tokenizer();
    return tokenizer();
  };
  const { eos_token_id } = await checkpoint.generationConfig();
  const digest = await checkpoint.digest();
  const folder = () => weightsFolder(checkpoint, listener(onProgress));
  const graph = await openGraphSession(config, { folder, device });
  const virtual = Array.from({ length: config.num_virtual_tokens ?? 0 }, (_, index) => config.vocab_size + index);
  const maxLength = config.max_position_embeddings - virtual.length;
  const afterPrompt = ({ tokens, start }: ScoredSequence): ScoredSequence => ({
    tokens: [...virtual, ...tokens],
    start: virtual.length + start,
  });
  const endTokens = new Set([specialTokens.eos[1], ...[eos_token_id].flat()]);

  // What answers depend on beside the weights and tokens.
  const engine = `float32 ${device === "cpu" ? "" : `${device} `}${packageVersion()}`;

  /** The answers to a whole call. The journal keeps them by its texts too: a second run needs neither tokenizer nor weights. */
  async function askOnce<Request, Answer>(
    kind: string,
    requests: readonly Request[],
    { journal, onProgress = listener() }: AskOptions<Answer>,
    ask: () => Promise<Answer[]>,
  ): Promise<readonly Answer[]> {
    const key = keyOf([`${kind} ${engine} ${facts.digest}`, JSON.stringify(requests)]);
    const total = requests.length;
    const known = journal?.get(key);
    if (known?.length === total) {
      onProgress?.({ step: "score", done: total, total, unit: "requests" });
      return known;
    }
    await ready();
    const answers = await ask();
    if (total > 0) await journal?.add(key, answers);
    return answers;
  }

  async function scoreSequences(
    given: readonly ScoredSequence[],
    { journal, onProgress = listener() }: AskOptions<Loglikelihood>,
  ): Promise<Loglikelihood[]> {
    const sequences = given.map(afterPrompt);
    const shared = sharedPrefixLength(sequences);
    const skipped = shared < shortestPrefix ? 0 : shared;
    let prefix: ReturnType<typeof computePrefix> | undefined;
    const answers: Loglikelihood[] = new Array(sequences.length);
    let done = 0;
    onProgress?.({ step: "score", done, total: sequences.length, unit: "requests" });
    for (const pack of packSequences(sequences, skipped)) {
      const key = packKey(engine, pack, sequences, skipped);
      let packAnswers = journal?.get(key);
      if (packAnswers?.length !== pack.requests.length) {
        const scores = await graph.score(async (scorer) => {
          if (skipped > 0) prefix ??= computePrefix(scorer, sequences[0]!.tokens.slice(0, skipped));
          return await scoreTrees(scorer, pack.trees, await prefix);
        });
        packAnswers = sumTargets(pack, scores);
        await journal?.add(key, packAnswers);
      }
      pack.requests.forEach((request, i) => {
        answers[request] = packAnswers[i]!;
      });
      done += pack.requests.length;
      onProgress?.({ step: "score", done, total: sequences.length, unit: "requests" });
    }
    return answers;
  }

  async function generate(
    requests: readonly GenerationRequest[],
    { journal, onProgress = listener() }: AskOptions<string>,
  ): Promise<string[]> {
    const answers: string[] = new Array(requests.length);
    let done = 0;
    onProgress?.({ step: "generate", done, total: requests.length, unit: "requests" });
    for (const { until, maxNewTokens, prompts, indices } of groupByEnd(requests, tokenizer(), maxLength)) {
      for (const batch of batchPrompts(prompts)) {
        const own = batch.map((index) => [...virtual, ...prompts[index]!]);
        const key = keyOf([
          `generate ${engine} ${[...endTokens]} ${maxNewTokens} ${JSON.stringify(until)}`,
          ...own.map((ids) => ids.join(" ")),
        ]);
        // An end may be a special token's text, which the answer leaves out.
        const isDone = (ids: readonly number[]) =>
          endTokens.has(ids.at(-1)!) || until.some((end) => end !== "" && tokenizer().decode(ids).includes(end));
        let texts = journal?.get(key);
        if (texts?.length !== batch.length) {
          const written = await graph.generate((session) =>
            generateGreedily(session, config, own, { maxNewTokens, isDone }),
          );
          texts = written.map((ids) => cutAt(tokenizer().decode(ids, { skipSpecialTokens: true }), until));
          await journal?.add(key, texts);
        }
        for (const [i, index] of batch.entries()) answers[indices[index]!] = texts[i]!;
        done += batch.length;
        onProgress?.({ step: "generate", done, total: requests.length, unit: "requests" });
      }
    }
    return answers;
  }

  const model: LanguageModel = {
    name: checkpoint.name,
    digest,
    device,
    parameterCount: weightCount(checkpoint.tensors.values()),
    maxLength,
    specialTokens,
    ...(chatTemplate && { chatTemplate }),

    encode: (text) => tokenizer().encode(text, { addSpecialTokens: false }),

    async loglikelihood(requests, options = {}) {
      const encode = (request: LoglikelihoodRequest) => encodeRequest(tokenizer(), request, maxLength);
      return [...(await askOnce("score", requests, options, () => scoreSequences(requests.map(encode), options)))];
    },

    async loglikelihoodRolling(texts, options = {}) {
      const answers = await askOnce("score windows", texts, options, async () => {
        const windows = texts.map((text) =>
          rollingWindows(encodePrompt(tokenizer(), text), tokenizer().prefixTokenId, maxLength),
        );
        const own = await scoreSequences(windows.flat(), options);
        return windows.map(({ length }) => {
          const parts = own.splice(0, length);
          const sum = parts.reduce((total, part) => total + part.sum, 0);
          return { sum, isGreedy: parts.every(({ isGreedy }) => isGreedy) };
        });
      });
      return answers.map(({ sum }) => sum);
    },

    async generateUntil(requests, options = {}) {
      return [...(await askOnce(`generate ${[...endTokens]}`, requests, options, () => generate(requests, options)))];
    },

    async loglikelihoodTokens(windows, { onProgress = listener() } = {}) {
      const sums: number[] = [];
      for (const [index, tokens] of windows.entries()) {
        onProgress?.({ step: "score windows", done: index, total: windows.length, unit: "windows" });
        const tree = new TreeBuilder();
        tree.add(afterPrompt({ tokens, start: 1 }), 0);
        const [scores] = await graph.score((scorer) => scoreTrees(scorer, [tree]));
        sums.push(scores!.reduce((sum, { logprob }) => sum + logprob, 0));
      }
      return sums;
    },

    release: () => graph.release(),
  };
  const facing = withTable(model, () => ({
    ...{ name: model.name, family: config.model_type, weights: model.parameterCount, device },
    "longest input": `${maxLength.toLocaleString("en-US")} tokens`,
  }));
  return { model: facing, ready };
}

/** The tokenizer, which refuses texts that spell a token that the model has no embedding for, such as Gemma 3's `<image_soft_token>`. */
function withinEmbedding(tokenizer: Tokenizer, rows: number): Tokenizer {
  return {
    ...tokenizer,
    encode(text, options) {
      const ids = tokenizer.encode(text, options);
      const beyond = ids.find((id) => id >= rows);
      if (beyond === undefined) return ids;
      throw new PrunelabError(
        `text spells a token that the model has no embedding for: ${JSON.stringify(tokenizer.decode([beyond]))} is token ${beyond}, of ${rows}; ` +
          `take it out of the text: ${JSON.stringify(text.slice(0, 60))}`,
      );
    },
  };
}

/** Requests with the same ends and length go together. Prompts are cut on the left to leave room for what is written. */
function groupByEnd(requests: readonly GenerationRequest[], tokenizer: Tokenizer, maxLength: number) {
  const groups = new Map<
    string,
    { until: readonly string[]; maxNewTokens: number; prompts: number[][]; indices: number[] }
  >();
  for (const [index, { context, until, maxNewTokens = defaultMaxNewTokens }] of requests.entries()) {
    const space = maxLength - maxNewTokens;
    if (!(Number.isInteger(maxNewTokens) && maxNewTokens > 0 && space > 0)) {
      throw new PrunelabError(
        `maxNewTokens must be an integer from 1 to ${maxLength - 1}, as the model sees ${maxLength} tokens: ${maxNewTokens}`,
      );
    }
    const key = JSON.stringify([until, maxNewTokens]);
    const group = groups.get(key) ?? { until, maxNewTokens, prompts: [], indices: [] };
    groups.set(key, group);
    group.prompts.push(encodePrompt(tokenizer, context).slice(-space));
    group.indices.push(index);
  }
  return groups.values();
}

/** lm-evaluation-harness's `postprocess_generated_text`: the text before the first of the ends. */
function cutAt(text: string, until: readonly string[]): string {
  return until.reduce((rest, end) => (end === "" ? rest : rest.split(end)[0]!), text);
}

/** One answer for each request of a pack, in its order. */
function sumTargets(pack: Pack, scores: readonly (readonly TokenScore[])[]): Loglikelihood[] {
  const totals = new Map(pack.requests.map((request) => [request, { sum: 0, isGreedy: true }]));
  pack.trees.forEach(({ targets }, tree) => {
    targets.forEach(({ request }, index) => {
      const { logprob, isGreedy } = scores[tree]![index]!;
      const total = totals.get(request)!;
      total.sum += logprob;
      total.isGreedy &&= isGreedy;
    });
  });
  // float32, the precision of its terms, which lm-eval's files also show.
  return pack.requests.map((request) => {
    const { sum, isGreedy } = totals.get(request)!;
    return { sum: Math.fround(sum), isGreedy };
  });
}

/** What an answer depends on, but for the weights: device, the program's version, and tokens. */
function packKey(engine: string, pack: Pack, sequences: readonly ScoredSequence[], skipped: number): string {
  const lines = pack.requests.map((request) => {
    const { tokens, start } = sequences[request]!;
    return `${start}:${tokens.join(" ")}`;
  });
  return keyOf([`${engine} ${skipped}`, ...lines]);
}

function keyOf(lines: readonly string[]): string {
  return createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 32);
}
