/** The scoring head as graph operators: hidden states → log-probabilities of chosen tokens, a part of the vocabulary at a time. */
import type { Gemma3Config } from "../checkpoint/config.ts";
import type { GraphBuilder, Value } from "../onnx/graph.ts";
import type { Linear } from "./gemma3-block.ts";

/** A run of token ids, `to` exclusive. */
export interface Part {
  readonly from: number;
  readonly to: number;
  /** The name of the embedding's rows for them. */
  readonly weight: string;
}

// The logits of a part, for some hundred positions, stay in the processor's cache, where those of the whole vocabulary would not.
const partTokens = 16384;

/** The vocabulary in parts. */
export function headParts({ vocab_size }: Pick<Gemma3Config, "vocab_size">): Part[] {
  return Array.from({ length: Math.ceil(vocab_size / partTokens) }, (_, part) => {
    const from = part * partTokens;
    const to = Math.min(from + partTokens, vocab_size);
    return { from, to, weight: `model.embed_tokens.weight[${from}:${to}]` };
  });
}

/**
 * Normed hidden states at the scored positions, and pairs `targets` (int64 `[pairs, 2]`: row, token id) → outputs `logprobs` (float32
 * `[pairs]`) and `greedy` (bool `[pairs]`).
 */
export function addScoreHead(
  graph: GraphBuilder,
  config: Gemma3Config,
  { multiply, x, targets }: { readonly multiply: Linear; readonly x: Value; readonly targets: Value },
): void {
  const flat = (value: Value) => graph.op("Reshape", [value, graph.constant("int64", [-1])]);
  const int = (value: number) => graph.constant("int64", [value], []);
  const column = (index: number) => graph.op("Gather", [targets, int(index)], { axis: 1 });
  const [row, token] = [column(0), column(1)];
  const peaks: Value[] = [];
  const sums: Value[] = [];
  let logit = graph.op("Cast", [graph.op("Mul", [row, int(0)])], { to: 1 });

  for (const { from, to, weight } of headParts(config)) {
    const logits = multiply(x, graph.weight(weight));
    // In two levels: a plain float32 sum over 262,144 values is 2e-4 off, enough to break agreement with lm-eval.
    const [outer, inner] = nearSquare(to - from);
    const grid = graph.op("Reshape", [logits, graph.constant("int64", [-1, outer, inner])]);
    const peak = graph.op("ReduceMax", [grid, graph.constant("int64", [1, 2])]);
    const inward = graph.op("ReduceSum", [
      graph.op("Exp", [graph.op("Sub", [grid, peak])]),
      graph.constant("int64", [2]),
    ]);
    sums.push(
      graph.op("Reshape", [
        graph.op("ReduceSum", [inward, graph.constant("int64", [1])]),
        graph.constant("int64", [-1, 1]),
      ]),
    );
    peaks.push(graph.op("Reshape", [peak, graph.constant("int64", [-1, 1])]));

    const own = graph.op("Sub", [token, int(from)]);
    const isHere = graph.op("And", [
      graph.op("GreaterOrEqual", [own, int(0)]),
      graph.op("Less", [own, int(to - from)]),
    ]);
    const place = graph.op("Where", [isHere, own, int(0)]);
    const unsqueezed = [row, place].map((value) => graph.op("Unsqueeze", [value, graph.constant("int64", [1])]));
    const found = graph.op("GatherND", [logits, graph.op("Concat", unsqueezed, { axis: 1 })]);
    logit = graph.op("Where", [isHere, found, logit]);
  }

  const allPeaks = graph.op("Concat", peaks, { axis: 1 });
  const last = graph.constant("int64", [1]);
  const peak = graph.op("ReduceMax", [allPeaks, last]);
  const shares = graph.op("Mul", [
    graph.op("Concat", sums, { axis: 1 }),
    graph.op("Exp", [graph.op("Sub", [allPeaks, peak])]),
  ]);
  const normalizer = flat(graph.op("Add", [graph.op("Log", [graph.op("ReduceSum", [shares, last])]), peak]));
  const logprobs = graph.op("Sub", [logit, graph.op("Gather", [normalizer, row])]);
  graph.output("logprobs", logprobs, "float32", ["pairs"]);
  graph.output("greedy", graph.op("Equal", [logit, graph.op("Gather", [flat(peak), row])]), "bool", ["pairs"]);
}

/** Two factors of n as close to each other as can be, the larger first. */
function nearSquare(n: number): [number, number] {
  let factor = Math.floor(Math.sqrt(n));
  while (n % factor !== 0) factor--;
  return [n / factor, factor];
}
