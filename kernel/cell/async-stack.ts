/** Repairs Node's stack of async ids after SIGINT cut through it; Node 20 and 22 abort on the next callback otherwise. */

interface AsyncWrap {
  async_hook_fields: Uint32Array;
  async_id_fields: Float64Array;
  popAsyncContext(id: number): boolean;
  constants: { kStackLength: number; kExecutionAsyncId: number };
}

export interface Unwinder {
  depth(): number;
  unwind(depth: number): void;
}

export function createUnwinder(): Unwinder {
  const wrap = asyncWrap();
  // From Node 24 on AsyncLocalStorage needs no such stack, and the binding is gone.
  if (!wrap) return { depth: () => 0, unwind: () => {} };
  const { kStackLength, kExecutionAsyncId } = wrap.constants;
  const depth = () => wrap.async_hook_fields[kStackLength] ?? 0;
  return {
    depth,
    unwind: (wanted) => {
      while (depth() > wanted) wrap.popAsyncContext(wrap.async_id_fields[kExecutionAsyncId] as number);
    },
  };
}

function asyncWrap(): AsyncWrap | undefined {
  const { noDeprecation } = process;
  process.noDeprecation = true;
  try {
    return (process as unknown as { binding(name: string): AsyncWrap }).binding("async_wrap");
  } catch {
    return undefined;
  } finally {
    process.noDeprecation = noDeprecation ?? false;
  }
}
