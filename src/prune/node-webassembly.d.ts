/** The part of WebAssembly's JavaScript interface that pruning uses: Node has it, but its types come with the browser's alone. */
declare namespace WebAssembly {
  class Module {
    private readonly module: never;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum: number; shared: true });
    readonly buffer: SharedArrayBuffer;
  }
  class Instance {
    constructor(module: Module, imports: { env: { memory: Memory } });
    readonly exports: Record<string, (...parameters: number[]) => number>;
  }
  function compile(bytes: Uint8Array): Promise<Module>;
}
