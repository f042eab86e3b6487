/** Selects the least important weights and zeroes them: the caller's side of `wasm/select.ts`, by which every method selects. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { threadCount } from "../base/threads.ts";
import { elementCount, type Tensor, type TensorInfo, weightCount } from "../checkpoint/tensor.ts";
import { PrunelabError } from "../errors.ts";
import { callOnThreads } from "./threads.ts";

/** The lowest are looked for in the whole tensor, in each row, or among every `of` consecutive weights. */
export type SpanPattern = "tensor" | "row" | { readonly zeros: number; readonly of: number };

/** Scores that the WebAssembly computes from weights alone, by its own numbers. */
export const kernels = { magnitude: 0, random: 1 } as const;
const given = 2;

/** Which weights go, by a score that needs the weights alone. */
export interface Selection {
  readonly kernel: keyof typeof kernels;
  readonly pattern: SpanPattern | "global";
  readonly sparsity: number;
  readonly seed: number;
}

/** Tensors whose data the caller fills in and reads; all work on them is in place. */
export interface SharedWeights {
  readonly tensors: readonly Tensor[];
  /** Zeros of each tensor, -0 too. */
  countZeros(): Promise<number[]>;
  /** Zeroes the selected weights, in each tensor, or in all together if the pattern is `"global"`. */
  prune(selection: Selection): Promise<void>;
}

export interface AllocateOptions {
  /** Of weights in one WebAssembly memory, unless a single tensor needs more. Default 1 GiB. */
  readonly memoryBytes?: number;
  /** Default: one per core, and one alone for few weights. */
  readonly threads?: number;
}

/** A WebAssembly memory ends at 4 GiB; several smaller ones are found more easily than one large. */
const defaultMemoryBytes = 2 ** 30;
const largestMemoryBytes = 2 ** 32;
const pageBytes = 65536;
/** Fewer weights than this are done before a thread has started. */
const weightsWorthThreads = 2 ** 20;

/** Columns of the table of tasks, all u32: the fields of `Task` in `wasm/select.ts`. */
const column = {
  weights: 0,
  length: 1,
  method: 2,
  firstSeed: 3,
  secondSeed: 4,
  span: 5,
  count: 6,
  score: 7,
  scoreMask: 8,
  ties: 9,
  bins: 10,
  zeros: 11,
  scores: 12,
} as const;
const columns = 13;
const blockLength = 1024;
const binsLength = 65536;

/**
 * Zeroes the weights of a `[rows, columns]` tensor that have the lowest scores, in place: exactly so many of each span, of equal scores
 * those at lower indices. `scores` are not negative; a NaN counts as the highest.
 */
export function zeroLowest(
  weights: Float32Array,
  scores: Float32Array,
  columns: number,
  pattern: SpanPattern,
  sparsity: number,
): void {
  const { table, kept, given, run } = scorerFor(weights.length);
  given.set(scores);
  kept.fill(1, 0, weights.length);
  table[column.length] = weights.length;
  table[column.span] = spanOf(pattern, columns, weights.length);
  table[column.count] = countOf(pattern, table[column.span]!, sparsity);
  run();
  for (let index = 0; index < weights.length; index++) if (kept[index] === 0) weights[index] = 0;
}

/** A memory for one tensor's scores. */
interface Scorer {
  readonly length: number;
  readonly table: Uint32Array;
  readonly given: Float32Array;
  /** 0 at the weights that go. */
  readonly kept: Uint16Array;
  run(): void;
}

/** Kept from call to call, for as many scores as any has had. */
let scorer: Scorer | undefined;

