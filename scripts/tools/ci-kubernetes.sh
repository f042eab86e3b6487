#!/usr/bin/env bash
# Validates the job that `prunelab sweep script --for kubernetes` prints against the published schemas, strictly. It is not run on a cluster.
# Usage: ci-kubernetes.sh <Python environment>
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$environment/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate==1.37.0
printf '%s\n' "model: $PWD/data/tiny-gemma3" 'methods: [magnitude, random]' 'sparsities: [0.25, 0.5]' 'tasks: [hellaswag]' >"$work/study.yaml"
node dist/scripts/cli/prunelab.js sweep plan "$work/study.yaml" >"$work/plan.jsonl"
node dist/scripts/cli/prunelab.js sweep script "$work/plan.jsonl" --for kubernetes >"$work/job.yaml"
# 1.33 is the first version in which retries by index are settled.
for version in 1.33 1.37; do
  "$environment/bin/kubernetes-validate" --strict -k "$version" "$work/job.yaml"
done
# That a mistake would be seen.
sed 's/backoffLimitPerIndex/backoffLimitPerIndices/' "$work/job.yaml" >"$work/wrong.yaml"
if "$environment/bin/kubernetes-validate" --strict -k 1.37 "$work/wrong.yaml" 2>/dev/null; then
  echo "a field that is not Kubernetes' passed" >&2
  exit 1
fi
