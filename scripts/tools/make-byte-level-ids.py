"""Writes data/expected/byte-level-ids.json: what Python's tokenizers makes of odd texts with a small byte-level BPE, cut as each family cuts.

Vocabulary and merges are trained on the text below; the ways to cut are those of the families' published tokenizer.json files.
Usage: python scripts/tools/make-byte-level-ids.py, then npx biome check --write on the file  (tokenizers; its version stands in it)
"""

import json
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TRAINING = """The quick brown fox doesn't jump over 1234567890 lazy dogs; DON'T they'll we've I'm he'd you're it's. Größe naïve café
    def f(x):\n        return x ** 2  # spaces\n\n\n\tThe the THE and And of in to 12 123 2024 3.14 «да нет» 東京 日本 한국 सत्य 😀😀 http://a.b/c?d=e&f=g
""" * 4

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
DEFINED = ["<tool>"]

TEXTS = [
    "", " ", "  ", "\n", "\r\n", "\t\t", "a", " a", "a ", "  a  b  ", "the the", "The quick brown fox", "don't DON'T I'LL we'Ve 'ſ ſ's 'K",
    "it's'it", "1", "12", "123", "1234", "12345678", "x1y22z333", "a²b³ Ⅷ ½ ①", "١٢٣ १२३ 一二三", "3.14e-10", "$1,000.00", "e\u0301 é", "\u0301a",
    "가 각", "Å Å Å", "ﬁ ﬀ", "\ufeff", "\ufeffa", "a\ufeff", " \ufeff b", "a\u0085b", "a \u0085 b", "\u0085", "a\u00a0b \u00a0 c", "a\u200bb", "a\u180eb", "a\u2028b\u2029",
    "\u3000x", "\x00\x01\x1f\x7f", "😀", "👨‍👩‍👧‍👦 🇩🇪", "a😀b", "\u202eabc", "Größe NAÏVE", "東京タワー", "русский Язык", "नमस्ते", "한국어", "x\n\n\ny", "x \n \n y",
    "x\r\n\r\ny", "x   \n", "   x", "\n  x", "a\n", "a\n ", "...", "!!!\n\n", " !!!\n", "a.b,c;d", "<|im_start|>user\nhi<|im_end|>\n", "a<|endoftext|>b", " <tool> x", "<tool><tool>",
    "<|im_start", "__proto__", "constructor", "def f(x):\n\treturn x\n", "ͅͅ", "a\u0000b", "𝒳𝒴 𐍈", "ǅ ŉ", "İi̇", "ẞß", "  \u2003\u2003a", "word" * 30, " " * 40 + "x", "\ufffd", "a\x0bb\x0cc", "a\x1cb\x1fc",
    "_ a_b", "ʼn 'n", "’s don’t", "#$%^&*()", "`code` **b**", "http://a.b/c?d=e&f=g",
]

CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|NUMBERS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def split(numbers: str):
    regex = Regex(CL100K.replace("NUMBERS", numbers))
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(regex, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def gpt2():
    return pre_tokenizers.ByteLevel(add_prefix_space=False)


WAYS = {
    "gpt-2": (None, gpt2, False),
    "olmo": (None, gpt2, False),
    "smollm": (None, lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2()]), False),
    "llama-bpe": (None, lambda: split(r"\p{N}{1,3}"), True),
    "dbrx": (None, lambda: split(r"\p{N}{1,3}"), False),
    "qwen2": (normalizers.NFC, lambda: split(r"\p{N}"), False),
}

trained = Tokenizer(models.BPE())
trained.pre_tokenizer = gpt2()
trainer = trainers.BpeTrainer(vocab_size=480, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
trained.train_from_iterator([TRAINING], trainer)
model = json.loads(trained.to_str())["model"]
size = len(model["vocab"])

ways = {}
for pre, (normalizer, make, ignore_merges) in WAYS.items():
    merges = [tuple(merge) for merge in model["merges"]]
    own = Tokenizer(models.BPE(vocab=model["vocab"], merges=merges, ignore_merges=ignore_merges))
    if normalizer:
        own.normalizer = normalizer()
    own.pre_tokenizer = make()
    own.decoder = decoders.ByteLevel()
    own.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    own.add_tokens([AddedToken(token, special=False, normalized=False) for token in DEFINED])
    if pre == "llama-bpe":
        own.post_processor = processors.TemplateProcessing("<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    written = json.loads(own.to_str())
    ways[pre] = {
        "normalizer": written["normalizer"],
        "preTokenizer": written["pre_tokenizer"],
        "decoder": written["decoder"],
        "ids": [own.encode(text).ids for text in TEXTS],
        "decoded": [own.decode(own.encode(text, add_special_tokens=False).ids, skip_special_tokens=False) for text in TEXTS],
    }
    assert written["model"]["ignore_merges"] == ignore_merges

expected = {
    "version": tokenizers.__version__,
    "tokens": [*sorted(model["vocab"], key=model["vocab"].get), *DEFINED],
    "types": [3] * len(SPECIAL) + [1] * (size - len(SPECIAL)) + [4] * len(DEFINED),
    "merges": [" ".join(merge) for merge in model["merges"]],
    "texts": TEXTS,
    "ways": ways,
}
path = Path(__file__).parents[2] / "data" / "expected" / "byte-level-ids.json"
path.write_text(json.dumps(expected, ensure_ascii=True) + "\n")
print(path, path.stat().st_size, expected["version"], size)
