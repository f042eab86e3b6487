/** A teacher, and what it said of batches before: kept in the cache, so that a run with the same windows and positions does not compute it again. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { PrunelabError } from "../errors.ts";
import { sharedFolder } from "../hub/cached.ts";
import type { Device } from "../onnx/session.ts";
import { type Batch, type Network, openNetwork, type TeacherTargets } from "./network.ts";
import { type FileTensor, readTensorFile, writeTensorFile } from "./tensor-file.ts";

export interface Teacher {
  /** What the teacher says of a batch's scored positions; four bytes for each of the hidden size and one more, a position. */
  teach(batch: Batch): Promise<TeacherTargets>;
  release(): Promise<void>;
}

/**
 * Opens the teacher's network when a batch is met that the cache does not know.
 *
 * @param options.embeddings The student's, which are the teacher's too.
 */
export async function openTeacher(
  checkpoint: Checkpoint,
  tokens: number,
  { embeddings, device }: { readonly embeddings: Network["embeddings"]; readonly device: Device },
): Promise<Teacher> {
  const folder = await sharedFolder("teachers", checkpoint.name, [await checkpoint.digest()]);
  let network: Promise<Network> | undefined;
  return {
    async teach(batch) {
      const places = batch.scored.map(({ window, position }) => [window, position]);
      const key = createHash("sha256").update(JSON.stringify([batch.windows, places]));
      const path = join(folder, `${key.digest("hex").slice(0, 32)}.safetensors`);
      const kept = await readTargets(path, places.length, checkpoint.config.hidden_size);
      if (kept) return kept;
      network ??= openNetwork(checkpoint, tokens, undefined, { embeddings, device });
      const targets = await (await network).teach(batch);
      const { expected, negativeEntropy } = targets;
      const rows = places.length;
      const tensors: [string, FileTensor][] = [
        ["expected", { shape: [rows, expected.length / rows], data: expected }],
        ["negative_entropy", { shape: [rows], data: negativeEntropy }],
      ];
      await writeTensorFile(path, new Map(tensors));
      return targets;
    },
    async release() {
      await (await network)?.release();
    },
  };
}

/** Undefined where nothing is kept, or it is damaged. */
async function readTargets(path: string, rows: number, size: number): Promise<TeacherTargets | undefined> {
  if (!existsSync(path)) return undefined;
  try {
    const { tensors } = await readTensorFile(path);
    const [expected, negativeEntropy] = [tensors.get("expected")?.data, tensors.get("negative_entropy")?.data];
    if (!(expected instanceof Float32Array && negativeEntropy instanceof Float32Array)) return undefined;
    return expected.length === rows * size && negativeEntropy.length === rows
      ? { expected, negativeEntropy }
      : undefined;
  } catch (error) {
    if (error instanceof PrunelabError) return undefined;
    throw error;
  }
}
