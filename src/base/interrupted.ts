/** Tells long work in a notebook cell that its user has stopped the cell; outside the kernel nothing is ever stopped. */

/** The kernel's process of the cells sets this on `globalThis`; it gives the signal of the cell that the running code belongs to. */
const hook = Symbol.for("prunelab.interrupted");

/** Aborted once the user stops the cell, even while code runs that never yields; undefined outside a notebook. */
export function interruptedSignal(): AbortSignal | undefined {
  return (globalThis as { [hook]?: () => AbortSignal })[hook]?.();
}

/** Call it between batches, blocks and steps; throws the cell's KeyboardInterrupt. Costs well below a microsecond. */
export function throwIfInterrupted(): void {
  interruptedSignal()?.throwIfAborted();
}
