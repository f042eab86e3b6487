/** Cells of many kinds, for a soak of the kernel: each with the outcome it must have and what it does to `kept`. */

export interface SoakKind {
  readonly source: (i: number) => string;
  readonly outcome: "ok" | "error";
  /** Whether it raises `kept.count`; what fails its check never runs. */
  readonly counts: boolean;
  /** Whether it raises `kept.late`, after the cell's own code has ended. */
  readonly isLate: boolean;
}

const runs = { counts: true, isLate: false };

export const soakKinds: readonly SoakKind[] = [
  { ...runs, source: (i) => `let x${i % 50} = ${i}; kept.count++`, outcome: "ok" },
  {
    ...runs,
    source: (i) => `const text = "cell ${i}".repeat(100); console.log(text.length); kept.count++`,
    outcome: "ok",
  },
  { ...runs, source: (i) => `class Shape { n = ${i} } const shape = new Shape(); kept.count++; shape`, outcome: "ok" },
  { ...runs, source: (i) => `function f(a: number) { return a + ${i} } kept.count++; f(1)`, outcome: "ok" },
  { ...runs, source: () => `import { join } from "node:path"; kept.count++; join("a", "b")`, outcome: "ok" },
  {
    ...runs,
    source: () => "const values = await Promise.all([1, 2, 3].map(async (n) => n * 2)); kept.count++; values",
    outcome: "ok",
  },
  { ...runs, source: () => "for (let i = 0; i < 200; i++) console.log('line', i); kept.count++", outcome: "ok" },
  { ...runs, source: () => `display({ "text/html": "<b>" + "x".repeat(1000) + "</b>" }); kept.count++`, outcome: "ok" },
  { ...runs, source: () => "const big = new Float64Array(200_000).fill(1); kept.count++; big.length", outcome: "ok" },
  { ...runs, source: (i) => `kept.count++; throw new Error("wanted ${i}")`, outcome: "error" },
  { ...runs, source: () => "const wrong: string = 1; kept.count++", outcome: "error", counts: false },
  {
    ...runs,
    source: () => "kept.count++; Promise.reject(new Error('rejected')); await new Promise((go) => setTimeout(go, 5))",
    outcome: "error",
  },
  { ...runs, source: () => "kept.count++; process.nextTick(() => { throw new Error('tick') })", outcome: "error" },
  {
    ...runs,
    source: () => "kept.count++; setTimeout(() => kept.late++, 1); await new Promise((go) => setTimeout(go, 5))",
    outcome: "ok",
    isLate: true,
  },
];
