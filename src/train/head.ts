/**
 * The loss against any distribution q over the whole vocabulary, and its gradient, without logits of the whole vocabulary.
 *
 * With t = Σ q(v) W_v, the cross-entropy of q is logsumexp(W·x) − x·t and its gradient E_p[W] − t, for the head's rows W_v and a normed hidden
 * state x. A label y has t = W_y; a teacher with the same head has t = E_teacher[W], which makes the forward KL divergence exact; a mix of both is
 * linear in t. Each part of the vocabulary gives its own softmax and Σ p W, which its share of the whole then weighs.
 */
import type { ModelConfig } from "../checkpoint/config.ts";
import { addNorm } from "../model/decoder.ts";
import { GraphBuilder, type Value } from "../onnx/graph.ts";
import { type Device, type Feeds, float32, type Outputs, openSession, type Session } from "../onnx/session.ts";
import { addGradients } from "./gradients.ts";

/** Hidden states `[rows, hidden]` before the last norm, at the positions that count. */
export interface TrainingHead {
  /** What a teacher leaves for its students: t = E_p[W], and x·t − logsumexp, the negative of its entropy. */
  teach(hidden: Float32Array): Promise<{ expected: Float32Array; negativeEntropy: Float32Array }>;
  /** Σ over rows of logsumexp(W·x) − x·t. */
  loss(hidden: Float32Array, targets: Float32Array): Promise<number>;
  /** The same, and `scale` times its gradient by the hidden states, and by the norm's weight where that is trained. */
  lossAndGradient(
    hidden: Float32Array,
    targets: Float32Array,
    scale: number,
  ): Promise<{ loss: number; gradient: Float32Array; norm?: Float32Array }>;
  release(): Promise<void>;
}

// Larger parts leave the cache, smaller ones make smaller products.
const partTokens = 16_384;
/** Rows that go through together: as many logits lie in memory, 32 MB for each part. */
const batchRows = 512;

/**
 * @param head The head's weight `[vocabulary, hidden]`; not copied.
 * @param norm The last norm's weight, what it multiplies by; read at each call.
 */
