/** The weights files that the graphs read: written once for each model, and kept in the cache for the last models. */
import { link, readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { createFileAtomic, makeFolder } from "../base/atomic.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { bf16ToFloat32 } from "../checkpoint/half.ts";
import { weightOffset } from "../checkpoint/tensor-names.ts";
import { cachedFolder } from "../hub/cached.ts";
import type { OnProgress } from "../progress.ts";
import { weightBytes, weightLayout, weightsFile } from "./decoder.ts";

const chunkElements = 1 << 22;

/** A folder that holds the weights of this checkpoint as {@link weightsFile}; written if it is missing. */
export async function weightsFolder(checkpoint: Checkpoint, onProgress?: OnProgress): Promise<string> {
  return await cachedFolder("weights", checkpoint.name, [await checkpoint.digest()], async (folder) => {
    const path = join(folder, weightsFile);
    const size = (await stat(path).catch(() => undefined))?.size;
    if (size !== weightBytes(weightLayout(checkpoint.config))) await writeWeights(checkpoint, path, onProgress);
    return folder;
  });
}

/** Puts the weights file at `path`: a second name of the cached file where the file system allows, else a copy of its own. */
export async function linkWeights(checkpoint: Checkpoint, path: string, onProgress?: OnProgress): Promise<void> {
  const cached = join(await weightsFolder(checkpoint, onProgress), weightsFile);
  makeFolder(dirname(path));
  await rm(path, { force: true });
  // Another disk, or a file system without links.
  await link(cached, path).catch(() => writeWeights(checkpoint, path, onProgress));
}

/** A killed run leaves a temporary file of a gigabyte. */
async function removeTemporary(path: string): Promise<void> {
  for (const name of await readdir(dirname(path)).catch(() => [])) {
    if (name.startsWith(`${basename(path)}.`)) await rm(join(dirname(path), name), { force: true });
  }
}

async function writeWeights(checkpoint: Checkpoint, path: string, onProgress?: OnProgress): Promise<void> {
  await removeTemporary(path);
  const layout = weightLayout(checkpoint.config);
  const total = weightBytes(layout);
  await createFileAtomic(path, async (file) => {
    const chunk = new Float32Array(chunkElements);
    for (const [name, { offset }] of layout) {
      const plus = weightOffset(checkpoint.config, name);
      const data = (await checkpoint.readFloat32?.(name)) ?? (await checkpoint.read(name)).data;
      for (let start = 0; start < data.length; start += chunkElements) {
        const part = data.subarray(start, start + chunkElements);
        const values = chunk.subarray(0, part.length);
        if (part instanceof Float32Array) values.set(part);
        else bf16ToFloat32(part, values);
        if (plus !== 0) for (let i = 0; i < values.length; i++) values[i]! += plus;
        const at = offset + start * 4;
        await file.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 0, values.byteLength, at);
        onProgress?.({ step: "assemble weights", done: at + values.byteLength, total, unit: "bytes" });
      }
    }
  });
}
