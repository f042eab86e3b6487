"""Checks exported folders with Python's own libraries: transformers, peft, lm-eval, gguf, safetensors, sentencepiece if it is there.

Usage: python scripts/tools/check-export.py [a Hugging Face folder; default data/tiny-gemma3].
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

root = Path(__file__).parents[2]
dense = Path(sys.argv[1] if len(sys.argv) > 1 else root / "data" / "tiny-gemma3").resolve()
work = Path(tempfile.mkdtemp())
prunelab = ["node", "--import", "tsx", "scripts/cli/prunelab.ts"]
texts = ["The quick brown fox", "  two spaces,\n\n\ttabs", "Zürich – 北京 ½ 123"]


def run(*words: str) -> None:
    print(subprocess.run([*prunelab, *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip())


def logits(model) -> torch.Tensor:
    ids = torch.tensor([[2, 72, 295, 437, 414, 36, 134, 64]])
    with torch.no_grad():
        return model(input_ids=ids).logits.float()


def load(folder: Path, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


run("prune", "--model", str(dense), "--output", str(work / "pruned"), "--sparsity", "0.5")
reference = load(work / "pruned")
expected = logits(reference)
weights = reference.state_dict()

for form, more in [("safetensors:bf16", ["--shard-size", "100KB"]), ("safetensors:f16", []), ("sparse", ["--mask"])]:
    run("export", "--model", str(work / "pruned"), "--to", form, "--output", str(work / form), *more)
for form, tolerance in [("safetensors:bf16", 0), ("safetensors:f16", 1e-4)]:
    seen = logits(load(work / form))
    print(form, "logits differ by at most", (seen - expected).abs().max().item())
    assert (seen - expected).abs().max() <= tolerance
    own, other = AutoTokenizer.from_pretrained(work / "pruned"), AutoTokenizer.from_pretrained(work / form)
    assert all(own(text)["input_ids"] == other(text)["input_ids"] for text in texts)

# peft's LoRA begins as nothing, so that the logits are the model's.
from peft import LoraConfig, get_peft_model

adapted = get_peft_model(load(work / "safetensors:bf16"), LoraConfig(target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
assert torch.equal(logits(adapted), expected)
print("peft: the same logits under a fresh LoRA of", adapted.get_nb_trainable_parameters()[0], "weights")

# lm-eval's own model class, asked what ours is asked.
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

pairs = [["The quick", " brown fox"], ["Zürich is a", " city"], ["1 + 1 =", " 2"], ["Once upon a time there was", " a\n\nking, 北京"]]
script = """
const { loadLanguageModel, openCheckpoint } = await import("./src/index.ts");
const model = await loadLanguageModel(await openCheckpoint(process.argv[1]));
const requests = JSON.parse(process.argv[2]).map(([context, continuation]) => ({ context, continuation }));
console.log(JSON.stringify(await model.loglikelihood(requests)));
await model.release();
"""
command = ["node", "--import", "tsx", "--input-type=module", "-e", script, str(work / "safetensors:bf16"), json.dumps(pairs)]
ours = json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)
hf = HFLM(pretrained=str(work / "safetensors:bf16"), dtype="float32", device="cpu", batch_size=1)
requests = [Instance("loglikelihood", {}, tuple(pair), index) for index, pair in enumerate(pairs)]
theirs = hf.loglikelihood(requests, disable_tqdm=True)
for pair, (total, greedy), own in zip(pairs, theirs, ours):
    assert abs(total - own["sum"]) <= 1e-4 * max(1, abs(total)) and greedy == own["isGreedy"], (pair, total, own)
print("lm-eval hf:", len(pairs), "log-likelihoods as ours, to", max(abs(t - o["sum"]) for (t, _), o in zip(theirs, ours)))

# The reader in the documentation.
[snippet] = re.findall(r"```python\n(.*?)```", (root / "src" / "export" / "SPARSE.md").read_text(), re.S)
scope: dict = {}
exec(snippet, scope)
sparse = scope["load_sparse"](str(work / "sparse" / "model.safetensors"))
for name, tensor in sparse.items():
    assert torch.equal(tensor.float(), weights[name].float()), name
print("sparse:", len(sparse), "tensors the same")
mask = load_file(work / "sparse" / "mask.safetensors")
for name, keep in mask.items():
    assert torch.equal(keep.bool(), weights[name] != 0), name
print("mask:", len(mask), "tensors the same")

for kind in ["f16", "bf16", "q8_0", "q5_0", "q4_0"]:
    run("export", "--model", str(work / "pruned"), "--to", f"gguf:{kind}", "--output", str(work / "gguf"))
    [path] = (work / "gguf").glob(f"*-{kind.upper()}.gguf")
    worst = 0.0
    zeros = 0
    for tensor in gguf.GGUFReader(path).tensors:
        part = re.fullmatch(r"blk\.(\d+)\.ffn_(gate|up|down)\.weight", tensor.name)
        if not part:
            continue
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if tensor.tensor_type == gguf.GGMLQuantizationType.BF16:
            values = (tensor.data.view(numpy.uint16).astype(numpy.uint32) << 16).view(numpy.float32)
        own = weights[f"model.layers.{part[1]}.mlp.{part[2]}_proj.weight"].float().numpy()
        assert (values.reshape(own.shape)[own == 0] == 0).all(), tensor.name
        zeros += int((own == 0).sum())
        worst = max(worst, float(numpy.abs(values.reshape(own.shape) - own).max()))
    print(f"gguf:{kind}: {zeros} zeros are zero, weights differ by at most {worst:.2g}")

try:
    import sentencepiece
except ImportError:
    print("tokenizer.model: not checked, there is no sentencepiece")
else:
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(work / "safetensors:f16" / "tokenizer.model"))
    own = AutoTokenizer.from_pretrained(work / "pruned")
    for text in texts:
        assert pieces.encode(text) == own(text, add_special_tokens=False)["input_ids"], text
    print("tokenizer.model: the same tokens")
