/** Makes console and process.stdout of the process of the cells write to the cell that owns the running code. */
import { Console } from "node:console";
import { Writable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { ownerId, withoutAsyncIds } from "../display/owner.ts";
import type { StreamName } from "../protocol/worker-channel.ts";

/** Where jupyter's front ends break lines, for code that asks a terminal's width. */
const COLUMNS = 100;

export function installCellStreams(send: (id: string, name: StreamName, text: string) => void): void {
  const stdout = cellStream("stdout", 1, send);
  const stderr = cellStream("stderr", 2, send);
  Object.defineProperty(process, "stdout", { value: stdout, configurable: true });
  Object.defineProperty(process, "stderr", { value: stderr, configurable: true });
  // Node's own console also records every argument for an inspector, a thousand calls deep.
  const console = new Console({ stdout, stderr });
  globalThis.console = Object.assign(console, { Console });
}

function cellStream(name: StreamName, fd: number, send: (id: string, name: StreamName, text: string) => void) {
  const decoder = new StringDecoder("utf8");
  const stream = new Writable({
    decodeStrings: false,
    // As for Node's own; who waits for the end waits for "finish" alone then.
    emitClose: false,
    write: (chunk: string | Buffer, encoding, done) => {
      const text = typeof chunk === "string" ? toText(chunk, encoding, decoder) : decoder.write(chunk);
      if (text !== "") send(ownerId(), name, withoutAsyncIds(text));
      done();
    },
  });
  // Writable ends for good after end(); a cell that pipes into process.stdout must not silence the later ones. Who waits
  // for the end of what was written is told of it.
  stream.end = ((...given: unknown[]) => {
    const done = given.find((each) => typeof each === "function") as (() => void) | undefined;
    const [chunk, encoding] = given;
    if (chunk != null && chunk !== done)
      stream.write(chunk, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8");
    process.nextTick(() => {
      done?.();
      stream.emit("finish");
    });
    return stream;
  }) as typeof stream.end;
  stream.destroy = ((error?: Error) => {
    process.nextTick(() => {
      if (error && stream.listenerCount("error") > 0) stream.emit("error", error);
      stream.emit("close");
    });
    return stream;
  }) as typeof stream.destroy;
  return Object.assign(stream, { fd, isTTY: false, columns: COLUMNS });
}

function toText(chunk: string, encoding: BufferEncoding, decoder: StringDecoder): string {
  const isText = encoding === "utf8" || (encoding as string) === "utf-8";
  return isText ? chunk : decoder.write(Buffer.from(chunk, encoding));
}
