/** Jupyter's debug messages (DAP, with JupyterLab's additions) answered by V8's debugger in the process of the cells. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf } from "../errors.ts";
import type { Content } from "../protocol/message.ts";
import type { Script } from "../protocol/worker-channel.ts";
import { type CellPositions, cellPositions } from "./cell-positions.ts";
import { murmur2 } from "./murmur2.ts";

/** Asks V8's inspector; https://chromedevtools.github.io/devtools-protocol/v8/ */
export type AskInspector = (method: string, params?: object) => Promise<Content>;

export interface Debugger {
  /** The body of a `debug_reply`; https://jupyter-client.readthedocs.io/en/stable/messaging.html#debug-request */
  answer(request: Content): Promise<Content>;
  onInspectorEvent(method: string, params: Content): void;
  /** Before a cell runs: sets its breakpoints. */
  prepare(script: Script): Promise<void>;
  /** The cell is to be stopped, and so may not wait for the debugger. */
  release(): void;
  /** A new process knows nothing of the old one's breakpoints. */
  restart(): Promise<void>;
}

interface RemoteObject {
  type: string;
  subtype?: string;
  className?: string;
  value?: unknown;
  unserializableValue?: string;
  description?: string;
  objectId?: string;
}

interface CallFrame {
  callFrameId: string;
  functionName: string;
  url: string;
  location: { lineNumber: number; columnNumber: number };
  scopeChain: { type: string; name?: string; object: RemoteObject }[];
}

interface Cell {
  path: string;
  source: string;
  map: string;
  /** Read from the map on first need. */
  positions?: CellPositions;
  /** The ids of its breakpoints. */
  set: string[];
}

/** As ipykernel has it. */
const HASH_SEED = 0xc70f6907;
/** Files in the process of the cells that are no user's: steps and stacks pass over them. */
const passedOver = /\/node_modules\/|\/kernel\/(?:cell|display|protocol)\//;
const THREAD = 1;
const MAX_VARIABLES = 500;
const STEPS: Readonly<Record<string, string>> = {
  continue: "resume",
  next: "stepOver",
  stepIn: "stepInto",
  stepOut: "stepOut",
  pause: "pause",
};