function scorerFor(length: number): Scorer {
  if (scorer && scorer.length >= length) return scorer;
  const memory = layOut();
  const [next, tableAt] = [memory.allocate(4), memory.allocate(columns * 4)];
  const [scoresAt, keptAt] = [memory.allocate(4 * length), memory.allocate(2 * length)];
  const scratch = memory.allocate((blockLength + binsLength) * 4);
  const shared = memory.create(`${length} weights`, length);
  const { buffer } = shared;
  const { exports } = new WebAssembly.Instance(loadModule(), { env: { memory: shared } });
  const table = new Uint32Array(buffer, tableAt, columns);
  table[column.weights] = keptAt;
  table[column.scores] = scoresAt;
  table[column.method] = given;
  const counter = new Uint32Array(buffer, next, 1);
  scorer = {
    length,
    table,
    given: new Float32Array(buffer, scoresAt, length),
    kept: new Uint16Array(buffer, keptAt, length),
    run: () => {
      counter[0] = 0;
      exports.pruneEach!(tableAt, 1, next, scratch);
    },
  };
  return scorer;
}

function spanOf(pattern: Selection["pattern"], columns: number, length: number): number {
  return typeof pattern === "object" ? pattern.of : pattern === "row" ? columns : length;
}

function countOf(pattern: Selection["pattern"], span: number, sparsity: number): number {
  return typeof pattern === "object" ? pattern.zeros : Math.round(span * sparsity);
}

/** Memory for tensors, all zero. Throws a PrunelabError if one is too large (2^31 weights or so). */
export async function allocateWeights(
  infos: readonly TensorInfo[],
  options: AllocateOptions = {},
): Promise<SharedWeights> {
  const module = loadModule();
  const total = weightCount(infos);
  const { memoryBytes = defaultMemoryBytes, threads = total < weightsWorthThreads ? 1 : threadCount() } = options;
  const groups: TensorInfo[][] = [];
  let left = 0;
  for (const info of infos) {
    const bytes = 2 * elementCount(info.shape);
    if (groups.length === 0 || bytes > left) {
      groups.push([]);
      left = memoryBytes;
    }
    groups.at(-1)!.push(info);
    left -= bytes;
  }
  const parts = groups.map((group) => allocatePart(module, group, threads));
  return {
    tensors: parts.flatMap(({ tensors }) => tensors),
    countZeros: async () => {
      for (const part of parts) await part.call("countZerosEach");
      return parts.flatMap(({ tensors, table }) => tensors.map((_, index) => table[index * columns + column.zeros]!));
    },
    prune: async (selection) => {
      for (const part of parts) writeTasks(part, selection);
      if (selection.pattern === "global") await findCommonThreshold(parts, selection);
      for (const part of parts) await part.call(selection.pattern === "global" ? "zeroEach" : "pruneEach");
    },
  };
}

/** One memory, with the tensors in it. */
interface Part {
  readonly tensors: readonly Tensor[];
  /** A row of `columns` numbers per tensor. */
  readonly table: Uint32Array;
  readonly bins: readonly Uint32Array[];
  readonly threadBins: readonly Uint32Array[];
  /** Runs an export of `wasm/select.ts` on all threads. */
  call(name: string, ...parameters: number[]): Promise<void>;
}

/** Lays out a memory: the counter that hands out tasks, the table, the weights, scratch for each thread, bins per tensor. */
function allocatePart(module: WebAssembly.Module, infos: readonly TensorInfo[], threads: number): Part {
  const { allocate, create } = layOut();
  const next = allocate(4);
  const tableAt = allocate(infos.length * columns * 4);
  const weightsAt = infos.map(({ shape }) => allocate(2 * elementCount(shape)));
  const scratches = Array.from({ length: threads }, () => allocate((blockLength + binsLength) * 4));
  const binsAt = infos.map(() => allocate(binsLength * 4));
  const memory = create(infos[0]!.name, elementCount(infos[0]!.shape));
  const { buffer } = memory;
  const table = new Uint32Array(buffer, tableAt, infos.length * columns);
  const counter = new Uint32Array(buffer, next, 1);
  const tensors = infos.map((info, index) => {
    const length = elementCount(info.shape);
    const row = index * columns;
    table[row + column.weights] = weightsAt[index]!;
    table[row + column.length] = length;
    table[row + column.bins] = binsAt[index]!;
    return { ...info, data: new Uint16Array(buffer, weightsAt[index]!, length) };
  });
  return {
    tensors,
    table,
    bins: binsAt.map((at) => new Uint32Array(buffer, at, binsLength)),
    threadBins: scratches.map((at) => new Uint32Array(buffer, at + blockLength * 4, binsLength)),
    call: async (name, ...parameters) => {
      counter[0] = 0;
      await callOnThreads(
        { module, memory, name },
        scratches.map((scratch) => [tableAt, infos.length, next, scratch, ...parameters]),
      );
    },
  };
}

