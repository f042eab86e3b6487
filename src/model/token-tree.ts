/**
 * Token sequences as one tree, in which shared beginnings are computed once, and the cutting of many requests into such trees.
 * A context with four endings is a trunk with four branches; what a pack of several documents has in common is shared too.
 */
import type { ScoredSequence } from "./encode.ts";

/** A token whose probability is asked for: after `node`, `token`, for request number `request`. */
export interface Target {
  readonly node: number;
  readonly token: number;
  readonly request: number;
}

/** Nodes in an order in which parents come first. */
export interface TokenTree {
  readonly tokens: readonly number[];
  /** Position of each node's token in its sequence. */
  readonly depths: readonly number[];
  /** Index of each node's parent; -1 for a first token. */
  readonly parents: readonly number[];
  readonly targets: readonly Target[];
}

/** Requests whose answers come together, and their trees. `requests` are indices into the list that was packed. */
export interface Pack {
  readonly requests: readonly number[];
  readonly trees: readonly TokenTree[];
}

// About where a matrix product reaches its full speed; larger trees only add attention between strangers, which is masked.
const treeNodes = 256;
// The head takes hardly longer for these many rows than for one; a larger pack loses more when a run is killed.
const packRows = 16;

/** Builds a tree from sequences whose first `skipped` tokens are computed elsewhere. */
export class TreeBuilder implements TokenTree {
  readonly tokens: number[] = [];
  readonly depths: number[] = [];
  readonly parents: number[] = [];
  readonly targets: Target[] = [];
  private readonly children: Map<number, number>[] = [];
  private readonly roots = new Map<number, number>();
  private readonly scoredNodes = new Set<number>();
  private readonly skipped: number;

  constructor(skipped = 0) {
    this.skipped = skipped;
  }

  /** Number of positions whose logits are needed. */
  get rows(): number {
    return this.scoredNodes.size;
  }

  add({ tokens, start }: ScoredSequence, request: number): void {
    let node = -1;
    for (let depth = this.skipped; depth < tokens.length - 1; depth++) {
      node = this.child(node, tokens[depth]!, depth);
      if (depth >= start - 1) {
        this.targets.push({ node, token: tokens[depth + 1]!, request });
        this.scoredNodes.add(node);
      }
    }
  }

  private child(parent: number, token: number, depth: number): number {
    const siblings = parent < 0 ? this.roots : this.children[parent]!;
    let node = siblings.get(token);
    if (node === undefined) {
      node = this.tokens.length;
      siblings.set(token, node);
      this.tokens.push(token);
      this.depths.push(depth);
      this.parents.push(parent);
      this.children.push(new Map());
    }
    return node;
  }
}

/** The number of first tokens that all sequences share and none of which is scored or is the last before a scored one. */
export function sharedPrefixLength(sequences: readonly ScoredSequence[]): number {
  const first = sequences[0]?.tokens ?? [];
  let length = Math.min(...sequences.map(({ start }) => start - 1), first.length);
  for (const { tokens } of sequences) {
    let same = 0;
    while (same < length && tokens[same] === first[same]) same++;
    length = same;
  }
  return Math.max(0, length);
}

/**
 * Cuts requests into packs, in their order, so that the packs depend on the requests alone and a resumed run meets the same ones.
 * Neighbours with one context stay together. A tree holds at least one such group, however long.
 */
export function packSequences(sequences: readonly ScoredSequence[], skipped: number): Pack[] {
  const packs: Pack[] = [];
  let requests: number[] = [];
  let trees = [new TreeBuilder(skipped)];
  for (const group of groupByContext(sequences)) {
    const alone = new TreeBuilder(skipped);
    for (const request of group) alone.add(sequences[request]!, request);
    const last = trees.at(-1)!;
    if (last.tokens.length > 0 && last.tokens.length + alone.tokens.length > treeNodes) {
      if (trees.reduce((rows, tree) => rows + tree.rows, 0) >= packRows) {
        packs.push({ requests, trees });
        [requests, trees] = [[], []];
      }
      trees.push(new TreeBuilder(skipped));
    }
    for (const request of group) trees.at(-1)!.add(sequences[request]!, request);
    requests.push(...group);
  }
  if (requests.length > 0) packs.push({ requests, trees });
  return packs;
}

/** Indices of neighbouring sequences with the same context. */
function groupByContext(sequences: readonly ScoredSequence[]): number[][] {
  const groups: number[][] = [];
  let last: string | undefined;
  sequences.forEach(({ tokens, start }, index) => {
    const context = tokens.slice(0, start).join(" ");
    if (context === last) groups.at(-1)!.push(index);
    else groups.push([index]);
    last = context;
  });
  return groups;
}
