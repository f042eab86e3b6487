/**
 * The selection of `wasm/select.ts` and `lowest.ts` for a GPU, in WGSL: the same scores, the same thresholds, the same rule for ties, so
 * the same weights go, bit by bit.
 *
 * A piece is a run of weights, two to a word. It consists of spans that each lose some of their lowest scores, and a span
 * of blocks, one to a workgroup. Digits have 8 bits here, since 256 bins fit into a workgroup's own memory.
 */

/** Weights of a block: 64 threads with 16 each. */
export const blockLength = 1024;
/** Each entry point, and whether it runs one workgroup per block, or one thread per span (64 to a workgroup). */
export const entryPoints = {
  countDigits: "blocks",
  pickBin: "spans",
  countTies: "blocks",
  shareTies: "spans",
  zeroBelow: "blocks",
  zeroByRank: "spans",
} as const;

export const shader: string = /* wgsl */ `
struct Parameters {
  span: u32,
  spans: u32,
  blocksPerSpan: u32,
  count: u32,
  method: u32, // 0 magnitude, 1 random, 2 by factors
  firstIndex: u32, // the piece's place in its tensor
  firstSeed: u32,
  secondSeed: u32,
  columns: u32,
}

struct Selection {
  score: u32, // the threshold, or its digits that are known so far
  known: u32, // a mask of these
  shift: u32, // of the next digit
  ties: u32, // how many of those equal to the threshold go
  seen: u32, // ties in earlier pieces
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> weights: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read_write> selections: array<Selection>;
@group(0) @binding(3) var<storage, read_write> bins: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> tiesBefore: array<u32>;
// importance.ts's factors one after the other: of columns, columns' shares, rows' shares
@group(0) @binding(5) var<storage, read> factors: array<f32>;

var<workgroup> groupBins: array<atomic<u32>, 256>;
var<workgroup> groupTies: array<u32, 64>;

fn mix32(value: u32) -> u32 {
  var x = (value ^ (value >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

fn scoreAt(index: u32) -> u32 {
  let magnitude = (atomicLoad(&weights[index / 2]) >> (16 * (index & 1))) & 0x7fff;
  if (parameters.method == 0 || magnitude == 0) { return magnitude << 16; }
  if (parameters.method == 2) { return scoreByFactors(index, magnitude << 16); }
  let mixed = mix32(mix32((parameters.firstIndex + index) ^ parameters.firstSeed) ^ parameters.secondSeed);
  return bitcast<u32>(f32((mixed >> 8) + 1));
}

// importance.ts's scoreBy. Products and sums of float32 are exact to the last bit in WGSL but for subnormal numbers, which may
// count as zero, and for what is not finite; both are decided by their bits
fn scoreByFactors(index: u32, magnitude: u32) -> u32 {
  if (magnitude >= 0x7f800000) { return 0x7fc00000; }
  let column = (parameters.firstIndex + index) % parameters.columns;
  let row = (parameters.firstIndex + index) / parameters.columns;
  let factor = factors[column] * (factors[parameters.columns + column] + factors[2 * parameters.columns + row]);
  let score = bitcast<u32>(bitcast<f32>(magnitude) * factor);
  if (magnitude < 0x00800000 || bitcast<u32>(factor) < 0x00800000 || score < 0x00800000) { return 1; }
  return score;
}

// atomic, since two threads may zero the halves of one word
fn zeroAt(index: u32) {
  atomicAnd(&weights[index / 2], select(0x0000ffffu, 0xffff0000u, (index & 1) == 0));
}

fn flatten(id: vec3u, count: vec3u) -> u32 {
  return id.y * count.x + id.x;
}

@compute @workgroup_size(64)
fn countDigits(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let block = flatten(group, groups);
  if (block >= parameters.spans * parameters.blocksPerSpan) { return; }
  let span = block / parameters.blocksPerSpan;
  let start = span * parameters.span + block % parameters.blocksPerSpan * ${blockLength};
  let stop = min(start + ${blockLength}, (span + 1) * parameters.span);
  let selection = selections[span];
  for (var index = start + thread; index < stop; index += 64) {
    let score = scoreAt(index);
    if ((score & selection.known) == selection.score) {
      atomicAdd(&groupBins[(score >> selection.shift) & 255], 1);
    }
  }
  workgroupBarrier();
  for (var bin = thread; bin < 256; bin += 64) {
    let counted = atomicLoad(&groupBins[bin]);
    if (counted > 0) { atomicAdd(&bins[span * 256 + bin], counted); }
  }
}

@compute @workgroup_size(64)
fn pickBin(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let span = flatten(group, groups) * 64 + thread;
  if (span >= parameters.spans) { return; }
  var selection = selections[span];
  var picked = false;
  for (var bin = 0u; bin < 256; bin++) {
    let inBin = atomicExchange(&bins[span * 256 + bin], 0);
    if (picked) { continue; }
    if (selection.ties > inBin) {
      selection.ties -= inBin;
    } else {
      picked = true;
      selection.score |= bin << selection.shift;
      selection.known |= 255u << selection.shift;
    }
  }
  selection.shift = max(selection.shift, 8) - 8;
  selections[span] = selection;
}

@compute @workgroup_size(64)
fn countTies(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let block = flatten(group, groups);
  if (block >= parameters.spans * parameters.blocksPerSpan) { return; }
  let span = block / parameters.blocksPerSpan;
  let start = span * parameters.span + block % parameters.blocksPerSpan * ${blockLength};
  let stop = min(start + ${blockLength}, (span + 1) * parameters.span);
  for (var index = start + thread; index < stop; index += 64) {
    if (scoreAt(index) == selections[span].score) { atomicAdd(&groupBins[0], 1); }
  }
  workgroupBarrier();
  if (thread == 0) { tiesBefore[block] = atomicLoad(&groupBins[0]); }
}

@compute @workgroup_size(64)
fn shareTies(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let span = flatten(group, groups) * 64 + thread;
  if (span >= parameters.spans) { return; }
  var seen = selections[span].seen;
  let firstBlock = span * parameters.blocksPerSpan;
  for (var block = firstBlock; block < firstBlock + parameters.blocksPerSpan; block++) {
    let ties = tiesBefore[block];
    tiesBefore[block] = seen;
    seen += ties;
  }
  selections[span].seen = seen;
}

@compute @workgroup_size(64)
fn zeroBelow(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let block = flatten(group, groups);
  if (block >= parameters.spans * parameters.blocksPerSpan) { return; }
  let span = block / parameters.blocksPerSpan;
  let blockStart = span * parameters.span + block % parameters.blocksPerSpan * ${blockLength};
  let end = (span + 1) * parameters.span;
  let start = min(blockStart + thread * 16, end);
  let stop = min(start + 16, end);
  let threshold = selections[span].score;
  var own = 0u;
  for (var index = start; index < stop; index++) { own += u32(scoreAt(index) == threshold); }
  groupTies[thread] = own;
  workgroupBarrier();
  // each thread sums for itself: a barrier costs software renderers more than the reads
  var seen = tiesBefore[block];
  for (var before = 0u; before < thread; before++) { seen += groupTies[before]; }
  for (var index = start; index < stop; index++) {
    let score = scoreAt(index);
    let tie = score == threshold;
    if (score < threshold || (tie && seen < selections[span].ties)) { zeroAt(index); }
    seen += u32(tie);
  }
}

@compute @workgroup_size(64)
fn zeroByRank(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let span = flatten(group, groups) * 64 + thread;
  if (span >= parameters.spans) { return; }
  let start = span * parameters.span;
  var scores: array<u32, 16>;
  for (var index = 0u; index < parameters.span; index++) { scores[index] = scoreAt(start + index); }
  for (var index = 0u; index < parameters.span; index++) {
    var rank = 0u;
    for (var other = 0u; other < parameters.span; other++) {
      rank += u32(scores[other] < scores[index] || (scores[other] == scores[index] && other < index));
    }
    if (rank < parameters.count) { zeroAt(start + index); }
  }
}
`;
