/** Checks what a caller asks of `prune` at the door, so that everything behind it takes checked values. */
import { PrunelabError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import type { CalibrationOptions } from "./calibration.ts";
import type { SpanPattern } from "./lowest.ts";

/** The known methods: what makes a weight important. */
export const pruningMethods = ["magnitude", "random", "wanda", "ria", "sparsegpt", "admm"] as const;
export type PruningMethod = (typeof pruningMethods)[number];

/** Known ways to better a mask once it is there. */
export const maskRefinements = ["dsnot", "swaps"] as const;
export type MaskRefinement = (typeof maskRefinements)[number];

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

/** Where to prune; the result is the same. */
export const pruningDevices = ["cpu", "auto", "webgpu"] as const;
export type PruningDevice = (typeof pruningDevices)[number];

export interface PruneOptions {
  /**
   * `"magnitude"`: the smallest |w| go first. `"random"`: the control, any weight may go. The others look at the inputs that weights meet on
   * calibration windows: `"wanda"` |w| times the input's norm, `"ria"` the same relative to row and column, `"sparsegpt"` what cannot
   * be made good by the weights that stay, which it then changes, `"admm"` the same with mask and weights sought together.
   */
  readonly method: PruningMethod;
  /** Share of the weights in scope that are zero afterwards, in [0, 1). May be left out where the pattern is `n:m`. */
  readonly sparsity?: number;
  /** Default `"tensor"`; for `"wanda"` `"row"`. For `"sparsegpt"`, `"tensor"` means each 128 columns by themselves. */
  readonly pattern?: PruningPattern;
  /** For whatever looks at inputs. Default: 64 windows of 512 tokens from Dolly-15k. */
  readonly calibration?: CalibrationOptions;
  /**
   * `"owl"`: blocks with more outliers keep more. Or sparsities by regular expression on tensor names, the first that matches; the other
   * tensors share what is left, so that the whole is as sparse as asked for: `{ "[kv]_proj": 0.25 }`. Default `"uniform"`.
   */
  readonly budgets?: LayerBudgets;
  /** Betters the mask on the calibration inputs. */
  readonly refine?: MaskRefinement;
  /**
   * Fits the kept weights to the dense layer's outputs, by least squares on the calibration inputs. Default false; true where `refine` changes
   * the mask that `"sparsegpt"` or `"admm"` had fitted the weights to.
   */
  readonly reconstruct?: boolean;
  /**
   * Whether `"admm"` and `reconstruct` fit to outputs a quarter of the way to those that the layer has in the dense model, so that a block makes
   * good some of what those before it lost, or to those of the dense layer on the inputs it now gets. Costs another pass. Default false.
   */
  readonly compensate?: boolean;
  /** Regular expression on tensor names; default: the seven linear layers inside the blocks, not the embedding. */
  readonly scope?: RegExp | string;
  /** An integer; only `"random"` uses it. Default 0. */
  readonly seed?: number;
  /**
   * Where `"magnitude"`, `"random"`, `"wanda"` and `"ria"` score and select; what else there is to do, and the other methods, run on the CPU.
   * Default `"cpu"`. `"webgpu"` takes a GPU, or a software renderer; `"auto"` a GPU where there is one and it is likely to be faster: for
   * `"wanda"` and `"ria"`. Without a device, or if it fails, the CPU takes over.
   */
  readonly device?: PruningDevice;
  readonly onProgress?: OnProgress;
  /** Told in one line when a device was asked for and the CPU took over. */
  readonly onNotice?: (line: string) => void;
}

/** The linear layers inside the blocks: what the pruning literature prunes (Wanda's and SparseGPT's `find_layers`). */
export const linearLayers: RegExp = /^model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)\.weight$/;

/** Options of `prune` that look at weights alone, checked and with their defaults. */
export interface PruningPlan {
  readonly method: "magnitude" | "random";
  /** In [0, 1). */
  readonly sparsity: number;
  readonly pattern: "tensor" | "row" | "global" | { readonly zeros: number; readonly of: number };
  readonly scope: RegExp;
  readonly seed: number;
  readonly device: PruningDevice;
}

/** Options of `prune` that look at inputs, block by block, checked and with their defaults. */
export interface CalibratedPlan {
  readonly method: Exclude<PruningMethod, "random">;
  readonly sparsity: number;
  readonly pattern: SpanPattern;
  readonly scope: RegExp;
  readonly budgets: LayerBudgets;
  readonly refine: MaskRefinement | undefined;
  readonly reconstruct: boolean;
  readonly compensate: boolean;
  readonly calibration: CalibrationOptions;
  readonly device: PruningDevice;
}

/** Options that look at weights alone. */
export type WeightOptions = Omit<PruneOptions, "method" | "budgets" | "refine" | "reconstruct"> &
  Pick<PruningPlan, "method">;

/** Throws a PrunelabError that names the option, its value and what is allowed. */
export function planPruning(options: WeightOptions): PruningPlan;
export function planPruning(options: PruneOptions): PruningPlan | CalibratedPlan;
export function planPruning(options: PruneOptions): PruningPlan | CalibratedPlan {
  const { method, ...plan } = planSelection(options);
  const { budgets = "uniform", refine, compensate = false, calibration = {} } = options;
  const { reconstruct = refine !== undefined && (method === "sparsegpt" || method === "admm") } = options;
  checkBudgets(budgets);
  if (refine !== undefined && !maskRefinements.includes(refine)) {
    throw new PrunelabError(`unknown mask refinement: ${refine}; choose one of ${maskRefinements.join(", ")}`);
  }
  const weightsAlone = method === "magnitude" || method === "random";
  if (weightsAlone && budgets === "uniform" && !refine && !reconstruct && !compensate) return { method, ...plan };
  const { sparsity, pattern, scope, device } = plan;
  if (budgets !== "uniform" && typeof pattern === "object") {
    throw new PrunelabError(
      `budgets need a sparsity that can differ; not with the pattern: ${options.pattern}; choose row or tensor`,
    );
  }
  if (refine === "dsnot" && typeof pattern === "object") {
    throw new PrunelabError(
      `dsnot would move zeros between groups; not with the pattern: ${options.pattern}; choose swaps`,
    );
  }
  if (compensate && method !== "admm" && !reconstruct) {
    throw new PrunelabError(
      `nothing to compensate with: ${method} fits no weights to outputs; choose admm${method === "random" ? "" : " or add reconstruct"}`,
    );
  }
  if (method === "random") {
    throw new PrunelabError(
      "pruning at random takes no budgets, refine, reconstruct or compensate; it is the control, leave them out",
    );
  }
  if (pattern === "global") {
    throw new PrunelabError(
      `calibrated pruning goes block by block; not with the pattern: ${pattern}; choose tensor, row or n:m`,
    );
  }
  return { method, sparsity, pattern, scope, budgets, refine, reconstruct, compensate, calibration, device };
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

type Selection = Omit<PruningPlan, "method"> & { readonly method: PruningMethod };

function planSelection(options: PruneOptions): Selection {
  const { method, sparsity, seed = 0, device = "cpu" } = options;
  if (!pruningMethods.includes(method)) {
    throw new PrunelabError(`unknown pruning method: ${method}; choose one of ${pruningMethods.join(", ")}`);
  }
  const pattern = options.pattern ?? (method === "wanda" ? "row" : "tensor");
  if (!pruningDevices.includes(device)) {
    throw new PrunelabError(`unknown device: ${device}; choose one of ${pruningDevices.join(", ")}`);
  }
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

/** A scope as a regular expression. Throws a PrunelabError where it is none. */
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
