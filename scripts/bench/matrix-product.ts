/** How fast this machine multiplies float32 matrices by ONNX Runtime, which bounds what scoring can reach. */
import { GraphBuilder } from "../../src/onnx/graph.ts";
import { float32, openSession } from "../../src/onnx/session.ts";

/** GFLOP/s of a product of the model's shapes, 2,048 tokens by an MLP's weight: the best of ten. */
export async function matrixProductRate(): Promise<number> {
  const [tokens, inner, outer] = [2048, 640, 2048];
  const graph = new GraphBuilder(new Map(), "");
  const x = graph.input("x", "float32", [tokens, inner]);
  const w = graph.input("w", "float32", [outer, inner]);
  graph.output("y", graph.op("Gemm", [x, w], { transB: 1 }), "float32", [tokens, outer]);
  const session = await openSession(graph.encode("product"));
  const ones = (count: number) => new Float32Array(count).fill(1);
  const feeds = { x: float32(ones(tokens * inner), [tokens, inner]), w: float32(ones(outer * inner), [outer, inner]) };
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 10; i++) {
    const started = performance.now();
    await session.run(feeds);
    best = Math.min(best, (performance.now() - started) / 1000);
  }
  await session.release();
  return (2 * tokens * inner * outer) / best / 1e9;
}
