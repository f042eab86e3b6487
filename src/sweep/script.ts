/** Array jobs for clusters: each task of the array does the units that its index names. */
import { stringify } from "yaml";
import { PrunelabError } from "../errors.ts";
import type { Unit } from "./plan.ts";
import { exitCodes } from "./unit-process.ts";

export interface ScriptOptions {
  /** The plan file and the study's folder, as the cluster's machines see them. */
  readonly plan: string;
  readonly output: string;
  /** Name of the job. Default `"prunelab"`. */
  readonly name?: string;
  /** How Prunelab is started there, in the shell's spelling. Default `"npx prunelab"`. */
  readonly program?: string;
  /** Units that a task does one after another. Default 1, or as many as keep the array at 1,000 tasks. */
  readonly pack?: number;
  /** Tasks at the same time. Default 16. */
  readonly parallel?: number;
  readonly cpus?: number;
  /** GB of each task. */
  readonly memory?: number;
  /** Minutes after which Slurm ends a task. */
  readonly minutes?: number;
  /** Kubernetes: an image with Node and Prunelab, and the claim of the volume with plan and folder, mounted at `mount`. */
  readonly image?: string;
  readonly claim?: string;
  readonly mount?: string;
}

/** Where an array job's index is found: by engine, the variable and what its first task has there. */
export const indexVariables: readonly { readonly engine: string; readonly variable: string; readonly first: 0 | 1 }[] =
  [
    { engine: "Slurm", variable: "SLURM_ARRAY_TASK_ID", first: 0 },
    { engine: "Kubernetes", variable: "JOB_COMPLETION_INDEX", first: 0 },
    { engine: "AWS Batch", variable: "AWS_BATCH_JOB_ARRAY_INDEX", first: 0 },
    { engine: "Google Batch", variable: "BATCH_TASK_INDEX", first: 0 },
    { engine: "SkyPilot", variable: "SKYPILOT_JOB_RANK", first: 0 },
    { engine: "PBS", variable: "PBS_ARRAY_INDEX", first: 0 },
    { engine: "LSF", variable: "LSB_JOBINDEX", first: 1 },
    { engine: "SGE", variable: "SGE_TASK_ID", first: 1 },
  ];

/** The index of this array task, from 0; undefined outside an array. LSF says 0 there, SGE "undefined". */
export function arrayIndex(environment: NodeJS.ProcessEnv): number | undefined {
  for (const { variable, first } of indexVariables) {
    const text = environment[variable];
    if (text === undefined || !/^\d+$/.test(text)) continue;
    const index = Number(text) - first;
    if (index >= 0) return index;
  }
  return undefined;
}

/** Slurm refuses indices of 1001 and more unless the site allows them (MaxArraySize). */
const MAX_ARRAY = 1_000;

interface Filled extends Required<Omit<ScriptOptions, "pack">> {
  readonly pack: number;
  readonly tasks: number;
  readonly command: readonly string[];
}

export type Engine = "slurm" | "kubernetes";
const writers: Readonly<Record<Engine, (filled: Filled) => string>> = { slurm: slurmScript, kubernetes: kubernetesJob };
export const engines: readonly string[] = Object.keys(writers);

/**
 * A job ready to submit: a script for `sbatch`, or YAML for `kubectl apply`.
 *
 * @throws PrunelabError if the engine is unknown.
 */
export function arrayScript(engine: Engine, units: readonly Unit[], options: ScriptOptions): string {
  if (!Object.hasOwn(writers, engine)) {
    throw new PrunelabError(`unknown engine: ${engine}; choose one of ${engines.join(", ")}`);
  }
  const { name = "prunelab" } = options;
  // Kubernetes takes no other (RFC 1123), and no shell has to quote it.
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) {
    throw new PrunelabError(
      `not a job's name: ${name}; give up to 63 small letters, digits and -, a letter or digit first and last`,
    );
  }
  const pack = options.pack ?? Math.ceil(units.length / MAX_ARRAY);
  const tasks = Math.ceil(units.length / pack);
  const { plan, output, parallel = 16, cpus = 2, memory = 8, minutes = 60 * pack } = options;
  const { program = "npx prunelab", image = "prunelab:latest", claim = "prunelab", mount = "/study" } = options;
  const command = ["sweep", "unit", plan, "--output", output, ...(pack > 1 ? ["--pack", String(pack)] : [])];
  return writers[engine]({
    plan,
    output,
    name,
    parallel,
    cpus,
    memory,
    minutes,
    program,
    image,
    claim,
    mount,
    pack,
    tasks,
    command,
  });
}

function slurmScript({ program, name, tasks, parallel, cpus, memory, minutes, output, command }: Filled): string {
  return `#!/usr/bin/env bash
#SBATCH --job-name=${name}
#SBATCH --array=0-${tasks - 1}%${parallel}
#SBATCH --cpus-per-task=${cpus}
#SBATCH --mem=${memory}G
#SBATCH --time=${minutes}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=${/\s/.test(output) ? `"${output}/logs/%A_%a.log"` : `${output}/logs/%A_%a.log`}
# Submit from the folder where prunelab is installed: mkdir -p ${quote(`${output}/logs`)} && sbatch this-file
# Submitting again is safe: a unit that is done ends at once.
export PRUNELAB_THREADS="\${SLURM_CPUS_PER_TASK:-${cpus}}"
${program} ${command.map(quote).join(" ")}
code=$?
# ${exitCodes.neverAgain} says that no other try helps; anything else, ${exitCodes.tryAgain} or a node's failure, may go well another time.
if [ "$code" -ne ${exitCodes.done} ] && [ "$code" -ne ${exitCodes.neverAgain} ] && [ "\${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
  scontrol requeue "\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
`;
}

/** An Indexed Job; https://kubernetes.io/docs/concepts/workloads/controllers/job/ (backoffLimitPerIndex: 1.33). */
function kubernetesJob({ program, name, tasks, parallel, cpus, memory, image, claim, mount, command }: Filled): string {
  const volume = "study";
  return stringify({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name },
    spec: {
      completionMode: "Indexed",
      completions: tasks,
      parallelism: Math.min(parallel, tasks),
      backoffLimitPerIndex: 3,
      maxFailedIndexes: tasks,
      podFailurePolicy: {
        rules: [
          {
            action: "FailIndex",
            onExitCodes: { containerName: "unit", operator: "In", values: [exitCodes.neverAgain] },
          },
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        ],
      },
      template: {
        spec: {
          restartPolicy: "Never",
          containers: [
            {
              name: "unit",
              image,
              command: [...program.split(" "), ...command],
              workingDir: mount,
              env: [
                { name: "PRUNELAB_THREADS", value: String(cpus) },
                { name: "PRUNELAB_CACHE", value: `${mount}/cache` },
              ],
              resources: { requests: { cpu: String(cpus), memory: `${memory}Gi` }, limits: { memory: `${memory}Gi` } },
              volumeMounts: [{ name: volume, mountPath: mount }],
            },
          ],
          volumes: [{ name: volume, persistentVolumeClaim: { claimName: claim } }],
        },
      },
    },
  });
}

/** For a shell. */
function quote(word: string): string {
  return /^[\w./:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
