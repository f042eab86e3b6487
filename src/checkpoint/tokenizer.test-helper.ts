/** The metadata of a GGUF with a Gemma-like vocabulary of some 300 tokens, written by hand. */

const control = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>"];
// As llama.cpp's converter writes them: runs of spaces as spaces.
const userDefined = ["\n", "\n\n", "\n\n\n", "  ", "   ", "    ", "<b>"];
const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
const normal = ["▁t", "he", "▁the", "😀😀", "aba", "ab", "ba", "\ufeffa", ">▁</", "▁</", "</"].concat([
  ..."▁theab😀\ufeff</>n",
  "__proto__",
]);

export const tinyTokens: readonly string[] = [...control, ...userDefined, ...bytes, ...normal];

export function tinyMetadata(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const added = control.length + userDefined.length;
  const firstNormal = added + bytes.length;
  return {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": [...tinyTokens],
    "tokenizer.ggml.scores": tinyTokens.map((_, id) => (id < added ? -1000 : id < firstNormal ? 0 : firstNormal - id)),
    "tokenizer.ggml.token_type": tinyTokens.map((_, id) =>
      id < control.length ? 3 : id < added ? 4 : id < firstNormal ? 6 : 1,
    ),
    "tokenizer.ggml.bos_token_id": 2,
    "tokenizer.ggml.eos_token_id": 1,
    "tokenizer.ggml.unknown_token_id": 3,
    "tokenizer.ggml.padding_token_id": 0,
    "tokenizer.ggml.add_bos_token": true,
    "tokenizer.ggml.add_space_prefix": false,
    "gemma3.context_length": 512,
    ...changes,
  };
}
