/** Turns the frames of the Jupyter wire protocol into messages and back, signed and checked. */
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { messageOf } from "../errors.ts";

/** The version of the messaging protocol spoken here; https://jupyter-client.readthedocs.io/en/stable/messaging.html */
export const PROTOCOL_VERSION = "5.4";

export interface Header {
  msg_id: string;
  session: string;
  username: string;
  /** ISO 8601. */
  date: string;
  msg_type: string;
  version: string;
}

export type Content = Record<string, unknown>;

export interface Message {
  /** Routing prefixes of ZeroMQ; for iopub the topic. */
  identities: Uint8Array[];
  header: Header;
  /** Empty when the message answers nothing. */
  parent: Header | Record<string, never>;
  metadata: Content;
  content: Content;
  buffers: Uint8Array[];
}

export interface Signing {
  hash: string;
  key: string;
}

const DELIMITER = Buffer.from("<IDS|MSG>");
/** As jupyter_client: signatures remembered so that a message cannot be replayed. */
const REMEMBERED_SIGNATURES = 65_536;

/** A header of this process for a message of its own. */
export function createHeader(type: string, session: string): Header {
  return {
    msg_id: randomUUID(),
    session,
    username: "kernel",
    date: new Date().toISOString(),
    msg_type: type,
    version: PROTOCOL_VERSION,
  };
}

function sign({ hash, key }: Signing, parts: readonly Uint8Array[]): string {
  if (key === "") return "";
  const hmac = createHmac(hash, key);
  for (const part of parts) hmac.update(part);
  return hmac.digest("hex");
}

export function encodeMessage(message: Message, signing: Signing): Uint8Array[] {
  const { header, parent, metadata, content } = message;
  const parts = [header, parent, metadata, content].map((part) => Buffer.from(toJson(part)));
  return [...message.identities, DELIMITER, Buffer.from(sign(signing, parts)), ...parts, ...message.buffers];
}

/** As JSON in which half a surrogate pair is U+FFFD: Python cannot save a notebook that has one. */
function toJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!/\\ud[89a-f]/.test(text)) return text;
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === "string") return wellFormed(item);
    if (typeof item !== "object" || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).map(([key, inner]) => [wellFormed(key), inner]));
  });
}

function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

/** A decoder that remembers signatures. It throws an Error that says what is wrong with the frames. */
export function createDecoder(signing: Signing): (frames: readonly Uint8Array[]) => Message {
  const seen = new Set<string>();
  return (frames) => {
    const start = frames.findIndex((frame) => DELIMITER.equals(frame));
    if (start < 0) throw new Error(`message without the delimiter <IDS|MSG>: ${frames.length} frames`);
    const [signature, ...parts] = frames.slice(start + 1, start + 6);
    if (signature === undefined || parts.length < 4) {
      throw new Error(`message is cut off: needs 5 frames after the delimiter, has ${frames.length - start - 1}`);
    }
    if (signing.key !== "") {
      const expected = Buffer.from(sign(signing, parts));
      if (expected.length !== signature.length || !timingSafeEqual(expected, signature)) {
        throw new Error("message with a wrong signature");
      }
      const name = expected.toString();
      if (seen.has(name)) throw new Error("message with a signature that was seen before");
      seen.add(name);
      if (seen.size > REMEMBERED_SIGNATURES) seen.delete(seen.values().next().value as string);
    }
    const [header, parent, metadata, content] = parts.map(parseObject) as [Content, Content, Content, Content];
    if (!isHeader(header)) throw new Error("message header lacks msg_id, session or msg_type");
    return {
      identities: frames.slice(0, start),
      header,
      parent: isHeader(parent) ? parent : {},
      metadata,
      content,
      buffers: frames.slice(start + 6),
    };
  };
}

function parseObject(frame: Uint8Array): Content {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString());
  } catch (error) {
    throw new Error(`message part is not JSON: ${messageOf(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error("message part is not a JSON object");
  }
  return value as Content;
}

function isHeader(value: object): value is Header {
  const { msg_id, session, msg_type } = value as Partial<Header>;
  return typeof msg_id === "string" && typeof session === "string" && typeof msg_type === "string";
}
