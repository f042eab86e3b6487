/** Prunes on a GPU through WebGPU (the optional package `webgpu`, Dawn's): uploads a piece, selects on the device, downloads it. */
/// <reference types="@webgpu/types" />
import type { Tensor } from "../checkpoint/tensor.ts";
import { blockLength, entryPoints, shader } from "./gpu-shader.ts";
import type { ScoreFactors } from "./importance.ts";
import { type PruningTask, type Selection, taskOf } from "./task.ts";

/** The default WebGPU limit; a tensor with more bytes goes in pieces. */
const defaultPieceBytes = 2 ** 27;
const binsPerSpan = 256;
/** Up to this many weights a span is pruned by comparing each with each; the shader has room for no more. */
const rankedSpan = 16;
/** WebGPU's limit of workgroups in one dimension. */
const largestDispatch = 65_535;
/** Flags as in the WebGPU specification; their global names exist in browsers only. */
const usage = { mapToRead: 0x1, copyFrom: 0x4, copyTo: 0x8, uniform: 0x40, storage: 0x80 } as const;
const stage = { compute: 0x4 } as const;

/** An open device; to be closed by `device.destroy()`. */
export interface Gpu {
  readonly device: GPUDevice;
  readonly kernels: Kernels;
  /** Kept, since Dawn crashes where its root object is collected before a device is done with. */
  readonly implementation: GPU;
}

/** A GPU, or null where the package or an adapter is missing. Software renderers count only if `allowSoftware`. */
export async function openGpu({ allowSoftware }: { readonly allowSoftware: boolean }): Promise<Gpu | null> {
  const webgpu = await import("webgpu").catch(() => null);
  const implementation = webgpu?.create([]);
  const adapter = await implementation?.requestAdapter();
  if (!implementation || !adapter || (adapter.info.isFallbackAdapter && !allowSoftware)) return null;
  const device = await adapter.requestDevice();
  const kernels = await guarded(device, async () => compileKernels(device));
  return { device, kernels, implementation };
}

/** A run of weights of one tensor that is on the device at once. */
interface Piece {
  readonly data: Uint16Array;
  readonly firstIndex: number;
  readonly task: PruningTask;
  readonly columns: number;
}

export interface GpuOptions {
  /** Of a tensor on the device at once. Default 2^27. */
  readonly pieceBytes?: number;
}

/**
 * Zeroes in place what the selection says; scores by factors are of one tensor `[rows, columns]`. Throws where the device is lost or runs out of memory; the tensors then hold some
 * of the zeros that the selection asks for and no others, so that pruning them again by the same one ends as it should.
 */
export async function pruneOnGpu(
  { kernels }: Gpu,
  tensors: readonly Tensor[],
  selection: Selection,
  { pieceBytes = defaultPieceBytes }: GpuOptions = {},
): Promise<void> {
  const filled = tensors.filter(({ data }) => data.length > 0);
  const digits = selection.method === "magnitude" ? 2 : 4; // the lower 16 bits of magnitudes are zero
  const pieceLength = Math.floor(pieceBytes / 2);
  if (selection.pattern === "global") {
    const total = filled.reduce((sum, { data }) => sum + data.length, 0);
    const pieces = filled.flatMap((tensor) => piecesOf(tensor, taskOf(tensor, selection), pieceLength));
    await pruneTogether(kernels, pieces, Math.round(total * selection.sparsity), digits);
    return;
  }
  for (const tensor of filled) {
    const task = taskOf(tensor, selection);
    if (task.span === tensor.data.length) {
      await pruneTogether(kernels, piecesOf(tensor, task, pieceLength), task.count, digits);
      continue;
    }
    // bins take 1 KiB a span, and must fit as well; an even number of spans begins at a whole word
    const spans = Math.min(
      pieceLength / task.span,
      task.span <= rankedSpan ? Infinity : pieceBytes / (4 * binsPerSpan),
    );
    const length = Math.max(2 * Math.floor(spans / 2), 2) * task.span;
    for (const piece of piecesOf(tensor, task, length)) await pruneSpans(kernels, piece, digits);
  }
}

function piecesOf({ data, shape }: Tensor, task: PruningTask, pieceLength: number): Piece[] {
  const length = 2 * Math.floor(pieceLength / 2);
  return Array.from({ length: Math.ceil(data.length / length) }, (_, index) => ({
    data: data.subarray(index * length, (index + 1) * length),
    firstIndex: index * length,
    task,
    columns: shape.at(-1) ?? 1,
  }));
}

/** Zeroes the `count` lowest scores of all pieces together. */
async function pruneTogether(kernels: Kernels, pieces: readonly Piece[], count: number, digits: number): Promise<void> {
  const spans = kernels.createSpans([count]);
  const zeroing = ["countTies", "shareTies", "zeroBelow"] as const;
  const run = (piece: Piece, names: readonly EntryPoint[], download: boolean) =>
    kernels.run(piece, piece.data.length, spans, names, download);
  if (pieces.length === 1) await run(pieces[0]!, [...countingOf(digits), ...zeroing], true);
  else {
    for (let digit = 0; digit < digits; digit++) {
      for (const piece of pieces) {
        await run(piece, piece === pieces.at(-1) ? ["countDigits", "pickBin"] : ["countDigits"], false);
      }
    }
    for (const piece of pieces) await run(piece, zeroing, true);
  }
  spans.destroy();
}

