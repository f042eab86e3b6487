#!/usr/bin/env bash
# Checks the cells of all notebooks, runs them on the real model with few documents, and looks at the outcome in JupyterLab.
# Usage: ci-notebooks.sh <Python environment with jupyterlab> <folder for what they write>. PRUNELAB_DATA names the benchmarks.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=$1
out=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

prunelab() { node dist/scripts/cli/prunelab.js "$@"; }
prunelab run --check notebooks/*.ipynb
rm -rf "$out"
mkdir -p "$out"
real=$(ls notebooks/*.ipynb | grep -v -e recovery -e export)
# shellcheck disable=SC2086
prunelab run --output "$out" --timeout 600 --junit "$out/junit.xml" --html "$out/report.html" \
  -p limit=4 -p 'sparsities=[0, 0.5]' -p windows=2 -p calibrationWindows=2 $real

# What trains, and what writes ten forms, takes an hour on the real model: here the tiny one, and texts that its letters make enough tokens of.
node -e '
  const { createHash } = require("node:crypto");
  for (let i = 0; i < 64; i++) {
    const text = createHash("sha512").update(String(i)).digest("hex");
    console.log(JSON.stringify({ prompt: text.slice(0, 32), response: text.slice(32) }));
  }' > "$work/texts.jsonl"
prunelab run --output "$out" --timeout 600 --junit "$out/junit-tiny.xml" \
  -p "model=$PWD/data/tiny-gemma3" -p "folder=$work/models" -p "trainingData=$work/texts.jsonl" -p minutes=0.03 -p windowLength=64 \
  -p limit=4 -p windows=1 -p calibrationWindows=2 notebooks/recovery.ipynb notebooks/export.ipynb

node dist/kernel/server/main.js install --prefix "$work/prefix"
export JUPYTER_PATH=$work/prefix/share/jupyter PRUNELAB_HISTORY=$work/history
export JUPYTER_DATA_DIR=$work/data JUPYTER_CONFIG_DIR=$work/config JUPYTER_RUNTIME_DIR=$work/runtime
export PATH=$environment/bin:$PATH
node --import tsx scripts/tools/check-notebooks.ts "$environment/bin/jupyter" "$out/screenshots" "$out"/*.ipynb
