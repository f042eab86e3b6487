import assert from "node:assert/strict";
import { after, it } from "node:test";
import { interruptedSignal, throwIfInterrupted } from "./interrupted.ts";

const hook = Symbol.for("prunelab.interrupted");
after(() => Reflect.deleteProperty(globalThis, hook));

it("never stops work outside a notebook", () => {
  assert.equal(interruptedSignal(), undefined);
  throwIfInterrupted();
});

it("throws what the kernel stopped the cell with", () => {
  const stop = new AbortController();
  Object.defineProperty(globalThis, hook, { value: () => stop.signal, configurable: true });
  throwIfInterrupted();
  stop.abort(new Error("stopped by the user"));
  assert.throws(throwIfInterrupted, /stopped by the user/);
});
