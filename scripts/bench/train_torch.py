"""The same steps in torch, with peft for LoRA: the best step's tokens a second and the peak memory.

Usage, by npm run bench:train -- --peer "python scripts/bench/train_torch.py": method, model folder, file of windows.
"""

import json
import resource
import sys
import time

import peft
import torch
import transformers

method, folder, path = sys.argv[1:]
windows = json.load(open(path))
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
linears = [name for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and ".layers." in name]
if method == "lora":
    targets = sorted({name.split(".")[-1] for name in linears})
    model = peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=8, target_modules=targets, task_type="CAUSAL_LM"))
else:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.removesuffix(".weight") in linears)
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6, weight_decay=0)
best = float("inf")
for step, ids in enumerate(windows):
    started = time.perf_counter()
    tokens = torch.tensor([ids])
    loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
    optimizer.step()
    optimizer.zero_grad()
    seconds = time.perf_counter() - started
    print(f"torch step {step + 1}: loss {loss.item():.4f}, {seconds:.2f} s", flush=True)
    if step > 0:
        best = min(best, seconds)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(f"torch {torch.__version__}, peft {peft.__version__}: {len(windows[0]) / best:.1f} tokens/s; peak memory {peak:.2f} GB")
