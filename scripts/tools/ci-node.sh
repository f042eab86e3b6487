#!/usr/bin/env bash
# Runs the tests that need no model on other versions of Node, each from the npm package `node`. Usage: ci-node.sh 22 24
set -euo pipefail
cd "$(dirname "$0")/../.."
unset PRUNELAB_MODEL PRUNELAB_SHARED PRUNELAB_DATA PRUNELAB_CACHE PRUNELAB_NO_SKIP
for version in "$@"; do
  folder=$(mktemp -d)
  npm install --silent --no-audit --no-fund --no-save --prefix "$folder" "node@$version"
  (
    export PATH="$folder/node_modules/node/bin:$PATH"
    echo "Node $(node --version)"
    # Not all of them: only these were run whole on both.
    npm test -- src/base/ src/python/ src/checkpoint/ src/tasks/ kernel/cell/cell-modules kernel/language/transpile
  )
  rm -rf "$folder"
done
