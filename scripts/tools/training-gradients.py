"""Writes data/expected/training-gradients.json: loss and gradients of data/tiny-gemma3 in float64, by torch's autograd.

Usage, from the repository's root, with torch, transformers, peft and safetensors: python scripts/tools/training-gradients.py
The teacher is the model as it is, the student the same with every second weight of its linear layers set to zero. For each gradient its norm
and its product with a fixed vector are written.
"""

import json
import math
import sys

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, Gemma3ForCausalLM

folder = "data/tiny-gemma3"
torch.set_default_dtype(torch.float64)
config = AutoConfig.from_pretrained(folder)
config._attn_implementation = "eager"


def load():
    model = Gemma3ForCausalLM(config)
    state = {name: value.to(torch.float64) for name, value in load_file(f"{folder}/model.safetensors").items()}
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    return model.double().eval()


# The rotary tables and some norms are float32 in transformers whatever the default: all is made float64 here.
class Norm(torch.nn.Module):
    def __init__(self, weight, eps):
        super().__init__()
        self.weight = weight
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * (1 + self.weight)


class Rotary(torch.nn.Module):
    def forward(self, x, position_ids, layer_type=None):
        base = 1_000_000 if layer_type == "full_attention" else 10_000
        size = config.head_dim
        # As the graphs have them: frequencies and angles in float32.
        frequency = (1 / base ** (torch.arange(0, size, 2, dtype=torch.float64) / size)).float()
        angle = (position_ids[..., None].float() * frequency).double()
        angle = torch.cat((angle, angle), -1)
        return angle.cos(), angle.sin()


def in_double(model):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__ == "Gemma3RMSNorm":
                setattr(module, name, Norm(child.weight, child.eps))
            if type(child).__name__ == "Gemma3RotaryEmbedding":
                setattr(module, name, Rotary())
    return model


def linears(model):
    return {name: p for name, p in model.named_parameters() if p.dim() == 2 and ".layers." in name}


def pruned(model):
    with torch.no_grad():
        for index, parameter in enumerate(linears(model).values()):
            flat = parameter.view(-1)
            flat[torch.arange(index % 2, flat.numel(), 2)] = 0
    return model


def number(i, k):
    """A fixed sequence in [-1, 1)."""
    return ((i * 7919 + k * 104729) % 1009) / 504.5 - 1


def vector(count, k):
    return torch.tensor([number(i, k) for i in range(count)])


def told(gradient, k):
    return {"norm": gradient.norm().item(), "product": (gradient.reshape(-1) @ vector(gradient.numel(), k)).item()}


windows = [[2] + [(37 * i + 11 * w) % 500 + 3 for i in range(23)] for w in range(2)]
ids = torch.tensor(windows)
batch, length = ids.shape
labels = ids[:, 1:]
result = {"versions": {"python": sys.version.split()[0], "torch": torch.__version__, "transformers": transformers.__version__}}
result["windows"] = windows


def logits_of(model, embeds=None, virtual=0):
    out = model(inputs_embeds=embeds, use_cache=False) if embeds is not None else model(input_ids=ids, use_cache=False)
    return out.logits[:, virtual:-1]


def cross_entropy(logits):
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


def gradients(loss, parameters):
    values = torch.autograd.grad(loss, list(parameters.values()))
    return {name: told(g, k) for k, (name, g) in enumerate(zip(parameters, values))}


student = pruned(in_double(load()))
with torch.no_grad():
    teacher_logits = logits_of(in_double(load()))

loss = cross_entropy(logits_of(student))
result["masked"] = {"loss": loss.item(), "gradients": gradients(loss, linears(student))}
loss = cross_entropy(logits_of(student))
norms = {name: p for name, p in student.named_parameters() if p.dim() == 1}
result["norms"] = {"loss": loss.item(), "gradients": gradients(loss, norms)}
logits = logits_of(student)
kl = torch.nn.functional.kl_div(
    logits.log_softmax(-1).reshape(-1, logits.shape[-1]),
    teacher_logits.log_softmax(-1).reshape(-1, logits.shape[-1]),
    log_target=True,
    reduction="batchmean",
)
loss = 0.25 * cross_entropy(logits) + 0.75 * kl
result["distill"] = {"loss": loss.item(), "share": 0.75, "gradients": gradients(loss, linears(student))}

# LoRA, apart and under the mask: r 4, alpha 8, on q_proj, v_proj and down_proj.
rank, alpha = 4, 8
for kind in ("lora", "lora-masked"):
    student = pruned(in_double(load()))
    adapters = {}
    hooks = []
    for name, module in list(student.named_modules()):
        if not isinstance(module, torch.nn.Linear) or name.split(".")[-1] not in ("q_proj", "v_proj", "down_proj"):
            continue
        out, size = module.weight.shape
        a = torch.nn.Parameter(0.1 * vector(rank * size, len(adapters)).view(rank, size))
        b = torch.nn.Parameter(0.1 * vector(out * rank, len(adapters) + 1).view(out, rank))
        adapters[f"{name}.lora_A.weight"], adapters[f"{name}.lora_B.weight"] = a, b

        def forward(x, module=module, a=a, b=b):
            weight = module.weight.detach()
            if kind == "lora":
                return x @ weight.T + (alpha / rank) * (x @ a.T) @ b.T
            return x @ (weight + (alpha / rank) * (b @ a) * (weight != 0)).T

        module.forward = forward
    loss = cross_entropy(logits_of(student))
    result[kind] = {"loss": loss.item(), "gradients": gradients(loss, adapters)}

# Prompt tuning: three virtual tokens before BOS, in scaled embedding space.
student = pruned(in_double(load()))
prompt = torch.nn.Parameter(0.5 * vector(3 * config.hidden_size, 5).view(3, config.hidden_size))
words = student.model.embed_tokens.weight[ids] * torch.tensor(math.sqrt(config.hidden_size), dtype=torch.float32).double()
loss = cross_entropy(logits_of(student, torch.cat((prompt.expand(batch, -1, -1), words), 1), virtual=3))
result["prompt"] = {"loss": loss.item(), "gradients": gradients(loss, {"prompt_embeddings": prompt})}

with open("data/expected/training-gradients.json", "w") as file:
    json.dump(result, file, indent=2)
    file.write("\n")
