"""Writes data/expected/family-logits.json: what Python's transformers computes with a small random model of each family.

The weights are a formula of name and index (`fill`), so that none are stored; the configs have the families' real switches, head counts and layer
patterns. Usage: python scripts/tools/make-family-logits.py, then npx biome check --write on the file
(torch and transformers; their versions stand in it)
"""

import json
import math
from pathlib import Path

import numpy
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoConfig

VOCABULARY = 96
LENGTHS = (40, 23)
NEW_TOKENS = 12

common = {"vocab_size": VOCABULARY, "max_position_embeddings": 128, "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
llama3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
configs = {
    "gemma3-270m": {
        "model_type": "gemma3_text", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 7, "num_attention_heads": 4,
        "num_key_value_heads": 1, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8,
    },
    "gemma3-4b": {
        "model_type": "gemma3_text", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 6, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 10, "sliding_window": 8,
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    },
    "gemma3-untied": {
        "model_type": "gemma3_text", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8, "attention_bias": True,
        "final_logit_softcapping": 4.0, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "tie_word_embeddings": False,
    },
    "llama-3.2": {
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 8,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_parameters": {**llama3, "rope_theta": 5e5}, "tie_word_embeddings": True,
    },
    "smollm2": {
        "model_type": "llama", "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 4, "num_attention_heads": 3,
        "num_key_value_heads": 1, "rms_norm_eps": 1e-5, "rope_parameters": {"rope_type": "default", "rope_theta": 1e5},
        "tie_word_embeddings": True,
    },
    "tinyllama": {
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 8,
        "num_key_value_heads": 1, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False,
    },
    "qwen3": {
        "model_type": "qwen3", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "tie_word_embeddings": True,
    },
    "qwen2.5": {
        "model_type": "qwen2", "hidden_size": 56, "intermediate_size": 72, "num_hidden_layers": 4, "num_attention_heads": 7,
        "num_key_value_heads": 1, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "tie_word_embeddings": True,
    },
    "qwen2-window": {
        "model_type": "qwen2", "hidden_size": 56, "intermediate_size": 72, "num_hidden_layers": 4, "num_attention_heads": 7,
        "num_key_value_heads": 1, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2, "tie_word_embeddings": False,
    },
    "olmo2": {
        "model_type": "olmo2", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}, "tie_word_embeddings": False,
    },
    "olmo2-groups": {
        "model_type": "olmo2", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 8,
        "num_key_value_heads": 2, "tie_word_embeddings": False,
    },
}


def fill(name: str, shape: tuple[int, ...], norm_offset: int) -> torch.Tensor:
    """Uniform numbers in bfloat16, from a hash (FNV-1a of the name, MurmurHash3's finalizer of the index)."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 % 2**32
    h = numpy.arange(math.prod(shape), dtype=numpy.uint32) * numpy.uint32(2654435761) + numpy.uint32(seed)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = (h ^ (h >> numpy.uint32(shift))) * numpy.uint32(factor)
    unit = 2 * ((h ^ (h >> numpy.uint32(16))) / 2**32) - 1
    if name.endswith("norm.weight"):
        values = 0.3 * unit + (1 - norm_offset)
    elif name.endswith("bias"):
        values = 0.3 * unit
    elif "embed" in name or name.startswith("lm_head"):
        values = 0.7 * unit
    else:
        values = 2 / math.sqrt(shape[-1]) * unit
    return torch.from_numpy(values.astype(numpy.float32)).bfloat16().float().reshape(shape)


def tokens(length: int, seed: int) -> list[int]:
    return [2, *(3 + (7919 * seed * i + i * i) % (VOCABULARY - 3) for i in range(1, length))]


def run(fields: dict) -> dict:
    config = AutoConfig.for_model(**{**common, **fields})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    offset = 1 if config.model_type == "gemma3_text" else 0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(fill(name, tuple(parameter.shape), offset))
    prompts = [tokens(length, seed) for seed, length in enumerate(LENGTHS, 1)]
    width = max(LENGTHS)
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits
        written = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=None, pad_token_id=0
        )
    logprobs = logits.double().log_softmax(-1)
    return {
        "config": {key: value for key, value in config.to_dict().items() if key not in ("_name_or_path", "transformers_version")},
        "prompts": prompts,
        "lastLogits": [[round(x, 6) for x in logits[row, -1].tolist()] for row in range(len(prompts))],
        "logprobs": [
            [round(logprobs[row, width - len(prompt) + i, prompt[i + 1]].item(), 6) for i in range(len(prompt) - 1)]
            for row, prompt in enumerate(prompts)
        ],
        "greedy": written[:, width:].tolist(),
    }


expected = {
    "versions": {"transformers": transformers.__version__, "torch": torch.__version__},
    "models": {name: run(fields) for name, fields in configs.items()},
}
path = Path(__file__).parents[2] / "data" / "expected" / "family-logits.json"
path.write_text(json.dumps(expected) + "\n")
print(f"{path}: {path.stat().st_size} bytes, {expected['versions']}")
