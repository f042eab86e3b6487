/** A tensor: its name, shape and bfloat16 bits. */
/** Name and shape of a tensor of a checkpoint, in Hugging Face's names. */
export interface TensorInfo {
  readonly name: string;
  /** Outermost dimension first: `[out, in]` for a linear layer. */
  readonly shape: readonly number[];
}

/** A tensor in memory: bfloat16 bits, row-major. */
export interface Tensor extends TensorInfo {
  readonly data: Uint16Array;
}

/** The number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

/** The number of weights of a checkpoint, or of some of its tensors. */
export function weightCount(tensors: Iterable<Pick<TensorInfo, "shape">>): number {
  let count = 0;
  for (const { shape } of tensors) count += elementCount(shape);
  return count;
}