export function openTrainingHead(
  config: ModelConfig,
  head: Float32Array,
  norm: Float32Array,
  { trainsNorm = false, device = "cpu" }: { readonly trainsNorm?: boolean; readonly device?: Device } = {},
): TrainingHead {
  const { hidden_size: size } = config;
  const opened = new Map<string, Promise<Session>>();
  const sessionOf = (name: string, graph: () => Uint8Array) => {
    const session = opened.get(name) ?? openSession(graph(), { device });
    opened.set(name, session);
    return session;
  };
  const dataOf = (outputs: Outputs, name: string) => outputs[name]!.data as Float32Array;

  /** Part by part, so that the logits of one part alone are in memory: logsumexp(W·x) of each row, and E_p[W] if `wantsMean`. */
  const pass = async (x: Float32Array, rows: number, wantsMean: boolean) => {
    const feed = float32(x, [rows, size]);
    const normalizer = new Float64Array(rows).fill(Number.NEGATIVE_INFINITY);
    const expected = wantsMean ? new Float64Array(rows * size) : undefined;
    const session = await sessionOf(wantsMean ? "mean" : "normalizer", () => buildPart(config, wantsMean));
    for (let from = 0; from < config.vocab_size; from += partTokens) {
      const to = Math.min(from + partTokens, config.vocab_size);
      const weight = float32(head.subarray(from * size, to * size), [to - from, size]);
      const outputs = await session.run({ x: feed, weight });
      const own = dataOf(outputs, "normalizer");
      const mean = expected && dataOf(outputs, "mean");
      for (let row = 0; row < rows; row++) {
        const [before, now] = [normalizer[row]!, own[row]!];
        const peak = Math.max(before, now);
        const after = peak + Math.log(Math.exp(before - peak) + Math.exp(now - peak));
        normalizer[row] = after;
        if (!expected) continue;
        const [kept, added] = [Math.exp(before - after), Math.exp(now - after)];
        for (let at = row * size; at < (row + 1) * size; at++) expected[at] = kept * expected[at]! + added * mean![at]!;
      }
    }
    return { normalizer, expected };
  };
  /** In batches of rows: the normed hidden states, and what a pass says of them. */
  const run = async (
    hidden: Float32Array,
    wantsMean: boolean,
    each: (batch: {
      readonly from: number;
      readonly rows: number;
      readonly feeds: Feeds;
      readonly x: Float32Array;
      readonly normalizer: Float64Array;
      readonly expected: Float64Array | undefined;
    }) => Promise<void> | void,
  ) => {
    const session = await sessionOf("norm", () => buildNorm(config));
    const total = hidden.length / size;
    for (let from = 0; from < total; from += batchRows) {
      const rows = Math.min(batchRows, total - from);
      const own = hidden.subarray(from * size, (from + rows) * size);
      const feeds = { norm: float32(norm, [size]), hidden: float32(own, [rows, size]) };
      const x = dataOf(await session.run(feeds), "x");
      await each({ from, rows, feeds, x, ...(await pass(x, rows, wantsMean)) });
    }
  };
  const dot = (x: Float32Array, row: number, other: ArrayLike<number>, otherRow: number) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += x[row * size + i]! * other[otherRow * size + i]!;
    return sum;
  };
  const lossOf = (x: Float32Array, normalizer: Float64Array, targets: Float32Array, from: number) =>
    normalizer.reduce((sum, own, row) => sum + own - dot(x, row, targets, from + row), 0);
  return {
    async teach(hidden) {
      const all = new Float32Array(hidden.length);
      const negativeEntropy = new Float32Array(hidden.length / size);
      await run(hidden, true, ({ from, x, normalizer, expected }) => {
        all.set(expected!, from * size);
        for (const [row, own] of normalizer.entries()) negativeEntropy[from + row] = dot(x, row, expected!, row) - own;
      });
      return { expected: all, negativeEntropy };
    },
    async loss(hidden, targets) {
      let loss = 0;
      await run(hidden, false, ({ from, x, normalizer }) => {
        loss += lossOf(x, normalizer, targets, from);
      });
      return loss;
    },
    async lossAndGradient(hidden, targets, scale) {
      let loss = 0;
      const gradient = new Float32Array(hidden.length);
      const normGradient = trainsNorm ? new Float32Array(size) : undefined;
      const session = await sessionOf("gradient", () =>
        buildNorm(config, trainsNorm ? ["hidden", "norm"] : ["hidden"]),
      );
      await run(hidden, true, async ({ from, rows, feeds, x, normalizer, expected }) => {
        loss += lossOf(x, normalizer, targets, from);
        const seed = new Float32Array(rows * size);
        for (let i = 0; i < seed.length; i++) seed[i] = scale * (expected![i]! - targets[from * size + i]!);
        const outputs = await session.run({ ...feeds, seed: float32(seed, [rows, size]) });
        gradient.set(dataOf(outputs, "gradient.hidden"), from * size);
        if (normGradient)
          for (const [i, value] of dataOf(outputs, "gradient.norm").entries()) normGradient[i]! += value;
      });
      return { loss, gradient, ...(normGradient && { norm: normGradient }) };
    },
    async release() {
      for (const session of opened.values()) await (await session).release();
    },
  };
}

/** The last norm: `x` of `hidden`; with `wrt`, the gradients of these, from `seed`, that of `x`, instead. */
function buildNorm(config: ModelConfig, wrt: readonly Value[] = []): Uint8Array {
  const graph = new GraphBuilder(new Map(), "");
  const shape = ["rows", config.hidden_size];
  const x = addNorm(
    graph,
    config,
    graph.input("hidden", "float32", shape),
    graph.input("norm", "float32", [config.hidden_size]),
  );
  if (wrt.length === 0) graph.output("x", x, "float32", shape);
  else {
    const gradients = addGradients(graph, new Map([[x, graph.input("seed", "float32", shape)]]), wrt);
    for (const [value, gradient] of gradients) graph.output(`gradient.${value}`, gradient, "float32", ["…"]);
  }
  return graph.encode("head-norm");
}

/** One part of the vocabulary, `weight` `[tokens, hidden]`: the logsumexp of its logits, and their softmax's mean of the weight's rows. */
function buildPart({ hidden_size: size }: ModelConfig, wantsMean: boolean): Uint8Array {
  const graph = new GraphBuilder(new Map(), "");
  const x = graph.input("x", "float32", ["rows", size]);
  const weight = graph.input("weight", "float32", ["tokens", size]);
  const highest = (value: Value) => graph.op("ReduceMax", [value, graph.ints(1)]);
  const logits = graph.op("Gemm", [x, weight], { transB: 1 });
  const shares = graph.op("Softmax", [logits], { axis: 1 });
  // The highest logit's share is 1 / Σ exp(logit − highest).
  const normalizer = graph.op("Sub", [highest(logits), graph.op("Log", [highest(shares)])]);
  graph.output("normalizer", graph.reshape(normalizer, -1), "float32", ["rows"]);
  if (wantsMean) graph.output("mean", graph.op("Gemm", [shares, weight]), "float32", ["rows", size]);
  return graph.encode("head-part");
}
