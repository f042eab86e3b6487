#!/usr/bin/env bash
# Measures this kernel beside tslab, Deno and ipykernel in one run; the peers are installed into a temporary folder.
# Usage: bench-kernel.sh [KERNEL...] (default: prunelab prunelab-unchecked tslab deno python3)
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kernels=("$@")
[ ${#kernels[@]} -gt 0 ] || kernels=(prunelab prunelab-unchecked tslab deno python3)

python3 -m venv "$work/environment"
"$work/environment/bin/pip" install --quiet --disable-pip-version-check jupyter_client jupyter_core ipykernel psutil jupyterlab
export PATH=$work/environment/bin:$PATH JUPYTER_DATA_DIR=$work/data JUPYTER_PATH=$work/xdg/jupyter PRUNELAB_HISTORY=$work/history

node scripts/tools/bootstrap.js
node dist/kernel/server/main.js install
node dist/kernel/server/main.js install --name prunelab-unchecked --no-check

# A folder as a notebook's author has it: with this package, what it depends on, and danfojs.
mkdir -p "$work/notebook/node_modules/@huggingface"
cd "$work/notebook"
cat > package.json <<'JSON'
{
  "private": true,
  "dependencies": { "danfojs-node": "1.2.0", "tslab": "1.0.22", "deno": "*" },
  "overrides": { "xlsx": "0.18.5", "@tensorflow/tfjs-node": "npm:@tensorflow/tfjs@3.21.0" }
}
JSON
npm install --no-audit --no-fund --loglevel=error
export PATH=$PWD/node_modules/.bin:$PATH # tslab's kernelspec calls its command by name
ln -sfn "$root" node_modules/prunelab
mkdir -p node_modules/@huggingface
ln -sfn "$root/node_modules/@huggingface/transformers" node_modules/@huggingface/transformers
for kernel in "${kernels[@]}"; do
  case $kernel in
    tslab) npx --no-install tslab install --prefix "$work/environment" >/dev/null ;;
    # Deno looks for no variable of Jupyter's; it installs its program on first use.
    deno) XDG_DATA_HOME=$work/xdg npx --no-install deno jupyter --install >/dev/null 2>&1 ;;
  esac
done
python "$root/kernel/python/bench.py" "${kernels[@]}"
