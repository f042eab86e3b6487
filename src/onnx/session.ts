/** The only import of onnxruntime-node: open a session on a graph and the weights beside it, and make its tensors. */
import { availableParallelism } from "node:os";
import * as ort from "onnxruntime-node";

export type Feeds = Record<string, ort.Tensor>;
export type Session = ort.InferenceSession;

/**
 * Opens a graph on the CPU, in float32: ONNX Runtime's CPU kernels have no bfloat16 or float16 matrix product on x86.
 * `folder` holds the graph's external data file, which is mapped into memory; a graph without one needs none.
 */
export async function openSession(graph: Uint8Array, folder?: string): Promise<Session> {
  return await ort.InferenceSession.create(graph, {
    executionProviders: ["cpu"],
    intraOpNumThreads: availableParallelism(),
    logSeverityLevel: 3,
    ...(folder === undefined ? {} : { extra: { session: { model_external_initializers_file_folder_path: folder } } }),
  });
}

export function int64(values: readonly number[], shape: readonly number[]): ort.Tensor {
  return new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
}

export function float32(values: Float32Array, shape: readonly number[]): ort.Tensor {
  return new ort.Tensor("float32", values, shape);
}

export function float64(values: Float64Array, shape: readonly number[]): ort.Tensor {
  return new ort.Tensor("float64", values, shape);
}
