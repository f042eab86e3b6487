/** Checks what a caller asks of `prune` before any work, so that everything behind it takes checked values. */
import { checkInteger } from "../base/check-integer.ts";
import { PrunelabError } from "../errors.ts";
import { checkDevice, type Device } from "../onnx/session.ts";
import type { OnProgress } from "../progress.ts";
import type { CalibrationOptions } from "./calibration.ts";
import type { MaskRefinement, MethodName, PruningMethod, Quantization, RefinementName } from "./methods/method.ts";
import { maskRefinements, pruningMethods } from "./methods/methods.ts";
import type { SpanPattern } from "./select.ts";

/** Known ways to share out the sparsity among blocks. */
export const layerBudgets = ["uniform", "owl"] as const;
/** One of them, or the sparsity of the tensors whose names match a regular expression. */
export type LayerBudgets = (typeof layerBudgets)[number] | Readonly<Record<string, number>>;

/**
 * Where the least important weights are looked for: in each tensor, in each output row, in all tensors of the scope
 * together, or `n` of every `m` consecutive weights along the input dimension. `n:m` counts the weights that become
 * zero, as the Wanda repository's `prune_n:prune_m` does; for 2:4 and 4:8 that is also the hardware's reading.
 */
export type PruningPattern = "tensor" | "row" | "global" | `${number}:${number}`;

export interface PruneOptions {
  /** What makes a weight important: one of `pruningMethods`, described in src/prune/methods/README.md. */
  readonly method: MethodName;
  /** Share of the weights in scope that are zero afterwards, in [0, 1). May be left out if the pattern is `n:m`. */
  readonly sparsity?: number;
  /** Default: the method's own, `"row"` for `"wanda"` and `"tensor"` for the others. For `"sparsegpt"`, `"tensor"` means each 128 columns by themselves. */
  readonly pattern?: PruningPattern;
  /** For whatever looks at inputs. Default: 64 windows of 512 tokens from Dolly-15k. */
  readonly calibration?: CalibrationOptions;
  /**
   * `"owl"`: blocks with more outliers keep more. Or sparsities by regular expression on tensor names, the first that matches; the other
   * tensors share what is left, so that the whole is as sparse as asked for: `{ "[kv]_proj": 0.25 }`. Default `"uniform"`.
   */
  readonly budgets?: LayerBudgets;
  /** Refines the mask on the calibration inputs: one of `maskRefinements`. */
  readonly refine?: RefinementName;
  /**
   * Fits the kept weights to the dense layer's outputs, by least squares on the calibration inputs. Default false; true if `refine` changes
   * the mask that the method (`"sparsegpt"`, `"admm"`) had fitted the weights to.
   */
  readonly reconstruct?: boolean;
  /**
   * Only for `"sparsegpt"`, its paper's joint mode: rounds each kept weight to `bits` bits while the weights after it make up for the error.
   * Each `blockSize` (default 32) weights of a row have a step of their own; zeros stay zero, and bfloat16 holds the rounded weights exactly.
   * Rounding may zero a few more weights than `sparsity` says.
   */
  readonly quantize?: { readonly bits: 4 | 8; readonly blockSize?: number };
  /** Regular expression on tensor names; default: the seven linear layers inside the blocks, not the embedding. */
  readonly scope?: RegExp | string;
  /** An integer; only `"random"` uses it. Default 0. */
  readonly seed?: number;
  /**
   * Where calibration windows run through the blocks and are measured, through ONNX Runtime: `"cpu"` (the default), `"webgpu"`, `"cuda"`,
   * `"dml"` or `"coreml"`. Selection and what needs the weights alone stay on the CPU, which is faster there. If the device cannot be
   * opened, the CPU takes over. Masks agree to 1 weight in 100,000.
   */
  readonly device?: Device;
  /** Stops between tensors, blocks and batches of windows, by throwing its reason; the blocks that are done stay in the cache. */
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** Called with one line if a device was asked for and the CPU took over. */
  readonly onNotice?: (line: string) => void;
}

/** The linear layers inside the blocks: what the pruning literature prunes (Wanda's and SparseGPT's `find_layers`). */
export const linearLayers: RegExp = /^model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)\.weight$/;

/** Options of `prune` that look at weights alone, checked and with their defaults. */
export interface PruningPlan {
  readonly method: PruningMethod;
  /** In [0, 1). */
  readonly sparsity: number;
  readonly pattern: SpanPattern | "global";
  readonly scope: RegExp;
  readonly seed: number;
  readonly device: Device;
}

/** Options of `prune` that look at inputs, block by block, checked and with their defaults. */
export interface CalibratedPlan extends Omit<PruningPlan, "seed"> {
  readonly pattern: SpanPattern;
  readonly budgets: LayerBudgets;
  readonly refine: MaskRefinement | undefined;
  readonly reconstruct: boolean;
  readonly quantize: Quantization | undefined;
  readonly calibration: CalibrationOptions;
}

