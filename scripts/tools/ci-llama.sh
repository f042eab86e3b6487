#!/usr/bin/env bash
# Lets llama.cpp load our GGUF files of the tiny model (or of the one that is named) and answer as we do. Its build for Node is 30 MB and is no
# dependency of ours, since npm would fetch its CUDA builds as well. Usage: ci-llama.sh [model] [tokens of a window]
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --ignore-scripts --no-audit --no-fund --omit=optional --prefix "$folder" node-llama-cpp@3.21.1 "@node-llama-cpp/$(node -p 'process.platform.replace("darwin", "mac") + "-" + process.arch')@3.21.1"
node --import tsx scripts/tools/check-llama.ts "$folder" "$@"
