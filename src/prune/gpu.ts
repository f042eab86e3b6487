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

/** A GPU, or null where the package or an adapter is missing; throws where it fails. Software renderers count only if `allowSoftware`. */
export async function openGpu({ allowSoftware }: { readonly allowSoftware: boolean }): Promise<Gpu | null> {
  const webgpu = await import("webgpu").catch(() => null);
  const implementation = webgpu?.create([]);
  const adapter = await implementation?.requestAdapter();
  if (!implementation || !adapter || (adapter.info.isFallbackAdapter && !allowSoftware)) return null;
  const device = await adapter.requestDevice();
  try {
    const kernels = await guarded(device, async () => compileKernels(device));
    return { device, kernels, implementation };
  } catch (error) {
    device.destroy();
    throw error;
  }
}

/** A run of weights of one tensor that is on the device as one buffer. */
interface Piece {
  readonly data: Uint16Array;
  readonly firstIndex: number;
  readonly task: PruningTask;
  readonly columns: number;
}

/** Spans of weights that are selected from each for itself: many in one piece, or one that takes several pieces. */
interface Job {
  readonly pieces: readonly Piece[];
  /** Weights of a span, in each piece. */
  readonly spanIn: (piece: Piece) => number;
  /** How many are to go from each span. */
  readonly counts: readonly number[];
  readonly steps: readonly Step[];
}

/** Entry points that run on a piece, in order. */
interface Step {
  readonly piece: Piece;
  readonly names: readonly EntryPoint[];
}

type EntryPoint = keyof typeof entryPoints;

export interface GpuOptions {
  /** Of a tensor in one buffer; twice as many are on the device at once. Default 2^27. */
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
  const atOnce = 2 * pieceBytes;
  let group: Job[] = [];
  for (const job of jobsOf(tensors, selection, pieceBytes)) {
    if (group.length > 0 && bytesOf([...group, job]) > atOnce) {
      await pruneGroup(kernels, group, atOnce);
      group = [];
    }
    group.push(job);
  }
  await pruneGroup(kernels, group, atOnce);
}

