/** The only import of zeromq: the five sockets of a kernel, and those of its client; frames are sent in order. */
import { Dealer, Router, Subscriber, XPublisher } from "zeromq";
import { KernelError, messageOf } from "../errors.ts";
import { type Channel, type Connection, channels, endpoint } from "./connection.ts";

type Readable = { closed: boolean; receive(): Promise<Uint8Array[]> };
type Writable = { closed: boolean; send(frames: Uint8Array[]): Promise<void> };

/** The channels that a client sends requests or replies on. */
export type RequestChannel = "shell" | "control" | "stdin";

export interface Sockets {
  /** Begins to receive. */
  listen(events: SocketEvents): void;
  /** Queues frames; they leave in the order of the calls. */
  send(channel: RequestChannel | "iopub", frames: Uint8Array[]): void;
  /** Sends what is queued, then closes every socket. */
  close(): Promise<void>;
}

export interface SocketEvents {
  onFrames(channel: RequestChannel, frames: Uint8Array[]): void;
  /** A client subscribed to iopub; `topic` is usually empty. */
  onSubscription(topic: string): void;
}

/** Larger messages are dropped by ZeroMQ, and their sender is disconnected. */
const MAX_MESSAGE_BYTES = 256 * 2 ** 20;
/** How long unsent messages may keep a closed socket alive. */
const LINGER_MS = 1000;

/** Throws KernelError when a port cannot be bound. */
export async function bindSockets(connection: Connection): Promise<Sockets> {
  // A high-water mark of 0 means no limit: the default drops iopub messages, the closing idle among them, in a flood.
  const options = { sendHighWaterMark: 0, receiveHighWaterMark: 0, linger: LINGER_MS };
  const router = () => new Router({ ...options, maxMessageSize: MAX_MESSAGE_BYTES });
  const sockets = {
    shell: router(),
    control: router(),
    stdin: router(),
    hb: router(),
    iopub: new XPublisher({ ...options, verbosity: "allSubs" }),
  };
  for (const channel of channels) {
    const address = endpoint(connection, channel);
    try {
      await sockets[channel].bind(address);
    } catch (error) {
      for (const socket of Object.values(sockets)) socket.close();
      throw new KernelError(`cannot bind the ${channel} socket: ${address}: ${messageOf(error)}`);
    }
  }

  const queues = { shell: queueOf(sockets.shell), control: queueOf(sockets.control), stdin: queueOf(sockets.stdin) };
  const all = { ...queues, iopub: queueOf(sockets.iopub), hb: queueOf(sockets.hb) };
  return {
    listen: (events) => {
      for (const channel of ["shell", "control", "stdin"] as const) {
        void receive(sockets[channel], (frames) => events.onFrames(channel, frames));
      }
      void receive(sockets.hb, (frames) => all.hb.push(frames));
      void receive(sockets.iopub, ([frame]) => {
        if (frame?.[0] === 1) events.onSubscription(Buffer.from(frame.subarray(1)).toString());
      });
    },
    send: (channel, frames) => all[channel].push(frames),
    close: async () => {
      await Promise.all(Object.values(all).map((queue) => queue.drained()));
      for (const socket of Object.values(sockets)) socket.close();
    },
  };
}

export interface ClientSockets {
  send(channel: RequestChannel | "hb", frames: Uint8Array[]): void;
  close(): void;
}

/** The client's side. `identity` names it to the kernel. */
export function connectSockets(
  connection: Connection,
  identity: string,
  onFrames: (channel: Channel, frames: Uint8Array[]) => void,
): ClientSockets {
  const options = { sendHighWaterMark: 0, receiveHighWaterMark: 0, linger: 0 };
  const dealer = () => new Dealer({ ...options, routingId: identity });
  const dealers = { shell: dealer(), control: dealer(), stdin: dealer(), hb: dealer() };
  const sockets = { ...dealers, iopub: new Subscriber({ receiveHighWaterMark: 0, linger: 0 }) };
  const queues = Object.fromEntries(Object.entries(dealers).map(([name, socket]) => [name, queueOf(socket)]));
  for (const channel of channels) {
    sockets[channel].connect(endpoint(connection, channel));
    void receive(sockets[channel], (frames) => onFrames(channel, frames));
  }
  sockets.iopub.subscribe();
  return {
    send: (channel, frames) => queues[channel]?.push(frames),
    close: () => {
      for (const socket of Object.values(sockets)) socket.close();
    },
  };
}

async function receive(socket: Readable, onFrames: (frames: Uint8Array[]) => void): Promise<void> {
  while (!socket.closed) {
    try {
      onFrames(await socket.receive());
    } catch (error) {
      if (!socket.closed) process.stderr.write(`kernel: cannot receive: ${messageOf(error)}\n`);
    }
  }
}

/** zeromq.js allows one send at a time on a socket. */
function queueOf(socket: Writable): { push(frames: Uint8Array[]): void; drained(): Promise<void> } {
  let last: Promise<void> = Promise.resolve();
  return {
    push: (frames) => {
      last = last
        .then(() => socket.send(frames))
        .catch((error) => {
          if (!socket.closed) process.stderr.write(`kernel: cannot send: ${messageOf(error)}\n`);
        });
    },
    drained: () => last,
  };
}
