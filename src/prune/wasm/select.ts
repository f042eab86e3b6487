/**
 * Scores, selects and zeroes weights in shared memory: AssemblyScript, compiled to WebAssembly with SIMD and threads.
 *
 * A weight's score is a non-negative float32, read as its bits: these sort as integers do (IEEE 754). Exactly `count`
 * of the lowest scores go, found without sorting: a histogram of the highest digit says in which bin the threshold
 * lies, one of the next digit looks into that bin only. Of equal scores the lower index goes first. A
 * bfloat16 is the upper half of a float32, so a histogram of its 15 magnitude bits ends the search for magnitudes.
 *
 * The caller lays out the memory: a table of tasks, the weights, scratch for each thread (a block of scores, then bins).
 * Every `…Each` takes tasks from the table until `next` says that none is left, so several threads can share a table.
 */

/** One tensor: a row of the table, of u32 alone. The caller writes it, and reads what `countZerosEach` counts. */
@unmanaged
class Task {
  /** Address of its bfloat16 weights, a multiple of 16. */
  weights: u32;
  length: u32;
  method: u32;
  /** Two seeds of the method "random", made from the seed and the tensor's name. */
  firstSeed: u32;
  secondSeed: u32;
  /** The lowest `count` of every `span` consecutive weights go. */
  span: u32;
  count: u32;
  /** The threshold, or the digits of it that are known so far; and a mask of these. */
  score: u32;
  scoreMask: u32;
  /** How many of the scores equal to the threshold go. */
  ties: u32;
  /** Address of this tensor's own 65,536 bins, used when tensors are pruned together. */
  bins: u32;
  zeros: u32;
  /** Address of float32 scores, one a weight, of the method "given". */
  scores: u32;
}

const magnitude: u32 = 0;
const given: u32 = 2;
/** Scores are computed a block at a time, which stays in the fastest cache. */
const blockLength: u32 = 1024;
const binsLength: u32 = 65536;

/** The next task that no thread has taken yet, or null. */
function take(table: usize, tasks: u32, next: usize): Task | null {
  const index = atomic.add<u32>(next, 1);
  return index < tasks ? changetype<Task>(table + index * offsetof<Task>()) : null;
}

/** Counts the zeros, -0 too. */
export function countZerosEach(table: usize, tasks: u32, next: usize): void {
  for (let task = take(table, tasks, next); task; task = take(table, tasks, next)) {
    task.zeros = countZeros(task.weights, task.weights + task.length * 2);
  }
}

/** Zeroes what each task says, each tensor for itself. */
export function pruneEach(table: usize, tasks: u32, next: usize, scratch: usize): void {
  for (let task = take(table, tasks, next); task; task = take(table, tasks, next)) {
    if (task.length === 0) continue;
    if (task.span <= 16) zeroByRank(task, scratch);
    else {
      const digitBits: u32 = task.span < 32768 ? 8 : 16;
      for (let from: u32 = 0; from < task.length; from += task.span) {
        const to = from + task.span;
        findThreshold(task, from, to, digitBits, scratch);
        zeroBelow(task, from, to, scratch);
      }
    }
  }
}

/**
 * One step for tensors that are pruned together: fills each task's own bins with the 16-bit digits at `shift` of the
 * scores that have the task's known digits, and this thread's bins with their sum.
 */
export function countEach(table: usize, tasks: u32, next: usize, scratch: usize, shift: u32): void {
  const sums = scratch + blockLength * 4;
  memory.fill(sums, 0, binsLength * 4);
  for (let task = take(table, tasks, next); task; task = take(table, tasks, next)) {
    const bins: usize = task.bins;
    memory.fill(bins, 0, binsLength * 4);
    countDigits(task, 0, task.length, shift, 0xffff, bins, scratch);
    for (let offset: usize = 0; offset < binsLength * 4; offset += 16) {
      v128.store(sums + offset, i32x4.add(v128.load(sums + offset), v128.load(bins + offset)));
    }
  }
}

/** Zeroes the scores below each task's threshold and the first of its ties. */
export function zeroEach(table: usize, tasks: u32, next: usize, scratch: usize): void {
  for (let task = take(table, tasks, next); task; task = take(table, tasks, next)) {
    zeroBelow(task, 0, task.length, scratch);
  }
}

