/** Runs token trees through the scoring graphs: trees in, log-probabilities of their targets out. */
import type { LayerType, ModelConfig } from "../checkpoint/config.ts";
import { type Feeds, float32, int64, openSession, type Session, type SessionOptions } from "../onnx/session.ts";
import { layerTypesOf, windowOf } from "./decoder.ts";
import { buildGraph } from "./graphs.ts";
import { cacheNames, emptyPast, selectColumns } from "./key-value-cache.ts";
import type { TokenTree } from "./token-tree.ts";

/** A model that scores: its blocks and its head, the two graphs `score` and `score-head` of graphs.ts. */
export interface Scorer {
  readonly config: ModelConfig;
  readonly blocks: Session;
  readonly head: Session;
}

/** One target's answer: natural-log probability, and whether no token is likelier. */
export interface TokenScore {
  readonly logprob: number;
  readonly isGreedy: boolean;
}

/** Keys and values of tokens that were computed, and which column of the cache is which token, for each layer type. */
interface Cache {
  /** Feeds by name, `past_key_values.N.{key,value}`, float32 `[1, kv heads, columns, head_dim]`. */
  readonly feeds: Feeds;
  readonly columns: Record<LayerType, readonly Column[]>;
}

/** A token in the cache: a node of the tree, or -1 for a token of the prefix, which every node has behind it. */
interface Column {
  readonly node: number;
  readonly depth: number;
}

// What one forward takes at most; longer trees are run in pieces over the cache, since attention's matrices grow with the square.
const segmentNodes = 512;
// Each row of logits takes vocabulary × 4 bytes, 1 MiB for Gemma 3.
const headRows = 192;
const masked = -1e9;

/** Opens both graphs. `options.folder` holds the weights file. */
export async function openScorer(config: ModelConfig, options: SessionOptions): Promise<Scorer> {
  const blocks = await openSession(buildGraph(config, "score"), options);
  try {
    const head = await openSession(buildGraph(config, "score-head"), options);
    return { config, blocks, head };
  } catch (error) {
    await blocks.release();
    throw error;
  }
}

export async function releaseScorer({ blocks, head }: Scorer): Promise<void> {
  await blocks.release();
  await head.release();
}

/** Computes a prefix that trees then share. Its tokens are the first ones of every sequence. */
export async function computePrefix(scorer: Scorer, tokens: readonly number[]): Promise<Cache> {
  const { config } = scorer;
  const chain: TokenTree = {
    tokens,
    depths: tokens.map((_, depth) => depth),
    parents: tokens.map((_, depth) => depth - 1),
    targets: [],
  };
  const { cache } = await runBlocks(scorer, chain, emptyCache(config), true);
  const asPrefix = (columns: readonly Column[]) => columns.map(({ depth }) => ({ node: -1, depth }));
  return {
    feeds: cache.feeds,
    columns: {
      full_attention: asPrefix(cache.columns.full_attention),
      sliding_attention: asPrefix(cache.columns.sliding_attention),
    },
  };
}

/** The scores of each tree's targets, in their order. */
export async function scoreTrees(
  scorer: Scorer,
  trees: readonly TokenTree[],
  prefix: Cache = emptyCache(scorer.config),
): Promise<TokenScore[][]> {
  const scores = trees.map(({ targets }): TokenScore[] => new Array(targets.length));
  const rows: (Row & { readonly scores: TokenScore[] })[] = [];
  for (const [index, tree] of trees.entries()) {
    const own = await runBlocks(scorer, tree, prefix, false);
    for (const row of own.rows) rows.push({ ...row, scores: scores[index]! });
  }
  for (let from = 0; from < rows.length; from += headRows) {
    const part = rows.slice(from, from + headRows);
    const answers = await runHead(scorer, part);
    let next = 0;
    for (const { scores, targets } of part) for (const { index } of targets) scores[index] = answers[next++]!;
  }
  return scores;
}

/** A node after which tokens are scored: its hidden state, and these tokens with their index among the tree's targets. */
interface Row {
  readonly hidden: Float32Array;
  readonly targets: readonly { readonly index: number; readonly token: number }[];
}

async function runBlocks(
  { config, blocks }: Scorer,
  tree: TokenTree,
  prefix: Cache,
  keepCache: boolean,
): Promise<{ rows: Row[]; cache: Cache }> {
  const targetsOf: { index: number; token: number }[][] = tree.tokens.map(() => []);
  tree.targets.forEach(({ node, token }, index) => {
    targetsOf[node]!.push({ index, token });
  });
  const rows: Row[] = [];
  let cache = prefix;
  for (let from = 0; from < tree.tokens.length; from += segmentNodes) {
    const to = Math.min(from + segmentNodes, tree.tokens.length);
    const count = to - from;
    const wantsCache = keepCache || to < tree.tokens.length;
    const now = {
      full_attention: columnsAfter(cache, tree, from, to, "full_attention"),
      sliding_attention: columnsAfter(cache, tree, from, to, "sliding_attention"),
    };
    const masks = layerTypesOf(config).map((type) => {
      const window = windowOf(config, type) ?? Number.POSITIVE_INFINITY;
      return [`mask.${type}`, float32(treeMask(tree, from, to, now[type], window), [1, 1, count, now[type].length])];
    });
    const positions = Array.from({ length: count }, (_, i) => i).filter((i) => targetsOf[from + i]!.length > 0);
    const feeds: Feeds = {
      input_ids: int64(tree.tokens.slice(from, to), [1, count]),
      position_ids: int64(tree.depths.slice(from, to), [1, count]),
      ...Object.fromEntries(masks),
      // ONNX Runtime gives the highest of each of no rows a wrong shape.
      positions: positions.length > 0 ? int64(positions, [positions.length]) : int64([0], [1]),
      ...cache.feeds,
    };
    const cached = wantsCache ? cacheNames(config).map(({ present }) => present) : [];
    const outputs = await blocks.run(feeds, ["hidden", ...cached]);
    const hidden = outputs.hidden!.data as Float32Array;
    for (const [row, i] of positions.entries()) {
      const start = row * config.hidden_size;
      rows.push({ hidden: hidden.subarray(start, start + config.hidden_size), targets: targetsOf[from + i]! });
    }
    if (wantsCache) cache = nextCache(config, tree, to, now, outputs);
  }
  return { rows, cache };
}

