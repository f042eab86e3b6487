/** Weights that are trained, with their gradients and Adam's moments, in WebAssembly memory that the graphs read and write in place. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { builtFile } from "../base/package-root.ts";

/** float32 arrays of equal length, views of one memory. */
export interface Parameter {
  readonly name: string;
  readonly values: Float32Array;
  readonly gradient: Float32Array;
}

export interface AdamOptions {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Counts from 1. */
  readonly step: number;
  /** What gradients are multiplied by, to clip them. */
  readonly scale: number;
}

/** Parameters that are updated together, such as those of a block. */
export interface ParameterGroup {
  readonly parameters: readonly Parameter[];
  /** Values and both moments of all parameters, for files. */
  readonly state: { readonly values: Float32Array; readonly first: Float32Array; readonly second: Float32Array };
  /** Σ g² of the gradients that count. */
  sumOfSquares(): number;
  /** Puts the gradients aside, so that the next ones can be written; {@link gather} adds those that were put aside. */
  putAside(): void;
  gather(): void;
  update(options: AdamOptions): void;
}

type Exports = Record<"sumOfSquares" | "add" | "update", (...values: number[]) => number>;

const pageBytes = 65_536;
let loading: Promise<WebAssembly.Module> | undefined;

/** Copies the values. With `keepZeros` those that are zero stay zero. 16 bytes a weight, 20 with `accumulates`. */
export async function openParameters(
  initial: readonly { readonly name: string; readonly values: Float32Array }[],
  { keepZeros, accumulates = false }: { readonly keepZeros: boolean; readonly accumulates?: boolean },
): Promise<ParameterGroup> {
  loading ??= loadModule();
  const module = await loading;
  // 16-byte vectors of four.
  const offsets: number[] = [];
  let count = 0;
  for (const { values } of initial) {
    offsets.push(count);
    count += Math.ceil(values.length / 4) * 4;
  }
  const start = 1024; // below lies what the compiler may put there
  const regions = accumulates ? 5 : 4;
  const pages = Math.ceil((start + regions * count * 4) / pageBytes);
  const memory = new WebAssembly.Memory<false>({ initial: pages, maximum: pages });
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
  const at = (region: number) => start + region * count * 4;
  const view = (region: number) => new Float32Array(memory.buffer, at(region), count);
  const [weights, gradients, first, second, aside] = [at(0), at(1), at(2), at(3), at(4)];
  const all = { values: view(0), gradient: view(1), first: view(2), second: view(3) };
  const parameters = initial.map(({ name, values }, index) => {
    const part = (array: Float32Array) => array.subarray(offsets[index]!, offsets[index]! + values.length);
    part(all.values).set(values);
    return { name, values: part(all.values), gradient: part(all.gradient) };
  });
  return {
    parameters,
    state: all,
    sumOfSquares: () => exports.sumOfSquares(weights, gradients, count, Number(keepZeros)),
    putAside() {
      if (!accumulates) throw new Error("internal: parameters were opened without a place for gradients put aside");
      exports.add(aside, gradients, count);
    },
    gather() {
      exports.add(gradients, aside, count);
      view(4).fill(0);
    },
    update({ learningRate, beta1, beta2, epsilon, weightDecay, step, scale }) {
      const rate = learningRate / (1 - beta1 ** step);
      const correction = 1 / (1 - beta2 ** step);
      const numbers = [scale, rate, beta1, beta2, correction, epsilon, learningRate * weightDecay];
      exports.update(weights, gradients, first, second, count, Number(keepZeros), ...numbers);
    },
  };
}

async function loadModule(): Promise<WebAssembly.Module> {
  const file = builtFile("src/train/adamw.wasm");
  if (!existsSync(file)) throw new Error("src/train/wasm is not built; run npm run build");
  return WebAssembly.compile(await readFile(file));
}
