/** The types of what a cell finds besides Node's own globals; worker.ts puts the values there. */

/** Declarations in TypeScript, for the checker, completion and inspection. */
export const cellGlobals = `
/** Text of one MIME type that shows itself. */
interface Markup { readonly type: string; readonly text: string; toString(): string }
interface MarkupTag {
  (strings: TemplateStringsArray | string, ...values: unknown[]): Markup;
  /** Text that is to be inserted as it is. */
  raw(text: string): Markup;
}
interface DisplayOptions {
  /** Names the output, so that a later call can update it. */
  id?: string;
  /** Replaces the outputs of that id instead of adding one. */
  update?: boolean;
  /** The value is itself an object of MIME types with their data. */
  raw?: boolean;
  /** Embeds a plotly figure with plotly.js itself, some 4 MB, instead of showing its SVG. */
  interactive?: boolean;
}
interface Display {
  /** Shows a value below the cell. An object says how it looks by a method named \`Symbol.for("Jupyter.display")\` that returns MIME types with their data. */
  (value: unknown, options?: DisplayOptions): void;
  javascript(text: string): void;
  html(text: string): void;
  markdown(text: string): void;
  latex(text: string): void;
  svg(text: string): void;
  png(bytes: Uint8Array | string): void;
  jpeg(bytes: Uint8Array | string): void;
  gif(bytes: Uint8Array | string): void;
  pdf(bytes: Uint8Array | string): void;
  text(text: string): void;
  /** Makes the figures below interactive, with hover, by one plotly.js (4.5 MB) in this output; \`false\` ends it. */
  interactive(on?: boolean): void;
  /** Shows content of any MIME type; bytes travel in base64. */
  raw(type: string, content: string | Uint8Array): void;
}
interface Comm {
  readonly id: string;
  readonly target: string;
  send(data: unknown, buffers?: Uint8Array[]): void;
  close(data?: unknown): void;
  onMessage?: (data: any, buffers: Uint8Array[]) => void;
  onClose?: (data: any) => void;
}
interface Comms {
  /** Opens a comm to the front end's target of that name. */
  open(target: string, data?: unknown, buffers?: Uint8Array[]): Comm;
  /** Answers comms that the front end opens; without a handler they are closed at once. */
  register(target: string, onOpen: (comm: Comm, data: any, buffers: Uint8Array[]) => void): void;
}
interface ProgressBar {
  /** Moves the bar to \`done\` of its total, or one step on. */
  update(done?: number, note?: string): void;
  /** Ends the bar where it stands. */
  close(): void;
}
interface ProgressOptions { total?: number; label?: string }
/** Shows a value below the cell; its methods show text or bytes of one MIME type. */
declare const display: Display;
/** Removes the outputs of the cell; with \`wait\`, as soon as a new one comes. */
declare function clearOutput(options?: { wait?: boolean }): void;
/** HTML that shows itself; inserted values are escaped, but for the results of \`html\` and \`svg\`. */
declare const html: MarkupTag;
/** SVG that shows itself; inserted values are escaped. */
declare const svg: MarkupTag;
/** Markdown that shows itself. */
declare const md: MarkupTag;
/** A progress bar that updates in place. */
declare function progress(total: number, label?: string): ProgressBar;
/** Goes through the values and shows how far it is. */
declare function progress<T>(values: Iterable<T>, options?: ProgressOptions): Iterable<T>;
declare function progress<T>(values: AsyncIterable<T>, options?: ProgressOptions): AsyncIterable<T>;
/** Asks for a line of text and waits for it. */
declare function prompt(message?: string, fallback?: string): string;
/** Asks for yes or no and waits for it. */
declare function confirm(message?: string): boolean;
/** Asks for a password, which is not shown, and waits for it. */
declare function promptPassword(message?: string): string;
/** Channels to widgets in the front end. */
declare const comms: Comms;
`;
