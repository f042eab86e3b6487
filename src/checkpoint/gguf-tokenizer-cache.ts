/** Keeps the tokenizer that is built from a GGUF as a file, since building takes seconds. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic.ts";
import { readJsonObject } from "../base/json.ts";
import type { TokenizerFiles } from "./checkpoint.ts";
import { bpeTokenizerFiles } from "./gguf-bpe-tokenizer.ts";
import { tokenizerFilesFromGguf } from "./gguf-tokenizer.ts";

/** Counts the versions of what the two builders make of the same metadata: raise it with every change there. */
const builderVersion = 2;

/**
 * The tokenizer of a GGUF's metadata. Where `cacheFolder` is given, it is kept there under a name made of the metadata's
 * digest, so that it is never another model's or an older one; a file that cannot be read is made anew.
 *
 * @throws PrunelabError when the metadata hold no tokenizer of a known kind, or the folder cannot be written.
 */
export async function ggufTokenizer(
  metadata: Readonly<Record<string, unknown>>,
  cacheFolder: string | undefined,
): Promise<TokenizerFiles> {
  const build = metadata["tokenizer.ggml.model"] === "gpt2" ? bpeTokenizerFiles : tokenizerFilesFromGguf;
  if (cacheFolder === undefined) return build(metadata);
  const hash = createHash("sha256").update(`${builderVersion}`);
  for (const [key, value] of Object.entries(metadata)) {
    hash.update(JSON.stringify([key, value], (_, item) => (typeof item === "bigint" ? `${item}n` : item)));
  }
  const path = join(cacheFolder, `tokenizer-${hash.digest("hex").slice(0, 32)}.json`);
  const kept = await readJsonObject(path).catch(() => undefined);
  if (isObject(kept?.tokenizer) && isObject(kept.tokenizerConfig)) {
    return { tokenizer: kept.tokenizer, tokenizerConfig: kept.tokenizerConfig };
  }
  const files = build(metadata);
  await writeFileAtomic(path, JSON.stringify(files));
  return files;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
