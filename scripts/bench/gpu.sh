#!/usr/bin/env bash
# Measures pruning (wanda, sparsegpt) and scoring on a GPU machine, on cpu, webgpu and cuda, beside torch on the same GPU.
# Needs: an NVIDIA GPU with CUDA 13, cuDNN 9 and a Vulkan driver; ../shared/peers and ../shared/reference; a Python with their packages.
# cuda also needs libonnxruntime_providers_cuda.so and libonnxruntime_providers_shared.so of ONNX Runtime's CUDA archive in
# node_modules/onnxruntime-node/bin/napi-v6/linux/x64.
# Usage: gpu.sh [MODEL] [OUT]   (default: the default model, a temporary folder); PYTHON, DEVICES="cpu webgpu cuda" and LIMIT=200 by environment
set -euo pipefail
cd "$(dirname "$0")/../.."
shared=$(cd ../shared && pwd)
python=${PYTHON:-python3}
limit=${LIMIT:-200}
node scripts/tools/bootstrap.js
prunelab="node dist/scripts/cli/prunelab.js"
model=${1:-$($prunelab fetch)}
out=${2:-$(mktemp -d)}
mkdir -p "$out"
# A cache of its own: a pruning or an answer of an earlier run would be no measurement.
export PRUNELAB_CACHE=$out/cache PRUNELAB_DATA=${PRUNELAB_DATA:-$shared/data}

timed() { # label, command...
  local label=$1 started seconds
  shift
  started=$(date +%s.%N)
  if "$@" > "$out/log" 2>&1; then
    seconds=$(echo "$(date +%s.%N) - $started" | bc)
    printf '| %s | %.1f | %s |\n' "$label" "$seconds" "$(grep -o 'on the CPU.*' "$out/log" | head -1 || true)"
  else
    printf '| %s | failed | %s |\n' "$label" "$(tail -1 "$out/log")"
  fi
}
# On the GPU what the peers' scripts do on the CPU.
on_gpu='import runpy, sys, torch; torch.set_default_device("cuda"); sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")'

nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null || echo "no nvidia-smi"
echo "$(nproc) cores, node $(node --version), load $(cut -d' ' -f1 /proc/loadavg)"
echo
echo "| work | wall, s | notice |"
echo "|---|---:|---|"
# The dense model as a folder, for torch; also brings what both sides read into memory.
timed "write the dense model" $prunelab prune --model "$model" --sparsity 0 --output "$out/dense"
# The same number of windows and tokens for all: the reference's windows are token ids, which the command line does not take.
windows=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).windows.length' "$shared/reference/calibration.json")
length=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).windows[0].length' "$shared/reference/calibration.json")
for method in wanda sparsegpt; do
  for device in ${DEVICES:-cpu webgpu cuda}; do
    timed "prune, $method, $device" $prunelab prune --model "$model" --method "$method" --device "$device" \
      --windows "$windows" --window-length "$length" --output "$out/$method-$device"
  done
  timed "prune, $method, torch on cuda" "$python" -c "$on_gpu" "$shared/peers/${method}_torch.py" "$out/dense" \
    "$out/$method-torch" "$shared/reference/calibration.json"
done
for device in ${DEVICES:-cpu webgpu cuda}; do
  timed "score, hellaswag $limit, $device" $prunelab evaluate --fresh --model "$model" --tasks hellaswag --limit "$limit" \
    --device "$device" --output "$out/scores-$device"
done
# lm-eval takes cuda by itself if its command does not name the CPU.
sed 's/"--device", "cpu"/"--device", "cuda:0"/; s/device=cpu/device=cuda:0/' "$shared/peers/lm_eval_local.py" > "$out/lm_eval_cuda.py"
sed -i "s#^HERE = .*#HERE = pathlib.Path('$shared/peers')#" "$out/lm_eval_cuda.py"
timed "score, hellaswag $limit, lm-eval on cuda" "$python" "$out/lm_eval_cuda.py" "$out/dense" "$out/scores-lm-eval" --tasks hellaswag --limit "$limit"
echo
echo "results in $out"
