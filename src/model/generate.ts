/** Greedy generation on the generation graph, several prompts at once, with its KV cache. */
import type { ModelConfig } from "../checkpoint/config.ts";
import { type Feeds, int64, type Outputs, type Session } from "../onnx/session.ts";
import { cacheNames, emptyPast, selectColumns } from "./key-value-cache.ts";

// A prompt is read in pieces of this many tokens, since attention's matrices grow with the square.
const chunkTokens = 512;
// One step reads all weights, whatever the number of texts; more of them than this pad each other for longer than they save.
const batchTexts = 8;
const batchTokens = 8192;
// Columns that a sliding layer's cache may have beyond its window.
const mostSlack = 256;

/** Prompts that are continued together. `requests` are indices into the list that was cut. */
export function batchPrompts(prompts: readonly (readonly number[])[]): number[][] {
  const order = prompts.map((_, index) => index).sort((a, b) => prompts[b]!.length - prompts[a]!.length || a - b);
  const batches: number[][] = [];
  let longest = 0;
  for (const index of order) {
    const batch = batches.at(-1);
    const fits = batch && batch.length < batchTexts && (batch.length + 1) * longest <= batchTokens;
    if (fits) batch.push(index);
    else {
      batches.push([index]);
      longest = prompts[index]!.length;
    }
  }
  return batches;
}

/**
 * The most likely continuation of each prompt, token by token; the first of equals.
 *
 * @param isDone Whether a text needs no more tokens after those it has got; the last one of them is part of the result.
 * @param maxNewTokens At least 1.
 */
export async function generateGreedily(
  session: Session,
  config: ModelConfig,
  prompts: readonly (readonly number[])[],
  { maxNewTokens, isDone }: { maxNewTokens: number; isDone: (newTokens: readonly number[]) => boolean },
): Promise<number[][]> {
  const count = prompts.length;
  const width = Math.max(...prompts.map(({ length }) => length));
  const padding = prompts.map(({ length }) => width - length);
  const written: number[][] = prompts.map(() => []);
  const done = prompts.map(() => false);
  let past = emptyPast(config, count);
  let columns: number[][] = prompts.map((prompt, text) => [...Array<number>(padding[text]!).fill(0), ...prompt]);
  let from = 0;
  while (true) {
    const to = Math.min(from + chunkTokens, columns[0]!.length + from);
    const length = to - from;
    const feeds: Feeds = {
      input_ids: int64(
        columns.flatMap((ids) => ids.slice(0, length)),
        [count, length],
      ),
      attention_mask: attentionMask(padding, to),
      position_ids: int64(
        padding.flatMap((pad) => Array.from({ length }, (_, i) => Math.max(0, from + i - pad))),
        [count, length],
      ),
      num_logits_to_keep: int64([1], []),
      ...past,
    };
    const outputs = await session.run(feeds);
    past = nextPast(config, outputs);
    from = to;
    columns = columns.map((ids) => ids.slice(length));
    if (columns[0]!.length > 0) continue;
    const logits = outputs.logits!.data as Float32Array;
    for (let text = 0; text < count; text++) {
      const token = argmax(logits.subarray(text * config.vocab_size, (text + 1) * config.vocab_size));
      columns[text] = [token];
      if (done[text]) continue;
      written[text]!.push(token);
      done[text] = written[text]!.length >= maxNewTokens || isDone(written[text]!);
    }
    if (done.every(Boolean)) return written;
  }
}

/** 1 for a token, 0 for the padding before a text. */
function attentionMask(padding: readonly number[], length: number): Feeds[string] {
  const mask = new BigInt64Array(padding.length * length).fill(1n);
  for (const [text, pad] of padding.entries()) mask.fill(0n, text * length, text * length + pad);
  return int64(mask, [padding.length, length]);
}

/** The cache for the next tokens, in which sliding layers keep what these can still see, and at times a little more, since cutting copies. */
function nextPast(config: ModelConfig, outputs: Outputs): Feeds {
  const window = config.sliding_window ?? 0;
  const slack = Math.min(window, mostSlack);
  return Object.fromEntries(
    cacheNames(config).map(({ layer, past, present }) => {
      const all = outputs[present]!;
      const columns = all.dims[2]!;
      if (config.layer_types[layer] === "full_attention" || columns < window - 1 + slack) return [past, all];
      const last = Array.from({ length: window - 1 }, (_, i) => columns - window + 1 + i);
      return [past, selectColumns(all.data as Float32Array, all.dims, last)];
    }),
  );
}

function argmax(values: Float32Array): number {
  let best = 0;
  for (let index = 1; index < values.length; index++) if (values[index]! > values[best]!) best = index;
  return best;
}
