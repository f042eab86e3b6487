/** Turns a value into a MIME bundle: by its own `Symbol.for("Jupyter.display")`, by kind, else as text. */
import { inspect, types } from "node:util";
import { cutText } from "../../src/base/cut-text.ts";
import { toPlainJson } from "../../src/base/plain-json.ts";
import type { MimeBundle } from "../protocol/worker-channel.ts";
import { arrayText } from "./display-array.ts";
import { mapBundle } from "./display-collection.ts";
import { figureBundle, finishFigure, isFigure } from "./display-figure.ts";
import { frameBundle } from "./display-frame.ts";
import { imageBundle } from "./display-image.ts";
import { withoutAsyncIds } from "./owner.ts";
import { describeError } from "./traceback.ts";

/** A value with a method of this name shows itself: it returns MIME types with their data, or a promise of them. */
export const displaySymbol: unique symbol = Symbol.for("Jupyter.display") as never;

const MAX_TEXT_CHARACTERS = 200_000;

/** A promise only where the value's own method returns one. Never throws: what fails is told in the bundle. */
export function toBundle(value: unknown): MimeBundle | Promise<MimeBundle> {
  try {
    const own = readOr(value, () => ownBundle(value));
    if (own instanceof Promise) return own.then((data) => checked(data, value)).catch((error) => failed(value, error));
    if (own !== undefined) return checked(own, value);
    const known = readOr(value, () => knownBundle(value));
    if (known instanceof Promise)
      return known.then((data) => checked(data, value)).catch((error) => failed(value, error));
    if (known !== undefined) return checked(known, value);
    return { data: { "text/plain": toText(value) }, metadata: {} };
  } catch (error) {
    return failed(value, error);
  }
}

/** A proxy may throw at whatever is asked of it; it is shown as text then. */
function readOr<Result>(value: unknown, read: () => Result): Result | undefined {
  try {
    return read();
  } catch (error) {
    if (types.isProxy(value)) return undefined;
    throw error;
  }
}

function ownBundle(value: unknown): unknown {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  // A proxy that answers to every name shows itself only if it says that it has this one, and then with a bundle.
  if (!(displaySymbol in value)) return undefined;
  const method = (value as Record<symbol, unknown>)[displaySymbol];
  if (typeof method !== "function") return undefined;
  const data: unknown = method.call(value);
  const isBundle = data instanceof Promise || (typeof data === "object" && data !== null);
  return types.isProxy(value) && !isBundle ? undefined : data;
}

/** What shows itself better than as text, told by its kind or by its shape. */
function knownBundle(value: unknown): Record<string, unknown> | Promise<Record<string, unknown>> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const array = arrayText(value);
  if (array !== undefined) return imageBundle(value) ?? { "text/plain": array };
  if (isFigure(value)) return figureBundle(value);
  return imageBundle(value) ?? mapBundle(value) ?? frameBundle(value);
}

/** The bundle that a display method returned, if it can be sent; bytes travel in base64. */
export function checked(data: unknown, value: unknown): MimeBundle {
  if (typeof data !== "object" || data === null || Object.keys(data).length === 0) {
    throw new TypeError(`Jupyter.display must return an object of MIME types; it returned ${typeof data}`);
  }
  // Sent as JSON, so it is made JSON here, where an error can still be shown.
  const plain = JSON.parse(toPlainJson(encodeBytes(data))) as Record<string, unknown>;
  const whole = "text/plain" in plain ? plain : { ...plain, "text/plain": plainName(value) };
  return finishFigure({ data: whole, metadata: {} });
}

function encodeBytes(data: object): Record<string, unknown> {
  const entries = Object.entries(data).map(([type, content]: [string, unknown]) => {
    const bytes = bytesOf(content);
    if (!bytes || /\bjson$/.test(type)) return [type, content];
    return [type, /^text\/|\+xml$|javascript$/.test(type) ? bytes.toString() : bytes.toString("base64")];
  });
  return Object.fromEntries(entries);
}

function bytesOf(content: unknown): Buffer | undefined {
  if (types.isAnyArrayBuffer(content)) return Buffer.from(content);
  if (!(content instanceof Uint8Array) && !(content instanceof Uint8ClampedArray)) return undefined;
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength);
}

function failed(value: unknown, error: unknown): MimeBundle {
  const { name, value: message } = describeError(error);
  return { data: { "text/plain": `${toText(value)}\n(cannot display it: ${name}: ${message})` }, metadata: {} };
}

function plainName(value: unknown): string {
  try {
    return `[${(value as object).constructor.name}]`;
  } catch {
    return "[Object]";
  }
}

/** As Node's console writes it, without colour codes. */
export function toText(value: unknown): string {
  try {
    const text = withoutAsyncIds(inspect(value));
    if (text.length <= MAX_TEXT_CHARACTERS) return text;
    return `${cutText(text, MAX_TEXT_CHARACTERS)}… ${text.length - MAX_TEXT_CHARACTERS} more characters`;
  } catch (error) {
    return `(a value that cannot be shown: ${describeError(error).value})`;
  }
}
