"""Writes data/expected/peft-{lora,prompt}, adapters made by Python's peft on data/tiny-gemma3, and data/expected/peft.json: what the model answers
with each. With a folder: prints what transformers and peft answer with the adapter in it.

Usage, from the repository's root, with torch, transformers and peft: python scripts/tools/peft-adapters.py [adapter folder]
"""

import json
import sys

import peft
import torch
import transformers

windows = [[2] + [(37 * i + 11 * w) % 500 + 3 for i in range(23)] for w in range(2)]


def base():
    return transformers.AutoModelForCausalLM.from_pretrained("data/tiny-gemma3", dtype=torch.float32).eval()


def answers(model):
    """For each window, the log-probability of all tokens after BOS."""
    with torch.no_grad():
        logits = torch.cat([model(input_ids=torch.tensor([ids])).logits[:, -len(ids) : -1] for ids in windows])
    labels = torch.tensor(windows)[:, 1:, None]
    return logits.log_softmax(-1).gather(-1, labels).sum((1, 2)).tolist()


if len(sys.argv) > 1:
    print(json.dumps(answers(peft.PeftModel.from_pretrained(base(), sys.argv[1]))))
    sys.exit()

torch.manual_seed(0)
config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM")
lora = peft.get_peft_model(base(), config)
with torch.no_grad():
    for name, parameter in lora.named_parameters():
        if "lora_B" in name:
            parameter.normal_(0, 0.1)
lora.eval().save_pretrained("data/expected/peft-lora")
prompt = peft.get_peft_model(base(), peft.PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"))
prompt.eval().save_pretrained("data/expected/peft-prompt")
versions = {"python": sys.version.split()[0], "torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
with open("data/expected/peft.json", "w") as file:
    json.dump({"versions": versions, "windows": windows, "dense": answers(base()), "lora": answers(lora), "prompt": answers(prompt)}, file, indent=2)
    file.write("\n")