/** Sets `task.score` and `task.ties` such that exactly `task.count` of the scores from `from` to `to` go. */
function findThreshold(task: Task, from: u32, to: u32, digitBits: u32, scratch: usize): void {
  const bins = scratch + blockLength * 4;
  const digitMask: u32 = (1 << digitBits) - 1;
  // the lower 16 bits of magnitudes are zero
  const lastShift: u32 = task.method === magnitude ? 16 : 0;
  task.score = 0;
  task.scoreMask = 0;
  task.ties = task.count;
  for (let shift: u32 = 32; shift > lastShift; ) {
    shift -= digitBits;
    memory.fill(bins, 0, (digitMask + 1) * 4);
    countDigits(task, from, to, shift, digitMask, bins, scratch);
    let bin: u32 = 0;
    for (let inBin = load<u32>(bins); task.ties > inBin; inBin = load<u32>(bins + bin * 4)) {
      task.ties -= inBin;
      bin++;
    }
    task.score |= bin << shift;
    task.scoreMask |= digitMask << shift;
  }
}

function countDigits(task: Task, from: u32, to: u32, shift: u32, digitMask: u32, bins: usize, scratch: usize): void {
  if (task.method === magnitude && shift === 16 && digitMask === 0xffff) {
    countAllMagnitudes(task.weights + from * 2, task.weights + to * 2, bins);
    return;
  }
  for (let start = from; start < to; start += blockLength) {
    const length = min(blockLength, to - start);
    scoreBlock(task, start, length, scratch);
    for (let at: usize = scratch, end: usize = scratch + length * 4; at < end; at += 4) {
      const score = load<u32>(at);
      if ((score & task.scoreMask) === task.score) increment(bins, (score >> shift) & digitMask);
    }
  }
}

/** A histogram of the 15 magnitude bits, four weights a load. */
function countAllMagnitudes(from: usize, to: usize, bins: usize): void {
  const magnitudeBits = ((0x7fff7fff as u64) << 32) | 0x7fff7fff;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    const four = load<u64>(at) & magnitudeBits;
    increment(bins, (four & 0xffff) as u32);
    increment(bins, ((four >> 16) & 0xffff) as u32);
    increment(bins, ((four >> 32) & 0xffff) as u32);
    increment(bins, (four >> 48) as u32);
  }
  for (; at < to; at += 2) increment(bins, load<u16>(at) & 0x7fff);
}

function increment(bins: usize, bin: u32): void {
  const at = bins + bin * 4;
  store<u32>(at, load<u32>(at) + 1);
}

/** Zeroes (to +0) the weights whose scores lie below `task.score`, and the first `task.ties` of those equal to it. */
function zeroBelow(task: Task, from: u32, to: u32, scratch: usize): void {
  if (task.method === magnitude) {
    zeroMagnitudesBelow(task.weights + from * 2, task.weights + to * 2, (task.score >> 16) as i16, task.ties);
    return;
  }
  const threshold = task.score;
  let ties = task.ties;
  for (let start = from; start < to; start += blockLength) {
    const length = min(blockLength, to - start);
    scoreBlock(task, start, length, scratch);
    for (let index: u32 = 0; index < length; index++) {
      const score = load<u32>(scratch + index * 4);
      const tie = score === threshold && ties > 0;
      ties -= tie as u32;
      keepUnless(task, start + index, tie || score < threshold);
    }
  }
}

/** Writes either way: a branch would be guessed wrong for half of the weights. */
function keepUnless(task: Task, index: u32, gone: bool): void {
  const at: usize = task.weights + index * 2;
  store<u16>(at, select<u16>(0, load<u16>(at), gone));
}

function zeroMagnitudesBelow(from: usize, to: usize, threshold: i16, quota: u32): void {
  const magnitudeBits = i16x8.splat(0x7fff);
  const splat = i16x8.splat(threshold);
  let ties = quota;
  let at = from;
  // as long as all equal ones of the next eight may go, they go with the lower ones
  while (ties > 0 && at + 16 <= to) {
    const weights = v128.load(at);
    const magnitudes = v128.and(weights, magnitudeBits);
    const equal = popcnt(i16x8.bitmask(i16x8.eq(magnitudes, splat)));
    if ((equal as u32) > ties) break;
    ties -= equal as u32;
    v128.store(at, v128.and(weights, i16x8.gt_s(magnitudes, splat)));
    at += 16;
  }
  while (ties > 0 && at < to) {
    const bits = load<u16>(at);
    const bitsOfMagnitude = (bits & 0x7fff) as i16;
    if (bitsOfMagnitude === threshold) ties--;
    if (bitsOfMagnitude <= threshold) store<u16>(at, 0);
    at += 2;
  }
  for (; at + 16 <= to; at += 16) {
    const weights = v128.load(at);
    v128.store(at, v128.and(weights, i16x8.ge_s(v128.and(weights, magnitudeBits), splat)));
  }
  for (; at < to; at += 2) if (((load<u16>(at) & 0x7fff) as i16) < threshold) store<u16>(at, 0);
}