/** The scores of all targets of some rows, in their order. */
async function runHead({ config, head }: Scorer, rows: readonly Row[]): Promise<TokenScore[]> {
  const hidden = new Float32Array(rows.length * config.hidden_size);
  for (const [row, own] of rows.entries()) hidden.set(own.hidden, row * config.hidden_size);
  const pairs = rows.flatMap(({ targets }, row) => targets.map(({ token }) => [row, token]));
  const outputs = await head.run({
    hidden: float32(hidden, [rows.length, config.hidden_size]),
    targets: int64(pairs.flat(), [pairs.length, 2]),
  });
  const logprobs = outputs.logprobs!.data as Float32Array;
  const greedy = outputs.greedy!.data as Uint8Array;
  return pairs.map((_, i) => ({ logprob: logprobs[i]!, isGreedy: greedy[i] === 1 }));
}

function columnsAfter(cache: Cache, tree: TokenTree, from: number, to: number, type: LayerType): Column[] {
  const columns = [...cache.columns[type]];
  for (let node = from; node < to; node++) columns.push({ node, depth: tree.depths[node]! });
  return columns;
}

/** 0 where a node may look (itself, what stands before it in its own sequence, within the window), else a large negative. */
function treeMask(tree: TokenTree, from: number, to: number, columns: readonly Column[], window: number): Float32Array {
  const mask = new Float32Array((to - from) * columns.length).fill(masked);
  const columnOf = new Int32Array(tree.tokens.length);
  for (const [column, { node }] of columns.entries()) if (node >= 0) columnOf[node] = column;
  const prefix = columns.findIndex(({ node }) => node >= 0);
  for (let node = from; node < to; node++) {
    const row = (node - from) * columns.length;
    const depth = tree.depths[node]!;
    const parent = tree.parents[node]!;
    if (parent >= from && window === Number.POSITIVE_INFINITY) {
      // It sees what its parent sees, and itself. Walking up from every node would take time with the square of a long text.
      const start = (parent - from) * columns.length;
      mask.copyWithin(row, start, start + columns.length);
      mask[row + columnOf[node]!] = 0;
      continue;
    }
    for (let column = 0; column < prefix; column++) {
      if (depth - columns[column]!.depth < window) mask[row + column] = 0;
    }
    for (let seen = node; seen >= 0 && depth - tree.depths[seen]! < window; seen = tree.parents[seen]!) {
      mask[row + columnOf[seen]!] = 0;
    }
  }
  return mask;
}

/** The cache for the nodes from `next` on. Sliding layers keep only what a later node can still see. */
function nextCache(
  config: ModelConfig,
  tree: TokenTree,
  next: number,
  columns: Record<LayerType, readonly Column[]>,
  outputs: Awaited<ReturnType<Session["run"]>>,
): Cache {
  const window = config.sliding_window ?? 0;
  const needed = new Set<number>();
  let shallowest = tree.depths[next] ?? tree.depths.at(-1)! + 1;
  for (let node = next; node < tree.tokens.length; node++) {
    const depth = tree.depths[node]!;
    shallowest = Math.min(shallowest, depth);
    // A node's parent sees all that the node does, of what is before `next`.
    if (tree.parents[node]! >= next) continue;
    for (let seen = tree.parents[node]!; seen >= 0 && depth - tree.depths[seen]! < window; seen = tree.parents[seen]!) {
      if (seen < next) needed.add(seen);
    }
  }
  const sliding = columns.sliding_attention;
  const isLast = next === tree.tokens.length;
  const kept = [...sliding.keys()].filter((column) => {
    const { node, depth } = sliding[column]!;
    return node < 0 || isLast ? shallowest - depth < window : needed.has(node);
  });
  const feeds: Feeds = {};
  for (const { layer, past, present } of cacheNames(config)) {
    const all = outputs[present]!;
    const isCut = config.layer_types[layer] === "sliding_attention" && kept.length < sliding.length;
    feeds[past] = isCut ? selectColumns(all.data as Float32Array, all.dims, kept) : all;
  }
  return {
    feeds,
    columns: { full_attention: columns.full_attention, sliding_attention: kept.map((column) => sliding[column]!) },
  };
}

function emptyCache(config: ModelConfig): Cache {
  return { feeds: emptyPast(config, 1), columns: { full_attention: [], sliding_attention: [] } };
}
