/** The keys and values of earlier tokens, as the graphs of graphs.ts take and give them: a tensor for each layer's keys and each layer's values. */
import type { ModelConfig } from "../checkpoint/config.ts";
import { type Feeds, float32 } from "../onnx/session.ts";

/** One tensor of the cache: its layer, the input it is fed as, and the output that has it with the new tokens. */
export interface CacheName {
  readonly layer: number;
  readonly past: string;
  readonly present: string;
}

export function cacheName(layer: number, what: "key" | "value"): CacheName {
  return { layer, past: `past_key_values.${layer}.${what}`, present: `present.${layer}.${what}` };
}

export function cacheNames(config: ModelConfig): CacheName[] {
  return config.layer_types.flatMap((_, layer) => [cacheName(layer, "key"), cacheName(layer, "value")]);
}

/** The cache before the first token, of `count` texts. */
export function emptyPast(config: ModelConfig, count: number): Feeds {
  const empty = float32(new Float32Array(0), [count, config.num_key_value_heads, 0, config.head_dim]);
  return Object.fromEntries(cacheNames(config).map(({ past }) => [past, empty]));
}

/** Some columns of a tensor `[batch, kv heads, columns, head_dim]`, copied. */
export function selectColumns(data: Float32Array, dims: readonly number[], kept: readonly number[]): Feeds[string] {
  const [batch = 1, heads = 1, columns = 0, size = 0] = dims;
  const selected = new Float32Array(batch * heads * kept.length * size);
  for (let head = 0; head < batch * heads; head++) {
    kept.forEach((column, i) => {
      const start = (head * columns + column) * size;
      selected.set(data.subarray(start, start + size), (head * kept.length + i) * size);
    });
  }
  return float32(selected, [batch, heads, kept.length, size]);
}
