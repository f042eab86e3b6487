/** Comms for cells: named channels to a widget in the front end, opened from either side. */
import { randomUUID } from "node:crypto";
import type { CommContent, ToWorker } from "../protocol/worker-channel.ts";
import { ownerId, runAs } from "./owner.ts";

type CommMessageType = "comm_open" | "comm_msg" | "comm_close";
type Publish = (
  id: string,
  type: CommMessageType,
  content: CommContent,
  buffers: string[],
  metadata?: Record<string, unknown>,
) => void;

export interface Comm {
  readonly id: string;
  readonly target: string;
  send(data: unknown, buffers?: Uint8Array[]): void;
  close(data?: unknown): void;
  onMessage?: (data: unknown, buffers: Uint8Array[]) => void;
  onClose?: (data: unknown) => void;
}

export interface CommsApi {
  /** Opens a comm to the front end's target of that name. */
  open(target: string, data?: unknown, buffers?: Uint8Array[], metadata?: Record<string, unknown>): Comm;
  /** Answers comms that the front end opens; without a handler they are closed at once. */
  register(target: string, onOpen: (comm: Comm, data: unknown, buffers: Uint8Array[]) => void): void;
}

export interface Comms {
  api: CommsApi;
  receive(message: Extract<ToWorker, { type: "comm" }>): void;
}

export function createComms(publish: Publish): Comms {
  const open = new Map<string, Comm>();
  const targets = new Map<string, (comm: Comm, data: unknown, buffers: Uint8Array[]) => void>();

  function createComm(id: string, target: string): Comm {
    const comm: Comm = {
      id,
      target,
      send: (data, buffers = []) => publish(ownerId(), "comm_msg", { comm_id: id, data }, encode(buffers)),
      close: (data = {}) => {
        if (open.delete(id)) publish(ownerId(), "comm_close", { comm_id: id, data }, []);
      },
    };
    open.set(id, comm);
    return comm;
  }

  return {
    api: {
      open: (target, data = {}, buffers = [], metadata = {}) => {
        const comm = createComm(randomUUID(), target);
        const content = { comm_id: comm.id, target_name: target, data };
        publish(ownerId(), "comm_open", content, encode(buffers), metadata);
        return comm;
      },
      register: (target, onOpen) => {
        targets.set(target, onOpen);
      },
    },
    receive: ({ id, event, content, buffers: encoded }) => {
      const { comm_id: commId, target_name: target = "", data } = content;
      const buffers = encoded.map((buffer) => Buffer.from(buffer, "base64"));
      runAs(id, () => {
        const comm = open.get(commId);
        if (event === "comm_open") {
          const onOpen = targets.get(target);
          if (onOpen) onOpen(createComm(commId, target), data, buffers);
          else publish(id, "comm_close", { comm_id: commId, data: {} }, []);
        } else if (event === "comm_msg") {
          comm?.onMessage?.(data, buffers);
        } else {
          open.delete(commId);
          comm?.onClose?.(data);
        }
      });
    },
  };
}

function encode(buffers: readonly Uint8Array[]): string[] {
  return buffers.map((buffer) => Buffer.from(buffer).toString("base64"));
}