/** For spans of a handful of weights comparing each with each beats a histogram. */
function zeroByRank(task: Task, scratch: usize): void {
  const span = task.span;
  const step = (blockLength / span) * span;
  for (let start: u32 = 0; start < task.length; start += step) {
    const length = min(step, task.length - start);
    scoreBlock(task, start, length, scratch);
    for (let from: u32 = 0; from < length; from += span) {
      for (let index = from; index < from + span; index++) {
        const score = load<u32>(scratch + index * 4);
        let rank: u32 = 0;
        for (let other = from; other < index; other++) rank += (load<u32>(scratch + other * 4) <= score) as u32;
        for (let other = index + 1; other < from + span; other++)
          rank += (load<u32>(scratch + other * 4) < score) as u32;
        keepUnless(task, start + index, rank < task.count);
      }
    }
  }
}

/** Writes the scores of `length` weights from index `start` on to `scores`, four at a time: up to three more than asked. */
function scoreBlock(task: Task, start: u32, length: u32, scores: usize): void {
  if (task.method === given) {
    const own: usize = task.scores + start * 4;
    // Without the sign, which a NaN may have: it counts as the highest.
    const unsigned = i32x4.splat(0x7fffffff);
    for (let offset: usize = 0; offset < length * 4; offset += 16) {
      v128.store(scores + offset, v128.and(v128.load(own + offset), unsigned));
    }
    return;
  }
  const weights: usize = task.weights + start * 2;
  const magnitudeBits = i32x4.splat(0x7fff);
  if (task.method === magnitude) {
    for (let index: u32 = 0; index < length; index += 4) {
      const magnitudes = v128.and(v128.load_ext<u16>(weights + index * 2), magnitudeBits);
      v128.store(scores + index * 4, i32x4.shl(magnitudes, 16));
    }
    return;
  }
  // An integer from 1 to 2^24, exact in float32, that depends on seeds and index alone: a higher sparsity zeroes a
  // superset. What is zero already scores 0, and so goes first.
  const firstSeed = i32x4.splat(task.firstSeed);
  const secondSeed = i32x4.splat(task.secondSeed);
  let indices = i32x4.add(i32x4.splat(start), i32x4(0, 1, 2, 3));
  for (let index: u32 = 0; index < length; index += 4) {
    const mixed = mix(v128.xor(mix(v128.xor(indices, firstSeed)), secondSeed));
    const random = f32x4.convert_i32x4_u(i32x4.add(i32x4.shr_u(mixed, 8), i32x4.splat(1)));
    const magnitudes = v128.and(v128.load_ext<u16>(weights + index * 2), magnitudeBits);
    v128.store(scores + index * 4, v128.andnot(random, i32x4.eq(magnitudes, i32x4.splat(0))));
    indices = i32x4.add(indices, i32x4.splat(4));
  }
}

/** The 32-bit mixer "lowbias32" of https://nullprogram.com/blog/2018/07/31/: every input bit flips every output bit. */
function mix(values: v128): v128 {
  let x = i32x4.mul(v128.xor(values, i32x4.shr_u(values, 16)), i32x4.splat(0x7feb352d));
  x = i32x4.mul(v128.xor(x, i32x4.shr_u(x, 15)), i32x4.splat(0x846ca68b));
  return v128.xor(x, i32x4.shr_u(x, 16));
}

function countZeros(from: usize, to: usize): u32 {
  const magnitudeBits = i16x8.splat(0x7fff);
  const zero = i16x8.splat(0);
  let zeros: u32 = 0;
  let at = from;
  for (; at + 16 <= to; at += 16) {
    zeros += popcnt(i16x8.bitmask(i16x8.eq(v128.and(v128.load(at), magnitudeBits), zero)));
  }
  for (; at < to; at += 2) zeros += ((load<u16>(at) & 0x7fff) === 0) as u32;
  return zeros;
}