/** Zeroes the lowest scores of each span of a piece. */
async function pruneSpans(kernels: Kernels, piece: Piece, digits: number): Promise<void> {
  const { span, count } = piece.task;
  const byRank = span <= rankedSpan;
  const spans = kernels.createSpans(byRank ? [0] : new Array(piece.data.length / span).fill(count));
  const names = byRank
    ? (["zeroByRank"] as const)
    : ([...countingOf(digits), "countTies", "shareTies", "zeroBelow"] as const);
  await kernels.run(piece, span, spans, names, true);
  spans.destroy();
}

type EntryPoint = keyof typeof entryPoints;

function countingOf(digits: number): EntryPoint[] {
  return Array.from({ length: digits }, () => ["countDigits", "pickBin"] as const).flat();
}

/** What the device knows of each span: the state of its selection, and 256 bins. */
interface Spans {
  readonly selections: GPUBuffer;
  readonly bins: GPUBuffer;
  destroy(): void;
}

interface Kernels {
  /** One span for each number of weights that are to go. */
  createSpans(counts: readonly number[]): Spans;
  /** Runs entry points on a piece, in order, and, where asked, copies the weights back once all has gone well. */
  run(piece: Piece, span: number, spans: Spans, names: readonly EntryPoint[], download: boolean): Promise<void>;
}

function compileKernels(device: GPUDevice): Kernels {
  const module = device.createShaderModule({ code: shader });
  const bindGroupLayout = device.createBindGroupLayout({
    entries: (["uniform", "storage", "storage", "storage", "storage", "read-only-storage"] as const).map(
      (type, binding) => ({ binding, visibility: stage.compute, buffer: { type } }),
    ),
  });
  const layout = device.createPipelineLayout({ bindGroupLayouts: [bindGroupLayout] });
  const pipelineOf = (entryPoint: string) => device.createComputePipeline({ layout, compute: { module, entryPoint } });
  const pipelines = Object.fromEntries(Object.keys(entryPoints).map((name) => [name, pipelineOf(name)]));

  const createBuffer = (size: number) =>
    device.createBuffer({ size, usage: usage.storage | usage.uniform | usage.copyTo | usage.copyFrom });
  const bufferOf = (numbers: Uint32Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer>) => {
    const buffer = createBuffer(numbers.byteLength);
    device.queue.writeBuffer(buffer, 0, numbers);
    return buffer;
  };

  return {
    createSpans: (counts) => {
      const selections = bufferOf(Uint32Array.from(counts.flatMap((count) => [0, 0, 24, count, 0])));
      const bins = createBuffer(4 * binsPerSpan * counts.length);
      const destroy = () => [selections, bins].forEach((buffer) => void buffer.destroy());
      return { selections, bins, destroy };
    },
    run: async ({ data, firstIndex, task, columns }, span, { selections, bins }, names, download) => {
      const spans = data.length / span;
      const blocksPerSpan = Math.ceil(span / blockLength);
      const blocks = spans * blocksPerSpan;
      const words = new Uint16Array(2 * Math.ceil(data.length / 2));
      words.set(data);
      const { method, count, firstSeed, secondSeed } = task;
      const numbers = [span, spans, blocksPerSpan, count, method, firstIndex, firstSeed, secondSeed, columns];
      await guarded(device, async () => {
        const weights = bufferOf(words);
        const parameters = bufferOf(Uint32Array.from(numbers));
        const tiesBefore = createBuffer(4 * blocks);
        const factors = bufferOf(joinFactors(task.factors));
        const bindGroup = device.createBindGroup({
          layout: bindGroupLayout,
          entries: [parameters, weights, selections, bins, tiesBefore, factors].map((buffer, binding) => ({
            binding,
            resource: { buffer },
          })),
        });
        const encoder = device.createCommandEncoder();
        for (const name of names) {
          const groups = entryPoints[name] === "blocks" ? blocks : Math.ceil(spans / 64);
          const rows = Math.ceil(groups / largestDispatch);
          const pass = encoder.beginComputePass();
          pass.setPipeline(pipelines[name]!);
          pass.setBindGroup(0, bindGroup);
          pass.dispatchWorkgroups(Math.ceil(groups / rows), rows);
          pass.end();
        }
        const target = device.createBuffer({ size: words.byteLength, usage: usage.mapToRead | usage.copyTo });
        if (download) encoder.copyBufferToBuffer(weights, 0, target, 0, words.byteLength);
        device.queue.submit([encoder.finish()]);
        await target.mapAsync(usage.mapToRead);
        words.set(new Uint16Array(target.getMappedRange()));
        for (const buffer of [weights, parameters, tiesBefore, factors, target]) buffer.destroy();
      });
      if (download) data.set(words.subarray(0, data.length));
    },
  };
}

/** As the shader reads them; one number where it reads none, since no buffer is empty. */
function joinFactors(factors: ScoreFactors | undefined): Float32Array<ArrayBuffer> {
  if (!factors) return new Float32Array(1);
  return Float32Array.from([...factors.columns, ...factors.columnShares, ...factors.rowShares]);
}

/** Runs work on the device and throws the first error that it caused there: WebGPU itself tells of them only when asked. */
async function guarded<Result>(device: GPUDevice, work: () => Promise<Result>): Promise<Result> {
  const filters = ["validation", "out-of-memory", "internal"] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  const [outcome] = await Promise.allSettled([work()]);
  const errors = await Promise.all(filters.map(() => device.popErrorScope()));
  const error = errors.find((error) => error !== null);
  if (error) throw new Error(error.message);
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}
