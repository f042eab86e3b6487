/** The part of WebAssembly's JavaScript interface that pruning and training use: Node has it, but its types come with the browser's alone. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
    private readonly module: never;
  }
  class Memory<Shared extends boolean = true> {
    constructor(descriptor: { initial: number; maximum: number } & (Shared extends true ? { shared: true } : object));
    readonly buffer: Shared extends true ? SharedArrayBuffer : ArrayBuffer;
  }
  class Instance {
    constructor(module: Module, imports: { env: { memory: Memory | Memory<false> } });
    readonly exports: Record<string, (...parameters: number[]) => number>;
  }
  function compile(bytes: Uint8Array): Promise<Module>;
}
