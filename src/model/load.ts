/** A checkpoint as a language model that answers requests: tokenizer, packs, scoring graph and answers joined. */
import { createHash } from "node:crypto";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { elementCount } from "../checkpoint/tensor.ts";
import { openSession } from "../onnx/session.ts";
import type { OnProgress } from "../progress.ts";
import { encodeRequest, type ScoredSequence } from "./encode.ts";
import { buildGemma3 } from "./gemma3.ts";
import type { LanguageModel, Loglikelihood } from "./language-model.ts";
import { computePrefix, scoreTree, type TokenScore } from "./score.ts";
import { type Pack, packSequences, sharedPrefixLength, TreeBuilder } from "./token-tree.ts";
import { loadTokenizer } from "./tokenizer.ts";
import { weightsFolder } from "./weights.ts";

// A shorter prefix costs more as a forward of its own than it saves.
const shortestPrefix = 8;

/**
 * Loads a checkpoint to score with: writes its float32 weights to the cache where they are not there yet, and opens a session on
 * them (float32, CPU). Memory: about 7 bytes a weight. Call `release()` when done.
 *
 * @throws PrunelabError when the checkpoint cannot be read or the cache cannot be written.
 */
export async function loadLanguageModel(
  checkpoint: Checkpoint,
  { onProgress }: { onProgress?: OnProgress } = {},
): Promise<LanguageModel> {
  const { config } = checkpoint;
  const tokenizer = loadTokenizer(await checkpoint.tokenizer());
  const folder = await weightsFolder(checkpoint, onProgress);
  const session = await openSession(buildGemma3(config, "score"), folder);
  const maxLength = config.max_position_embeddings;
  return {
    name: checkpoint.name,
    digest: await checkpoint.digest(),
    parameterCount: [...checkpoint.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0),
    maxLength,
    specialTokens: tokenizer.specialTokens,

    async loglikelihood(requests, { journal, onProgress } = {}) {
      const sequences = requests.map((request) => encodeRequest(tokenizer, request, maxLength));
      const shared = sharedPrefixLength(sequences);
      const skipped = shared < shortestPrefix ? 0 : shared;
      let prefix: ReturnType<typeof computePrefix> | undefined;
      const answers: Loglikelihood[] = new Array(requests.length);
      let done = 0;
      for (const pack of packSequences(sequences, skipped)) {
        const key = packKey(pack, sequences, skipped);
        let packAnswers = journal?.get(key);
        if (!packAnswers) {
          if (skipped > 0) prefix ??= computePrefix(session, config, sequences[0]!.tokens.slice(0, skipped));
          packAnswers = sumTargets(pack, await scoreTree(session, config, pack.tree, await prefix));
          await journal?.add(key, packAnswers);
        }
        pack.requests.forEach((request, i) => {
          answers[request] = packAnswers[i]!;
        });
        done += pack.requests.length;
        onProgress?.({ step: "score", done, total: requests.length, unit: "requests" });
      }
      return answers;
    },

    async loglikelihoodTokens(windows, { onProgress } = {}) {
      const sums: number[] = [];
      for (const [index, tokens] of windows.entries()) {
        onProgress?.({ step: "score windows", done: index, total: windows.length, unit: "windows" });
        const tree = new TreeBuilder();
        tree.add({ tokens, start: 1 }, 0);
        const scores = await scoreTree(session, config, tree);
        sums.push(scores.reduce((sum, { logprob }) => sum + logprob, 0));
      }
      return sums;
    },

    async release() {
      await session.release();
    },
  };
}

/** One answer for each request of a pack, in its order. */
function sumTargets(pack: Pack, scores: readonly TokenScore[]): Loglikelihood[] {
  const totals = new Map(pack.requests.map((request) => [request, { sum: 0, isGreedy: true }]));
  pack.tree.targets.forEach(({ request }, index) => {
    const total = totals.get(request)!;
    total.sum += scores[index]!.logprob;
    total.isGreedy &&= scores[index]!.isGreedy;
  });
  // float32, the precision of its terms, which lm-eval's files also show.
  return pack.requests.map((request) => {
    const { sum, isGreedy } = totals.get(request)!;
    return { sum: Math.fround(sum), isGreedy };
  });
}

function packKey(pack: Pack, sequences: readonly ScoredSequence[], skipped: number): string {
  const hash = createHash("sha256").update(`float32 ${skipped}`);
  for (const request of pack.requests) {
    const { tokens, start } = sequences[request]!;
    hash.update(`\n${start}:${tokens.join(" ")}`);
  }
  return hash.digest("hex").slice(0, 32);
}
