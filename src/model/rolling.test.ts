import assert from "node:assert/strict";
import { test } from "node:test";
import { rollingWindows } from "./rolling.ts";

// lm-eval 0.4.13: make_disjoint_window over get_rolling_token_windows(range(1, n + 1), 0, length, 1): before, predicted.
const windows: readonly [n: number, length: number, expected: readonly [number[], number[]][]][] = [
  [0, 4, []],
  [1, 4, [[[0], [1]]]],
  [4, 4, [[[0], [1, 2, 3, 4]]]],
  [
    5,
    4,
    [
      [[0], [1, 2, 3, 4]],
      [[1, 2, 3, 4], [5]],
    ],
  ],
  [
    8,
    4,
    [
      [[0], [1, 2, 3, 4]],
      [[4], [5, 6, 7, 8]],
    ],
  ],
  [
    11,
    4,
    [
      [[0], [1, 2, 3, 4]],
      [[4], [5, 6, 7, 8]],
      [
        [7, 8],
        [9, 10, 11],
      ],
    ],
  ],
  [
    3,
    1,
    [
      [[0], [1]],
      [[1], [2]],
      [[2], [3]],
    ],
  ],
];

test("cuts lm-eval's windows", () => {
  for (const [n, length, expected] of windows) {
    const tokens = Array.from({ length: n }, (_, index) => index + 1);
    assert.deepEqual(
      rollingWindows(tokens, 0, length).map(({ tokens, start }) => [tokens.slice(0, start), tokens.slice(start)]),
      expected,
    );
  }
});
