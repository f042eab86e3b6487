/** The only import of onnxruntime-node: open a session on a graph and the weights beside it, and make its tensors. */
import { createRequire } from "node:module";
import type * as ort from "onnxruntime-node";
import { throwIfInterrupted } from "../base/interrupted.ts";
import { threadCount } from "../base/threads.ts";
import { messageOf, PrunelabError } from "../errors.ts";

const require = createRequire(import.meta.url);

/** Loaded when it is first used: it takes longer than all of this library. */
const runtime = (): typeof ort => require("onnxruntime-node");

export type Feeds = Record<string, ort.Tensor>;
export type Session = ort.InferenceSession;
/** By name. */
export type Outputs = ort.InferenceSession.OnnxValueMapType;

/** Where a graph can run, by ONNX Runtime's name of the execution provider, and what that needs. */
const devices = {
  cpu: "a CPU",
  webgpu: "a GPU with a Vulkan, Metal or Direct3D 12 driver",
  cuda: "Linux, an NVIDIA GPU with CUDA, and onnxruntime-node installed with its CUDA files",
  dml: "Windows and a GPU with Direct3D 12",
  coreml: "macOS",
} as const;

export type Device = keyof typeof devices;
export const deviceNames = Object.keys(devices) as Device[];

/** @throws PrunelabError if the device is unknown, whether it is there or not. */
export function checkDevice(device: string): asserts device is Device {
  if (Object.hasOwn(devices, device)) return;
  throw new PrunelabError(`unknown device: ${device}; choose one of ${deviceNames.join(", ")}`);
}

export interface SessionOptions {
  /** Holds the graph's external data file, which is mapped into memory; a graph without one needs none. */
  readonly folder?: string | undefined;
  readonly device?: Device;
  /** Beginning of the path of a trace of every operation, which the session's `endProfiling` writes. */
  readonly profileTo?: string;
}

/**
 * Opens a graph, which has no bfloat16 or float16 in it: ONNX Runtime's CPU kernels have no matrix product of those on x86. What another device
 * cannot run falls to the CPU.
 *
 * @throws PrunelabError if the device is unknown or not there.
 */
export async function openSession(
  graph: Uint8Array,
  { folder, device = "cpu", profileTo }: SessionOptions = {},
): Promise<Session> {
  checkDevice(device);
  // By default CUDA rounds the factors of products to 10 bits, which moves log-likelihoods by up to 0.03; the runtime's binding takes no
  // option for it.
  if (device === "cuda") process.env.NVIDIA_TF32_OVERRIDE ??= "0";
  try {
    // The runtime passes over a provider that its platform lacks without a word.
    if (
      !runtime()
        .listSupportedBackends()
        .some(({ name }) => name === device)
    )
      throw new Error(`not on ${process.platform}`);
    const session = await runtime().InferenceSession.create(graph, {
      executionProviders: device === "cpu" ? ["cpu"] : [device, "cpu"],
      intraOpNumThreads: threadCount(),
      logSeverityLevel: 3,
      ...(profileTo === undefined ? {} : { enableProfiling: true, profileFilePrefix: profileTo }),
      ...(folder === undefined ? {} : { extra: { session: { model_external_initializers_file_folder_path: folder } } }),
    });
    return stoppable(session);
  } catch (error) {
    if (device === "cpu") throw error;
    throw new PrunelabError(
      `device is not there: ${device}: ${messageOf(error)}; it needs ${devices[device]}; choose cpu instead`,
    );
  }
}

/** Each run first looks whether the user of a notebook has stopped the cell. */
function stoppable(session: Session): Session {
  const run = session.run.bind(session) as (...args: unknown[]) => Promise<Outputs>;
  return Object.assign(session, {
    run: async (...args: unknown[]) => {
      throwIfInterrupted();
      return run(...args);
    },
  });
}

export function int64(values: readonly number[] | BigInt64Array, shape: readonly number[]): ort.Tensor {
  const data = values instanceof BigInt64Array ? values : BigInt64Array.from(values, BigInt);
  return new (runtime().Tensor)("int64", data, shape);
}

export function float32(values: Float32Array, shape: readonly number[]): ort.Tensor {
  return new (runtime().Tensor)("float32", values, shape);
}

export function float64(values: Float64Array, shape: readonly number[]): ort.Tensor {
  return new (runtime().Tensor)("float64", values, shape);
}

/** A tensor without elements. */
export function empty(type: "float32" | "float16", shape: readonly number[]): ort.Tensor {
  const none = type === "float32" ? new Float32Array(0) : new Uint16Array(0);
  return new (runtime().Tensor)(type, none as Float32Array, shape);
}
