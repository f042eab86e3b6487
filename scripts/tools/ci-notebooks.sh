#!/usr/bin/env bash
# Checks the cells of all notebooks, runs them on the real model with few documents, and looks at the outcome in JupyterLab.
# Usage: ci-notebooks.sh <Python environment with jupyterlab> <folder for what they write>. PRUNELAB_DATA names the benchmarks.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=$1
out=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

node dist/scripts/cli/prunelab.js run --check notebooks/*.ipynb
rm -rf "$out"
mkdir -p "$out"
node dist/scripts/cli/prunelab.js run --output "$out" --timeout 600 --junit "$out/junit.xml" --html "$out/report.html" \
  -p limit=4 -p 'sparsities=[0, 0.5]' -p windows=2 -p calibrationWindows=2 notebooks/*.ipynb

node dist/kernel/server/main.js install --prefix "$work/prefix"
export JUPYTER_PATH=$work/prefix/share/jupyter PRUNELAB_HISTORY=$work/history
export JUPYTER_DATA_DIR=$work/data JUPYTER_CONFIG_DIR=$work/config JUPYTER_RUNTIME_DIR=$work/runtime
export PATH=$environment/bin:$PATH
node --import tsx scripts/tools/check-notebooks.ts "$environment/bin/jupyter" "$out/screenshots" "$out"/*.ipynb
