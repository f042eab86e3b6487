/** `tokenizer.model`: a tokenizer as SentencePiece's own file (`sentencepiece_model.proto`), made of a `tokenizer.json`. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { bytes, float, int, message, text } from "../onnx/protobuf.ts";
import { prependsSpace, tokenText } from "./gguf-vocabulary.ts";
import { isPieces, scoresOf, tokenList, tokenType } from "./token-list.ts";

/** `TrainerSpec.ModelType` BPE. */
const bytePairEncoding = 2;

/** The file's bytes; undefined for a byte-level tokenizer, which has none. */
export async function sentencePieceModel(checkpoint: Checkpoint): Promise<Uint8Array | undefined> {
  const files = await checkpoint.tokenizer();
  if (!isPieces(files.tokenizer)) return undefined;
  const list = tokenList(files, checkpoint.config.vocab_size, checkpoint.name);
  const { tokenizerConfig } = files;
  const scores = scoresOf(list);
  const unknown = (files.tokenizer.model as { unk_token?: string }).unk_token ?? "<unk>";
  const pieces = list.tokens.map((token, id) => {
    // One piece must be the unknown one, whatever else it is.
    const type = token === unknown ? tokenType.unknown : list.types[id]!;
    // User-defined pieces come before all others.
    const score = type === tokenType.normal ? scores[id]! : 0;
    return bytes(1, message(text(1, token), float(2, score), int(3, type)));
  });
  const specials = (["unk", "bos", "eos", "pad"] as const).flatMap((key, i) => {
    const token = key === "unk" ? unknown : tokenText(tokenizerConfig[`${key}_token`]);
    const id = token === undefined ? undefined : list.ids.get(token);
    // -1 says that there is none.
    return [int(40 + i, id ?? -1), ...(id === undefined ? [] : [text(45 + i, token!)])];
  });
  const trainer = message(int(3, bytePairEncoding), int(4, list.tokens.length), int(35, 1), specials);
  const normalizer = message(text(1, "identity"), int(3, Number(prependsSpace(files))), int(4, 0), int(5, 1));
  return message(pieces, bytes(2, trainer), bytes(3, normalizer));
}