/** Hands out addresses, then makes the memory that they lie in. */
function layOut() {
  let end = 1024; // below lies what the compiler may put there
  return {
    allocate(bytes: number): number {
      const at = Math.ceil(end / 64) * 64;
      end = at + bytes;
      return at;
    },
    create(name: string, weights: number): WebAssembly.Memory {
      if (end > largestMemoryBytes) {
        throw new PrunelabError(`tensor is too large to prune: ${name}: ${weights} weights; leave it out of scope`);
      }
      const pages = Math.ceil(end / pageBytes);
      return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    },
  };
}

function writeTasks({ tensors, table }: Part, { kernel, pattern, sparsity, seed }: Selection): void {
  for (const [index, { name, shape, data }] of tensors.entries()) {
    const task = table.subarray(index * columns, (index + 1) * columns);
    const span = spanOf(pattern, shape.at(-1) ?? data.length, data.length);
    // Two seeds of 32 bits.
    const digest = createHash("sha256").update(`${seed}\0${name}`).digest();
    task[column.method] = kernels[kernel];
    task[column.firstSeed] = digest.readUInt32LE(0);
    task[column.secondSeed] = digest.readUInt32LE(4);
    task[column.span] = span;
    task[column.count] = countOf(pattern, span, sparsity);
    task[column.score] = 0;
    task[column.scoreMask] = 0;
  }
}

/** Finds the threshold of all tensors together, digit by digit, and shares out the ties in the tensors' order. */
async function findCommonThreshold(parts: readonly Part[], { kernel, sparsity }: Selection): Promise<void> {
  const total = parts.reduce((sum, { tensors }) => tensors.reduce((part, { data }) => part + data.length, sum), 0);
  let ties = Math.round(total * sparsity);
  let bin = 0;
  for (const shift of kernel === "magnitude" ? [16] : [16, 0]) {
    for (const part of parts) await part.call("countEach", shift);
    const inBin = (at: number) =>
      parts.reduce((sum, { threadBins }) => threadBins.reduce((part, bins) => part + bins[at]!, sum), 0);
    for (bin = 0; ties > inBin(bin); bin++) ties -= inBin(bin);
    for (const { tensors, table } of parts) {
      for (let row = 0; row < tensors.length * columns; row += columns) {
        table[row + column.score]! |= bin << shift;
        table[row + column.scoreMask]! |= 0xffff << shift;
      }
    }
  }
  for (const { bins, table } of parts) {
    for (const [index, own] of bins.entries()) {
      const given = Math.min(ties, own[bin]!);
      table[index * columns + column.ties] = given;
      ties -= given;
    }
  }
}

let compiled: WebAssembly.Module | undefined;

function loadModule(): WebAssembly.Module {
  if (compiled) return compiled;
  // built beside the JavaScript; the sources, when run as they are, use the same build
  const folder = import.meta.url.endsWith(".ts") ? "../../dist/src/prune/" : "./";
  const file = new URL(`${folder}select.wasm`, import.meta.url);
  if (!existsSync(file)) throw new Error("src/prune/wasm is not built; run npm run build");
  compiled = new WebAssembly.Module(readFileSync(file));
  return compiled;
}