export function createDebugger(ask: AskInspector, publish: (event: Content) => void): Debugger {
  const prefix = join(tmpdir(), `prunelab_${process.pid}`, "");
  const pathOf = (source: string) => join(prefix, `${murmur2(source, HASH_SEED)}.ts`);
  /** The lines of a source file at which to stop. */
  const breakpoints = new Map<string, number[]>();
  const cells = new Map<string, Cell>();
  let sequence = 0;
  let isStarted = false;
  let isSkipping = false;
  let frames: CallFrame[] = [];
  /** What `variablesReference` stands for, until the code goes on. */
  let references: (string | Content[])[] = [];

  const event = (name: string, body: Content = {}) => publish({ seq: ++sequence, type: "event", event: name, body });

  async function start(): Promise<void> {
    await ask("Debugger.enable");
    await ask("Debugger.setBlackboxPatterns", { patterns: ["^node:", passedOver.source] });
  }

  async function setBreakpoints(file: string): Promise<void> {
    const cell = cells.get(file);
    if (!cell) return;
    for (const breakpointId of cell.set) await ask("Debugger.removeBreakpoint", { breakpointId }).catch(() => {});
    cell.set = [];
    for (const line of breakpoints.get(cell.path) ?? []) {
      const at = positionsOf(cell).toScript(line);
      if (!at) continue;
      const params = { url: file, lineNumber: at.line - 1, columnNumber: at.column - 1 };
      const { breakpointId } = await ask("Debugger.setBreakpointByUrl", params);
      cell.set.push(String(breakpointId));
    }
  }

  function place({ url, location }: CallFrame): { path: string; line: number; column: number } {
    const at = { line: location.lineNumber + 1, column: location.columnNumber + 1 };
    const cell = cells.get(url);
    if (cell) return { path: cell.path, ...positionsOf(cell).toSource(at) };
    return { path: url.startsWith("file:") ? fileURLToPath(url) : url, ...at };
  }

  function refer(target: string | Content[] | undefined): number {
    return target === undefined ? 0 : references.push(target);
  }

  function variable(name: string, object: RemoteObject): Content {
    const value = textOf(object);
    const { type, className, objectId } = object;
    // JupyterLab's tree shows the type where there is one, and the value otherwise.
    const kind = objectId === undefined ? {} : { type: className ?? type };
    return { name, value, ...kind, evaluateName: name, variablesReference: refer(objectId) };
  }

  async function properties(objectId: string): Promise<Content[]> {
    const { result, privateProperties = [] } = (await ask("Runtime.getProperties", {
      objectId,
      ownProperties: true,
    })) as {
      result: { name: string; value?: RemoteObject; get?: RemoteObject }[];
      privateProperties?: { name: string; value?: RemoteObject }[];
    };
    return [...result, ...privateProperties]
      .slice(0, MAX_VARIABLES)
      .map(({ name, value }) => variable(name, value ?? { type: "accessor", description: "(computed)" }));
  }

  /** What the cells have declared; functions and classes of theirs too. */
  async function globals(): Promise<Content[]> {
    const { names } = (await ask("Runtime.globalLexicalScopeNames")) as { names: string[] };
    const found = names.sort().map(async (name) => {
      const { result, exceptionDetails } = await ask("Runtime.evaluate", { expression: name, silent: true });
      return exceptionDetails ? undefined : variable(name, result as RemoteObject);
    });
    return (await Promise.all(found)).filter((each) => each !== undefined);
  }

  function evaluate(expression: string, frameId: unknown, more: object = {}): Promise<Content> {
    const frame = typeof frameId === "number" ? frames[frameId - 1] : undefined;
    if (!frame)
      return ask("Runtime.evaluate", { expression, silent: true, replMode: true, awaitPromise: true, ...more });
    return ask("Debugger.evaluateOnCallFrame", { callFrameId: frame.callFrameId, expression, silent: true, ...more });
  }

  const commands: Record<string, (given: Content) => Content | Promise<Content>> = {
    debugInfo: () => ({
      isStarted,
      hashMethod: "Murmur2",
      hashSeed: HASH_SEED,
      tmpFilePrefix: `${prefix}/`,
      tmpFileSuffix: ".ts",
      breakpoints: [...breakpoints].map(([source, lines]) => ({
        source,
        breakpoints: lines.map((line) => ({ line })),
      })),
      stoppedThreads: frames.length > 0 ? [THREAD] : [],
      richRendering: true,
      copyToGlobals: false,
      exceptionPaths: [],
    }),
    initialize: () => ({
      supportsConfigurationDoneRequest: true,
      supportsExceptionInfoRequest: false,
      supportsSetVariable: false,
      // Cells run where V8 stops at no error.
      exceptionBreakpointFilters: [],
    }),
    attach: async () => {
      await start();
      isStarted = true;
      for (const file of cells.keys()) await setBreakpoints(file);
      event("initialized");
      event("process", { name: "cells", startMethod: "attach" });
      event("thread", { reason: "started", threadId: THREAD });
      return {};
    },
    disconnect: async () => {
      isStarted = false;
      breakpoints.clear();
      if (frames.length > 0) await ask("Debugger.resume").catch(() => {});
      await ask("Debugger.disable");
      return {};
    },
    configurationDone: () => ({}),
    dumpCell: ({ code }) => {
      const sourcePath = pathOf(String(code));
      mkdirSync(dirname(sourcePath), { recursive: true });
      writeFileSync(sourcePath, String(code));
      return { sourcePath };
    },
    setBreakpoints: async ({ source, breakpoints: given, lines }) => {
      const path = String((source as Content | undefined)?.path);
      const wanted = Array.isArray(given)
        ? given.map(({ line }: { line: number }) => line)
        : ((lines as number[]) ?? []);
      if (wanted.length > 0) breakpoints.set(path, wanted);
      else breakpoints.delete(path);
      for (const [file, cell] of cells) if (isStarted && cell.path === path) await setBreakpoints(file);
      return { breakpoints: wanted.map((line) => ({ verified: true, line, source: { path } })) };
    },
    setExceptionBreakpoints: () => ({ breakpoints: [] }),
    threads: () => ({ threads: [{ id: THREAD, name: "cells" }] }),
    stackTrace: () => {
      const shown = frames.map((frame, i) => {
        const { path, line, column } = place(frame);
        return {
          id: i + 1,
          name: frame.functionName || "(cell)",
          source: { name: path.split("/").pop(), path },
          line,
          column,
        };
      });
      return { stackFrames: shown, totalFrames: shown.length };
    },
    scopes: async ({ frameId }) => {
      const chain = frames[Number(frameId) - 1]?.scopeChain ?? [];
      const local = chain.filter(({ type }) => type !== "global" && type !== "script");
      const scopes = local.map(({ type, object }) => ({
        name: titleOf(type),
        variablesReference: refer(object.objectId),
        expensive: false,
      }));
      return { scopes: [...scopes, { name: "Globals", variablesReference: refer(await globals()), expensive: false }] };
    },
    variables: async ({ variablesReference }) => {
      const target = references[Number(variablesReference) - 1];
      if (target === undefined) throw new Error("the code has gone on since; these variables are no longer known");
      return { variables: typeof target === "string" ? await properties(target) : target };
    },
    inspectVariables: async () => ({ variables: await globals() }),
    richInspectVariables: async ({ variableName, frameId }) => {
      const expression = `__prunelab.bundleText(${variableName})`;
      const { result, exceptionDetails } = await evaluate(expression, frameId, { returnByValue: true });
      if (exceptionDetails) throw new Error(`cannot read variable ${variableName}`);
      return JSON.parse(String((result as RemoteObject).value)) as Content;
    },
    evaluate: async ({ expression, frameId }) => {
      const { result, exceptionDetails } = await evaluate(
        String(expression),
        frameId ?? (frames.length > 0 ? 1 : undefined),
      );
      const object = result as RemoteObject;
      if (exceptionDetails) throw new Error(textOf(object));
      return { result: textOf(object), type: object.type, variablesReference: refer(object.objectId) };
    },
    source: ({ source }) => {
      const path = String((source as Content | undefined)?.path);
      const cell = [...cells.values()].find((each) => each.path === path);
      return { content: cell?.source ?? readFileSync(path, "utf8"), mimeType: "application/typescript" };
    },
    modules: () => ({ modules: [], totalModules: 0 }),
  };
  for (const [command, method] of Object.entries(STEPS)) {
    commands[command] = async () => {
      await ask(`Debugger.${method}`);
      return { allThreadsContinued: true };
    };
  }

  return {
    answer: async (request) => {
      const { seq, command } = request;
      const base = { type: "response", request_seq: seq ?? 0, command };
      try {
        const run = Object.hasOwn(commands, String(command)) ? commands[String(command)] : undefined;
        if (!run) throw new Error(`the debugger does not know this command: ${command}`);
        const body = await run((request.arguments as Content | undefined) ?? {});
        return { ...base, seq: ++sequence, success: true, body };
      } catch (error) {
        return { ...base, seq: ++sequence, success: false, message: messageOf(error), body: {} };
      }
    },
    onInspectorEvent: (method, params) => {
      if (!isStarted) return;
      if (method === "Debugger.paused") {
        const all = params.callFrames as CallFrame[];
        frames = all.filter(({ url }) => cells.has(url) || (url.startsWith("file:") && !passedOver.test(url)));
        references = [];
        if (frames.length === 0) return void ask("Debugger.resume").catch(() => {});
        event("stopped", { reason: "breakpoint", threadId: THREAD, allThreadsStopped: true });
      } else if (method === "Debugger.resumed" && frames.length > 0) {
        frames = [];
        references = [];
        event("continued", { threadId: THREAD, allThreadsContinued: true });
      }
    },
    prepare: async ({ file, source, map }) => {
      cells.set(file, { path: pathOf(source), source, map, set: [] });
      if (!isStarted) return;
      if (isSkipping) await ask("Debugger.setSkipAllPauses", { skip: false });
      isSkipping = false;
      await setBreakpoints(file);
    },
    release: () => {
      if (frames.length === 0) return;
      isSkipping = true;
      ask("Debugger.setSkipAllPauses", { skip: true }).catch(() => {});
      ask("Debugger.resume").catch(() => {});
    },
    restart: async () => {
      if (frames.length > 0) event("continued", { threadId: THREAD, allThreadsContinued: true });
      frames = [];
      cells.clear();
      if (isStarted) await start();
    },
  };
}

function positionsOf(cell: Cell): CellPositions {
  cell.positions ??= cellPositions(cell.map);
  return cell.positions;
}

function textOf({ type, value, unserializableValue, description }: RemoteObject): string {
  if (unserializableValue !== undefined) return unserializableValue;
  if (type === "string") return JSON.stringify(value);
  return description ?? String(value);
}

function titleOf(type: string): string {
  return type.charAt(0).toUpperCase() + type.slice(1);
}
