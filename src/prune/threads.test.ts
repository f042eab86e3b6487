import assert from "node:assert/strict";
import { test } from "node:test";
import { callOnThreads } from "./threads.ts";

/** `(module (memory (import "env" "memory") 1 1 shared) (func (export "set") (param i32 i32) local.get 0 local.get 1 i32.store) (func (export "trap") (param i32) unreachable))` */
const module = new WebAssembly.Module(
  Uint8Array.from([
    ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 10, 2, 96, 2, 127, 127, 0, 96, 1, 127, 0],
    ...[2, 16, 1, 3, 101, 110, 118, 6, 109, 101, 109, 111, 114, 121, 2, 3, 1, 1],
    ...[3, 3, 2, 0, 1, 7, 14, 2, 3, 115, 101, 116, 0, 0, 4, 116, 114, 97, 112, 0, 1],
    ...[10, 15, 2, 9, 0, 32, 0, 32, 1, 54, 2, 0, 11, 3, 0, 0, 11],
  ]),
);
const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });

test("each thread gets its own parameters, and all are done when the call returns", async () => {
  const threads = [0, 1, 2, 3];
  const call = { module, memory, name: "set" };
  await Promise.all([
    callOnThreads(
      call,
      threads.map((at) => [4 * at, at + 1]),
    ),
    callOnThreads(call, [[16, 5]]),
  ]);
  assert.deepEqual([...new Int32Array(memory.buffer, 0, 5)], [1, 2, 3, 4, 5]);
});

test("a thread that fails fails the call, and the next call works", async () => {
  for (const parameters of [[[0], [0]], [[0]]]) {
    await assert.rejects(callOnThreads({ module, memory, name: "trap" }, parameters), /unreachable/);
    await assert.rejects(callOnThreads({ module, memory, name: "none" }, parameters), TypeError);
  }
  await callOnThreads({ module, memory, name: "set" }, [
    [0, 7],
    [4, 8],
  ]);
  assert.deepEqual([...new Int32Array(memory.buffer, 0, 2)], [7, 8]);
});
