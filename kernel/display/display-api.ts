/** `display` and `clearOutput` as cells call them, and the same under the names of the package tslab. */
import { randomUUID } from "node:crypto";
import { types } from "node:util";
import type { MimeBundle } from "../protocol/worker-channel.ts";
import { checked, toBundle } from "./display.ts";
import { interactiveHtml, isFigure, plotlyHtml, setInteractive } from "./display-figure.ts";
import { ownerId } from "./owner.ts";

export type Publish = (
  id: string,
  messageType: "display_data" | "update_display_data" | "clear_output",
  content: Record<string, unknown>,
) => void;

export interface DisplayOptions {
  /** Names the output, so that a later call can update it. */
  id?: string;
  /** Replaces the outputs of that id instead of adding one. */
  update?: boolean;
  /** The value is itself an object of MIME types with their data. */
  raw?: boolean;
  /** Embeds a plotly figure with plotly.js itself; `display.interactive()` needs it once for all figures. */
  interactive?: boolean;
}

/** The methods of tslab's `display`; each shows one MIME type. */
const MIME_METHODS = {
  javascript: "application/javascript",
  html: "text/html",
  markdown: "text/markdown",
  latex: "text/latex",
  svg: "image/svg+xml",
  png: "image/png",
  jpeg: "image/jpeg",
  gif: "image/gif",
  pdf: "application/pdf",
  text: "text/plain",
} as const;

type MimeMethods = Record<keyof typeof MIME_METHODS, (content: string | Uint8Array) => void> & {
  raw(type: string, content: string | Uint8Array): void;
};

/** As tslab's `display`, and the kernel's own. */
interface DisplayMethods extends MimeMethods {
  /** Makes the figures of the notebook interactive from here on, by one plotly.js (4.5 MB) in this output; `false` ends it. */
  interactive(on?: boolean): void;
}

export interface DisplayApi {
  display: ((value: unknown, options?: DisplayOptions) => void) & DisplayMethods;
  newDisplay(): MimeMethods;
  clearOutput(options?: { wait?: boolean }): void;
  /** Resolves once what the request has displayed so far is sent, promises included. */
  settled(id: string): Promise<void>;
}

export function createDisplayApi(publish: Publish): DisplayApi {
  const waiting = new Map<string, Set<Promise<void>>>();

  function send(owner: string, { data, metadata }: MimeBundle, { id, update = false }: DisplayOptions): void {
    const transient = id === undefined ? {} : { display_id: id };
    publish(owner, update ? "update_display_data" : "display_data", { data, metadata, transient });
  }

  function display(value: unknown, options: DisplayOptions = {}): void {
    const owner = ownerId();
    const bundle = bundleOf(value, options);
    if (!(bundle instanceof Promise)) {
      send(owner, bundle, options);
      return;
    }
    const sending = bundle.then((ready) => {
      send(owner, ready, options);
      waiting.get(owner)?.delete(sending);
    });
    waiting.set(owner, (waiting.get(owner) ?? new Set()).add(sending));
  }

  function mimeMethods(options: () => DisplayOptions): MimeMethods {
    const raw = (type: string, content: string | Uint8Array) =>
      send(ownerId(), { data: { [type]: encode(content) }, metadata: {} }, options());
    const methods = Object.entries(MIME_METHODS).map(([name, type]) => [
      name,
      (content: string | Uint8Array) => raw(type, content),
    ]);
    return { ...Object.fromEntries(methods), raw } as MimeMethods;
  }

  return {
    display: Object.assign(display, {
      ...mimeMethods(() => ({})),
      interactive: (on = true) => {
        setInteractive(on);
        const data = { "text/html": plotlyHtml(), "text/plain": "Figures below are interactive." };
        if (on) send(ownerId(), { data, metadata: {} }, {});
      },
    }),
    newDisplay: () => {
      const id = randomUUID();
      let shown = false;
      return mimeMethods(() => {
        const update = shown;
        shown = true;
        return { id, update };
      });
    },
    clearOutput: ({ wait = false } = {}) => publish(ownerId(), "clear_output", { wait }),
    settled: async (id) => {
      await Promise.all(waiting.get(id) ?? []);
      waiting.delete(id);
    },
  };
}

function bundleOf(value: unknown, { raw, interactive }: DisplayOptions): MimeBundle | Promise<MimeBundle> {
  if (raw || isMimeBundle(value)) return checked(value, value);
  if (!interactive || typeof value !== "object" || value === null || !isFigure(value)) return toBundle(value);
  return { data: { "text/html": interactiveHtml(value), "text/plain": "Plotly figure" }, metadata: {} };
}

/** An object of MIME types with their data, such as `{ "text/html": "<b>bold</b>" }`. */
function isMimeBundle(value: unknown): boolean {
  if (typeof value !== "object" || value === null || types.isProxy(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const keys = Object.keys(value);
  return keys.length > 0 && keys.every((key) => /^(text|image|audio|video|application)\/[\w.+-]+$/.test(key));
}

/** Bytes travel in base64. */
function encode(content: string | Uint8Array): string {
  return typeof content === "string" ? content : Buffer.from(content).toString("base64");
}
