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
import { type Feeds, float32, type Outputs, openSession, type Session } from "../onnx/session.ts";
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

type Kind = "teach" | "loss" | "gradient";

/**
 * @param head The head's weight `[vocabulary, hidden]`; not copied.
 * @param norm The last norm's weight, what it multiplies by; read at each call.
 */
export function openTrainingHead(
  config: ModelConfig,
  head: Float32Array,
  norm: Float32Array,
  { trainsNorm = false }: { readonly trainsNorm?: boolean } = {},
): TrainingHead {
  const { hidden_size: size } = config;
  const weights: Feeds = {};
  for (const { name, from, to } of parts(config)) {
    weights[name] = float32(head.subarray(from * size, to * size), [to - from, size]);
  }
  const sessions = new Map<Kind, Promise<Session>>();
  const run = async (
    kind: Kind,
    hidden: Float32Array,
    more: (from: number, rows: number) => Feeds,
    each: (outputs: Outputs, from: number) => void,
  ) => {
    const session = sessions.get(kind) ?? openSession(buildHead(config, kind, trainsNorm));
    sessions.set(kind, session);
    const total = hidden.length / size;
    for (let from = 0; from < total; from += batchRows) {
      const rows = Math.min(batchRows, total - from);
      const own = hidden.subarray(from * size, (from + rows) * size);
      const feeds = {
        ...weights,
        norm: float32(norm, [size]),
        hidden: float32(own, [rows, size]),
        ...more(from, rows),
      };
      each(await (await session).run(feeds), from);
    }
  };
  const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0);
  const dataOf = (outputs: Outputs, name: string) => outputs[name]!.data as Float32Array;
  const targetsAt = (targets: Float32Array) => (from: number, rows: number) => ({
    targets: float32(targets.subarray(from * size, (from + rows) * size), [rows, size]),
  });
  return {
    async teach(hidden) {
      const expected = new Float32Array(hidden.length);
      const negativeEntropy = new Float32Array(hidden.length / size);
      await run(
        "teach",
        hidden,
        () => ({}),
        (outputs, from) => {
          expected.set(dataOf(outputs, "expected"), from * size);
          negativeEntropy.set(dataOf(outputs, "negative_entropy"), from);
        },
      );
      return { expected, negativeEntropy };
    },
    async loss(hidden, targets) {
      let loss = 0;
      await run("loss", hidden, targetsAt(targets), (outputs) => {
        loss += sum(dataOf(outputs, "losses"));
      });
      return loss;
    },
    async lossAndGradient(hidden, targets, scale) {
      let loss = 0;
      const gradient = new Float32Array(hidden.length);
      const normGradient = trainsNorm ? new Float32Array(size) : undefined;
      const more = (from: number, rows: number) => ({
        ...targetsAt(targets)(from, rows),
        scale: float32(Float32Array.of(scale), []),
      });
      await run("gradient", hidden, more, (outputs, from) => {
        loss += sum(dataOf(outputs, "losses"));
        gradient.set(dataOf(outputs, "gradient.hidden"), from * size);
        if (normGradient)
          for (const [i, value] of dataOf(outputs, "gradient.norm").entries()) normGradient[i]! += value;
      });
      return { loss, gradient, ...(normGradient && { norm: normGradient }) };
    },
    async release() {
      for (const session of sessions.values()) await (await session).release();
    },
  };
}

function parts({ vocab_size }: ModelConfig) {
  return Array.from({ length: Math.ceil(vocab_size / partTokens) }, (_, part) => {
    const from = part * partTokens;
    return { name: `head.${part}`, from, to: Math.min(from + partTokens, vocab_size) };
  });
}

function buildHead(config: ModelConfig, kind: Kind, trainsNorm: boolean): Uint8Array {
  const graph = new GraphBuilder(new Map(), "");
  const size = config.hidden_size;
  const hidden = graph.input("hidden", "float32", ["rows", size]);
  const norm = graph.input("norm", "float32", [size]);
  const x = addNorm(graph, config, hidden, norm);
  const lastAxis = graph.ints(1);
  const highest = (value: Value) => graph.op("ReduceMax", [value, lastAxis]);
  const dot = (a: Value, b: Value) => graph.op("ReduceSum", [graph.op("Mul", [a, b]), lastAxis]);
  const normalizers: Value[] = [];
  const means: Value[] = [];
  for (const { name, from, to } of parts(config)) {
    const weight = graph.input(name, "float32", [to - from, size]);
    const logits = graph.op("Gemm", [x, weight], { transB: 1 });
    const shares = graph.op("Softmax", [logits], { axis: 1 });
    // The highest logit's share is 1 / Σ exp(logit − highest).
    normalizers.push(graph.op("Sub", [highest(logits), graph.op("Log", [highest(shares)])]));
    if (kind !== "loss") means.push(graph.op("Gemm", [shares, weight]));
  }
  const all = graph.concat(normalizers, 1);
  const peak = highest(all);
  const total = graph.op("ReduceSum", [graph.op("Exp", [graph.op("Sub", [all, peak])]), lastAxis]);
  const normalizer = graph.op("Add", [peak, graph.op("Log", [total])]);
  const weighed = means.map((mean, part) =>
    graph.op("Mul", [mean, graph.op("Exp", [graph.op("Sub", [normalizers[part]!, normalizer])])]),
  );
  const expected = weighed.length > 0 ? weighed.reduce((sum, value) => graph.op("Add", [sum, value])) : undefined;
  const flat = (value: Value) => graph.reshape(value, -1);
  if (kind === "teach") {
    graph.output("expected", expected!, "float32", ["rows", size]);
    graph.output("negative_entropy", flat(graph.op("Sub", [dot(x, expected!), normalizer])), "float32", ["rows"]);
    return graph.encode("head-teach");
  }
  const targets = graph.input("targets", "float32", ["rows", size]);
  graph.output("losses", flat(graph.op("Sub", [normalizer, dot(x, targets)])), "float32", ["rows"]);
  if (kind === "gradient") {
    const scale = graph.input("scale", "float32", []);
    const seed = graph.op("Mul", [graph.op("Sub", [expected!, targets]), scale]);
    const gradients = addGradients(graph, new Map([[x, seed]]), trainsNorm ? [hidden, norm] : [hidden]);
    for (const [value, gradient] of gradients) graph.output(`gradient.${value}`, gradient, "float32", ["…"]);
  }
  return graph.encode(`head-${kind}`);
}