/** Throws a PrunelabError that names the option, its value and what is allowed. */
export function planPruning(options: PruneOptions): PruningPlan | CalibratedPlan {
  const plan = planSelection(options);
  const { method, pattern } = plan;
  const { budgets = "uniform", calibration = {} } = options;
  checkBudgets(budgets);
  const refine = options.refine === undefined ? undefined : find("mask refinement", options.refine, maskRefinements);
  const { reconstruct = refine !== undefined && method.fitsWeights === true } = options;
  const quantize = planQuantization(options, method, refine !== undefined || reconstruct);
  if (method.needs === "nothing" && budgets === "uniform" && !refine && !reconstruct) {
    if (pattern === "global" && !method.kernel) refusePattern(`${method.name} goes tensor by tensor`, pattern);
    return plan;
  }
  if (budgets !== "uniform" && typeof pattern === "object") {
    throw new PrunelabError(
      `budgets need a sparsity that can differ; not with the pattern: ${options.pattern}; choose row or tensor`,
    );
  }
  if (refine && !refine.keepsGroups && typeof pattern === "object") {
    const others = maskRefinements.filter(({ keepsGroups }) => keepsGroups).map(({ name }) => name);
    throw new PrunelabError(
      `${refine.name} would move zeros between groups; not with the pattern: ${options.pattern}; choose ${others.join(" or ")}`,
    );
  }
  if (!method.prune) {
    throw new PrunelabError(
      `${method.name} takes no budgets, refine or reconstruct: it is the control; leave them out`,
    );
  }
  if (pattern === "global") refusePattern("calibrated pruning goes block by block", pattern);
  const { seed: _, ...rest } = plan;
  return { ...rest, pattern, budgets, refine, reconstruct, quantize, calibration };
}

function planQuantization(
  { quantize }: PruneOptions,
  method: PruningMethod,
  changesLater: boolean,
): Quantization | undefined {
  if (quantize === undefined) return undefined;
  const { bits, blockSize = 32 } = quantize;
  if (!method.quantizes) {
    const able = pruningMethods.filter(({ quantizes }) => quantizes).map(({ name }) => name);
    throw new PrunelabError(`${method.name} cannot quantize; leave quantize out or choose ${able.join(" or ")}`);
  }
  if (bits !== 4 && bits !== 8) throw new PrunelabError(`invalid quantize.bits: ${bits}; choose 4 or 8`);
  checkInteger("quantize.blockSize", blockSize, 1);
  if (changesLater) {
    throw new PrunelabError("refine and reconstruct would leave the grid of quantize; leave them out");
  }
  return { bits, blockSize };
}

function refusePattern(why: string, pattern: string): never {
  throw new PrunelabError(`${why}; not with the pattern: ${pattern}; choose tensor, row or n:m`);
}

function find<Entry extends { readonly name: string }>(what: string, name: string, table: readonly Entry[]): Entry {
  const found = table.find((entry) => entry.name === name);
  if (found) return found;
  throw new PrunelabError(`unknown ${what}: ${name}; choose one of ${table.map((entry) => entry.name).join(", ")}`);
}

function checkBudgets(budgets: LayerBudgets): void {
  if (typeof budgets !== "object" || budgets === null) {
    if (layerBudgets.includes(budgets)) return;
    throw new PrunelabError(
      `unknown layer budgets: ${budgets}; choose one of ${layerBudgets.join(", ")}, or give sparsities such as {"k_proj":0.3}`,
    );
  }
  for (const [key, value] of Object.entries(budgets)) {
    parsePattern("budgets", key);
    checkSparsity(`sparsity of ${key}`, value);
  }
}

function checkSparsity(what: string, value: unknown): asserts value is number {
  if (typeof value === "number" && value >= 0 && value < 1) return;
  throw new PrunelabError(`invalid ${what}; not a number in [0, 1): ${value}; choose e.g. 0.5`);
}

function planSelection(options: PruneOptions): PruningPlan {
  const { sparsity, seed = 0, device = "cpu" } = options;
  const method = find("pruning method", options.method, pruningMethods);
  const pattern = options.pattern ?? method.pattern;
  checkDevice(device);
  if (!Number.isSafeInteger(seed)) {
    throw new PrunelabError(`invalid seed; not an integer: ${seed}; choose e.g. 0`);
  }
  const scope = parseScope(options.scope);
  const nm = /^(\d{1,6}):(\d{1,6})$/.exec(pattern);
  if (nm) {
    const [zeros, of] = [Number(nm[1]), Number(nm[2])];
    if (zeros >= of) {
      throw new PrunelabError(
        `invalid pattern; would zero ${zeros} of every ${of} weights: ${pattern}; choose e.g. 2:4`,
      );
    }
    if (sparsity !== undefined && sparsity !== zeros / of) {
      throw new PrunelabError(
        `sparsity does not fit the pattern: ${sparsity} with ${pattern}, which zeroes ${zeros / of}; leave sparsity out`,
      );
    }
    return { method, sparsity: zeros / of, pattern: { zeros, of }, scope, seed, device };
  }
  if (pattern !== "tensor" && pattern !== "row" && pattern !== "global") {
    throw new PrunelabError(`unknown pruning pattern: ${pattern}; choose tensor, row, global or n:m such as 2:4`);
  }
  checkSparsity("sparsity", sparsity);
  return { method, sparsity, pattern, scope, seed, device };
}

/** A scope as a regular expression. Throws a PrunelabError if it is not one. */
export function parseScope(scope: RegExp | string | undefined): RegExp {
  return scope === undefined ? linearLayers : parsePattern("scope", scope);
}

function parsePattern(option: string, pattern: RegExp | string): RegExp {
  try {
    return new RegExp(pattern);
  } catch {
    throw new PrunelabError(`invalid ${option}; not a regular expression: ${pattern}; choose e.g. mlp.down_proj`);
  }
}