function* jobsOf(tensors: readonly Tensor[], selection: Selection, pieceBytes: number): Generator<Job> {
  const filled = tensors.filter(({ data }) => data.length > 0);
  const digits = selection.method === "magnitude" ? 2 : 4; // the lower 16 bits of magnitudes are zero
  const pieceLength = Math.floor(pieceBytes / 2);
  if (selection.pattern === "global") {
    const total = filled.reduce((sum, { data }) => sum + data.length, 0);
    const pieces = filled.flatMap((tensor) => piecesOf(tensor, taskOf(tensor, selection), pieceLength));
    yield together(pieces, Math.round(total * selection.sparsity), digits);
    return;
  }
  for (const tensor of filled) {
    const task = taskOf(tensor, selection);
    if (task.span === tensor.data.length) {
      yield together(piecesOf(tensor, task, pieceLength), task.count, digits);
      continue;
    }
    // bins take 1 KiB a span, and must fit as well; an even number of spans begins at a whole word
    const spans = Math.min(
      pieceLength / task.span,
      task.span <= rankedSpan ? Infinity : pieceBytes / (4 * binsPerSpan),
    );
    const length = Math.max(2 * Math.floor(spans / 2), 2) * task.span;
    for (const piece of piecesOf(tensor, task, length)) yield spanBySpan(piece, digits);
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

const zeroing = ["countTies", "shareTies", "zeroBelow"] as const;

/** Zeroes the `count` lowest scores of all pieces together. */
function together(pieces: readonly Piece[], count: number, digits: number): Job {
  const last = pieces.at(-1);
  const counting = pieces.map(
    (piece): Step => ({ piece, names: ["countDigits", ...(piece === last ? ["pickBin" as const] : [])] }),
  );
  const steps = [...new Array(digits).fill(counting).flat(), ...pieces.map((piece) => ({ piece, names: zeroing }))];
  return { pieces, spanIn: ({ data }) => data.length, counts: [count], steps };
}

/** Zeroes the lowest scores of each span of a piece. */
function spanBySpan(piece: Piece, digits: number): Job {
  const { span, count } = piece.task;
  const byRank = span <= rankedSpan;
  const counting = new Array(digits).fill(["countDigits", "pickBin"]).flat();
  return {
    pieces: [piece],
    spanIn: () => span,
    counts: byRank ? [0] : new Array(piece.data.length / span).fill(count),
    steps: [{ piece, names: byRank ? ["zeroByRank"] : [...counting, ...zeroing] }],
  };
}

function bytesOf(jobs: readonly Job[]): number {
  return jobs.flatMap(({ pieces }) => pieces).reduce((sum, { data }) => sum + data.byteLength, 0);
}

/** Runs jobs at once, so that they wait for the device once; one that is too large for that goes piece by piece. */
async function pruneGroup(kernels: Kernels, jobs: readonly Job[], atOnce: number): Promise<void> {
  const spans = jobs.map(({ counts }) => kernels.createSpans(counts));
  const steps = jobs.flatMap((job, index) =>
    job.steps.map((step) => ({ ...step, span: job.spanIn(step.piece), spans: spans[index]! })),
  );
  for (const visit of bytesOf(jobs) > atOnce ? steps.map((step) => [step]) : [steps]) await kernels.run(visit);
  for (const each of spans) each.destroy();
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
  /** Uploads the pieces, runs the steps in order, and once all has gone well copies back the weights that steps have zeroed. */
  run(steps: readonly (Step & { readonly span: number; readonly spans: Spans })[]): Promise<void>;
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
  const bufferOf = (numbers: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>) => {
    const buffer = createBuffer(numbers.byteLength);
    device.queue.writeBuffer(buffer, 0, numbers);
    return buffer;
  };

  /** The weights of a piece on the device, and what the shader reads and writes beside them. */
  const upload = ({ data, firstIndex, task, columns }: Piece, span: number, { selections, bins }: Spans) => {
    const spans = data.length / span;
    const blocksPerSpan = Math.ceil(span / blockLength);
    const blocks = spans * blocksPerSpan;
    const { method, count, firstSeed, secondSeed } = task;
    const numbers = [span, spans, blocksPerSpan, count, method, firstIndex, firstSeed, secondSeed, columns];
    const weights = device.createBuffer({
      size: 4 * Math.ceil(data.length / 2),
      usage: usage.storage | usage.copyFrom,
      mappedAtCreation: true,
    });
    new Uint16Array(weights.getMappedRange()).set(data);
    weights.unmap();
    const own = [bufferOf(Uint32Array.from(numbers)), createBuffer(4 * blocks), bufferOf(joinFactors(task.factors))];
    const [parameters, tiesBefore, factors] = own;
    const bindGroup = device.createBindGroup({
      layout: bindGroupLayout,
      entries: [parameters!, weights, selections, bins, tiesBefore!, factors!].map((buffer, binding) => ({
        binding,
        resource: { buffer },
      })),
    });
    return { data, spans, blocks, weights, bindGroup, buffers: [weights, ...own] };
  };

  return {
    createSpans: (counts) => {
      const selections = bufferOf(Uint32Array.from(counts.flatMap((count) => [0, 0, 24, count, 0])));
      const bins = createBuffer(4 * binsPerSpan * counts.length);
      const destroy = () => [selections, bins].forEach((buffer) => void buffer.destroy());
      return { selections, bins, destroy };
    },
    run: async (steps) => {
      const uploaded = new Map<Piece, ReturnType<typeof upload>>();
      const zeroed = new Map<Piece, GPUBuffer>();
      await guarded(device, async () => {
        for (const { piece, span, spans } of steps) {
          if (!uploaded.has(piece)) uploaded.set(piece, upload(piece, span, spans));
        }
        const encoder = device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        for (const { piece, names } of steps) {
          const { spans, blocks, bindGroup } = uploaded.get(piece)!;
          pass.setBindGroup(0, bindGroup);
          for (const name of names) {
            const groups = entryPoints[name] === "blocks" ? blocks : Math.ceil(spans / 64);
            const rows = Math.ceil(groups / largestDispatch);
            pass.setPipeline(pipelines[name]!);
            pass.dispatchWorkgroups(Math.ceil(groups / rows), rows);
          }
        }
        pass.end();
        for (const { piece, names } of steps) {
          if (!names.some((name) => name.startsWith("zero"))) continue;
          const { weights } = uploaded.get(piece)!;
          const target = device.createBuffer({ size: weights.size, usage: usage.mapToRead | usage.copyTo });
          encoder.copyBufferToBuffer(weights, 0, target, 0, weights.size);
          zeroed.set(piece, target);
        }
        device.queue.submit([encoder.finish()]);
        const mapped = [...zeroed.values()].map((target) => target.mapAsync(usage.mapToRead));
        await Promise.all([device.queue.onSubmittedWorkDone(), ...mapped]);
      });
      for (const [{ data }, target] of zeroed) {
        data.set(new Uint16Array(target.getMappedRange()).subarray(0, data.length));
        target.destroy();
      }
      for (const { buffers } of uploaded.values()) for (const buffer of buffers) buffer.destroy();
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
