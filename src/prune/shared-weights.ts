/** Weights in memory that threads share, and the selection that runs on them: the caller's side of `wasm/select.ts`. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { threadCount } from "../base/threads.ts";
import { elementCount, type Tensor, type TensorInfo } from "../checkpoint/tensor.ts";
import { PrunelabError } from "../errors.ts";
import type { PruningPlan } from "./options.ts";
import { taskOf } from "./task.ts";
import { callOnThreads } from "./threads.ts";

/** Tensors whose data the caller fills in and reads; all work on them is in place. */
export interface SharedWeights {
  readonly tensors: readonly Tensor[];
  /** Zeros of each tensor, -0 too. */
  countZeros(): Promise<number[]>;
  /** Zeroes what the plan says, in each tensor, or in all together where its pattern is `"global"`. */
  prune(plan: PruningPlan): Promise<void>;
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
} as const;
const columns = 12;
const blockLength = 1024;
const binsLength = 65536;

/** Room for tensors, all zero. Throws a PrunelabError where one is too large (2^31 weights or so). */
export async function allocateWeights(
  infos: readonly TensorInfo[],
  options: AllocateOptions = {},
): Promise<SharedWeights> {
  const module = await loadModule();
  const total = infos.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const { memoryBytes = defaultMemoryBytes, threads = total < weightsWorthThreads ? 1 : threadCount() } = options;
  const groups: TensorInfo[][] = [];
  let room = 0;
  for (const info of infos) {
    const bytes = 2 * elementCount(info.shape);
    if (groups.length === 0 || bytes > room) {
      groups.push([]);
      room = memoryBytes;
    }
    groups.at(-1)!.push(info);
    room -= bytes;
  }
  const parts = groups.map((group) => allocatePart(module, group, threads));
  return {
    tensors: parts.flatMap(({ tensors }) => tensors),
    countZeros: async () => {
      for (const part of parts) await part.call("countZerosEach");
      return parts.flatMap(({ tensors, table }) => tensors.map((_, index) => table[index * columns + column.zeros]!));
    },
    prune: async (plan) => {
      for (const part of parts) writePlan(part, plan);
      if (plan.pattern === "global") await findCommonThreshold(parts, plan);
      for (const part of parts) await part.call(plan.pattern === "global" ? "zeroEach" : "pruneEach");
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

/** Lays out a memory: the counter that hands out tasks, the table, the weights, room for each thread, bins per tensor. */
function allocatePart(module: WebAssembly.Module, infos: readonly TensorInfo[], threads: number): Part {
  let end = 1024; // below lies what the compiler may put there
  const allocate = (bytes: number) => {
    const at = Math.ceil(end / 64) * 64;
    end = at + bytes;
    return at;
  };
  const next = allocate(4);
  const tableAt = allocate(infos.length * columns * 4);
  const weightsAt = infos.map(({ shape }) => allocate(2 * elementCount(shape)));
  const rooms = Array.from({ length: threads }, () => allocate((blockLength + binsLength) * 4));
  const binsAt = infos.map(() => allocate(binsLength * 4));
  if (end > largestMemoryBytes) {
    throw new PrunelabError(
      `tensor is too large to prune: ${infos[0]!.name}: ${elementCount(infos[0]!.shape)} weights; leave it out of scope`,
    );
  }
  const pages = Math.ceil(end / pageBytes);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
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
    threadBins: rooms.map((at) => new Uint32Array(buffer, at + blockLength * 4, binsLength)),
    call: async (name, ...parameters) => {
      counter[0] = 0;
      await callOnThreads(
        { module, memory, name },
        rooms.map((room) => [tableAt, infos.length, next, room, ...parameters]),
      );
    },
  };
}

function writePlan({ tensors, table }: Part, plan: PruningPlan): void {
  for (const [index, tensor] of tensors.entries()) {
    const task = taskOf(tensor, plan);
    const row = index * columns;
    for (const name of ["method", "firstSeed", "secondSeed", "span", "count"] as const) {
      table[row + column[name]] = task[name];
    }
    table[row + column.score] = 0;
    table[row + column.scoreMask] = 0;
  }
}

/** Finds the threshold of all tensors together, digit by digit, and shares out the ties in the tensors' order. */
async function findCommonThreshold(parts: readonly Part[], { method, sparsity }: PruningPlan): Promise<void> {
  const total = parts.reduce((sum, { tensors }) => tensors.reduce((part, { data }) => part + data.length, sum), 0);
  let ties = Math.round(total * sparsity);
  let bin = 0;
  for (const shift of method === "magnitude" ? [16] : [16, 0]) {
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

async function loadModule(): Promise<WebAssembly.Module> {
  // built beside the JavaScript; the sources, when run as they are, use the same build
  const folder = import.meta.url.endsWith(".ts") ? "../../dist/src/prune/" : "./";
  const file = new URL(`${folder}select.wasm`, import.meta.url);
  if (!existsSync(file)) throw new Error("src/prune/wasm is not built; run npm run build");
  return WebAssembly.compile(await readFile(file));
}
