#!/usr/bin/env bash
# Runs Jupyter's own tools on the kernel, in a Python environment of its own: conformance and runners.
# Usage: ci-kernel.sh [an environment to reuse]. Needs python3.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

environment=${1:-$work/environment}
if [ ! -x "$environment/bin/pytest" ]; then
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check \
    jupyter_client jupyter-kernel-test==0.7.0 nbclient papermill pytest nbmake nbval jupyterlab jupyter-console ipywidgets jupytext
fi
"$environment/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps ./kernel/python
rm -rf kernel/python/build kernel/python/*.egg-info

node scripts/tools/bootstrap.js
node dist/kernel/server/main.js install --prefix "$work/prefix"
export JUPYTER_PATH=$work/prefix/share/jupyter
export JUPYTER_DATA_DIR=$work/data JUPYTER_CONFIG_DIR=$work/config JUPYTER_RUNTIME_DIR=$work/runtime
export PATH=$environment/bin:$PATH PYTHONDONTWRITEBYTECODE=1

cd "$work"
PRUNELAB_HISTORY=$work/history-1 python "$root/kernel/python/tests/test_conformance.py" -v
# The same on the versions of Node after it, each from the npm package `node`.
for version in 22 24; do
  npm install --silent --no-audit --no-fund --no-save --prefix "$work/node-$version" "node@$version"
  (
    export PATH="$work/node-$version/node_modules/node/bin:$PATH" JUPYTER_PATH=$work/prefix-$version/share/jupyter
    node "$root/dist/kernel/server/main.js" install --prefix "$work/prefix-$version"
    PRUNELAB_HISTORY=$work/history-$version python "$root/kernel/python/tests/test_conformance.py"
  )
done
peers=$root/../shared/peers
if [ -f "$peers/test_kernel.py" ]; then
  (cd "$peers" && PRUNELAB_HISTORY=$work/history-2 python -m unittest -v test_kernel)
fi
python -m pytest -q -p no:cacheprovider "$root/kernel/python/tests/test_runners.py"

cd "$root"
if ! command -v chromium >/dev/null && command -v apt-get >/dev/null; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
node --import tsx scripts/tools/check-jupyterlab.ts "$environment/bin/jupyter" "${PRUNELAB_SCREENSHOTS:-$work/screenshots}"
