/** Virtual tokens before BOS, as prompt tuning starts from them: at random or from words. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { embeddingName } from "../checkpoint/tensor-names.ts";
import { embeddingScale } from "../model/decoder.ts";
import { normal } from "./random.ts";

/** A prompt's virtual tokens, `[count, hidden]` after the embedding's scale, drawn with the deviation of the embedding's own rows. */
export async function randomPrompt(checkpoint: Checkpoint, count: number, seed: number): Promise<Float32Array> {
  const { config } = checkpoint;
  const { data } = await checkpoint.read(embeddingName);
  const some = bf16ToFloat32(data.subarray(0, Math.min(data.length, 1 << 20)));
  const deviation = Math.sqrt(some.reduce((sum, x) => sum + x * x, 0) / some.length) * embeddingScale(config);
  const random = normal(`${seed} prompt`);
  return Float32Array.from({ length: count * config.hidden_size }, () => deviation * random());
}

/** A prompt made of tokens' embeddings, as the blocks meet them. */
export async function promptOf(checkpoint: Checkpoint, ids: readonly number[]): Promise<Float32Array> {
  const { hidden_size: size } = checkpoint.config;
  const { data } = await checkpoint.read(embeddingName);
  const scale = embeddingScale(checkpoint.config);
  const prompt = new Float32Array(ids.length * size);
  for (const [index, id] of ids.entries()) {
    bf16ToFloat32(data.subarray(id * size, (id + 1) * size), prompt.subarray(index * size, (index + 1) * size));
  }
  return prompt.map((value) => value * scale);
}
