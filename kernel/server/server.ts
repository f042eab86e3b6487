/** Answers a client's messages: busy before, the reply, idle after; cells one at a time, everything else at once. */

import { messageOf } from "../errors.ts";
import { type Connection, channels } from "../protocol/connection.ts";
import { type Content, createDecoder, createHeader, encodeMessage, type Message } from "../protocol/message.ts";
import { bindSockets, type RequestChannel } from "../protocol/sockets.ts";
import type { CommContent } from "../protocol/worker-channel.ts";
import { createDebugger } from "./debugger.ts";
import { type ExecuteContext, executeCell } from "./execute.ts";
import { openHistory } from "./history.ts";
import { kernelInfo } from "./kernel-info.ts";
import { startLanguageService } from "./language-service.ts";
import { startSession } from "./session.ts";
import { createStreams } from "./streams.ts";

export interface ServerOptions {
  /** Whether cells are type-checked before they run. */
  check: boolean;
  historyPath: string;
}

export interface Server {
  /** Stops the running cell, as the interrupt button does. */
  interrupt(): void;
  close(): Promise<void>;
  /** Resolves when a client has asked for the shutdown. */
  ended: Promise<void>;
}

/** Requests remembered, so that late output finds its cell. */
const REMEMBERED_REQUESTS = 10_000;

export async function startServer(connection: Connection, options: ServerOptions): Promise<Server> {
  // Takes longest to start, so it starts first.
  const language = startLanguageService({ check: options.check });
  const sessionId = createHeader("", "").msg_id;
  const decode = createDecoder(connection);
  const history = openHistory(options.historyPath);
  const requests = new Map<string, Message>();
  const comms = new Map<string, string>();
  const queue: Message[] = [];
  let executing: Message | undefined;
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });

  const streams = createStreams((id, name, text) => publishRaw(id, "stream", { name, text }));
  const sockets = await bindSockets(connection);
  const session = startSession(language, {
    onStream: streams.add,
    onPublish: ({ id, messageType, content, buffers = [], metadata }) => {
      trackComm(messageType, content as unknown as CommContent);
      publish(
        id,
        messageType,
        content,
        buffers.map((buffer) => Buffer.from(buffer, "base64")),
        metadata,
      );
    },
    onLateError: (id, { name, value, traceback }) => publish(id, "error", { ename: name, evalue: value, traceback }),
    onScript: (script) => debug.prepare(script),
    onInspectorEvent: (method, params) => debug.onInspectorEvent(method, params),
    onReplaced: () => void debug.restart().catch(() => {}),
    onInput: (id, prompt, password) => {
      const request = requests.get(id);
      if (request?.content.allow_stdin !== true) {
        session.answerInput({ unavailable: "this run cannot ask for input: the client does not allow it" });
        return;
      }
      streams.flush();
      send("stdin", request, "input_request", { prompt, password });
    },
  });

  const debug = createDebugger(
    (method, params) => session.inspect(method, params),
    (event) => publish("", "debug_event", event),
  );

  function interrupt(): void {
    debug.release();
    session.interrupt();
  }

  function send(channel: RequestChannel, request: Message, type: string, content: Content): void {
    const header = createHeader(type, sessionId);
    const message = {
      identities: request.identities,
      header,
      parent: request.header,
      metadata: {},
      content,
      buffers: [],
    };
    sockets.send(channel, encodeMessage(message, connection));
  }

  function publishRaw(
    id: string,
    type: string,
    content: Content,
    buffers: Uint8Array[] = [],
    metadata: Content = {},
  ): void {
    const header = createHeader(type, sessionId);
    const parent = requests.get(id)?.header ?? {};
    const message = { identities: [Buffer.from(type)], header, parent, metadata, content, buffers };
    sockets.send("iopub", encodeMessage(message, connection));
  }

  function publish(id: string, type: string, content: Content, buffers?: Uint8Array[], metadata?: Content): void {
    streams.flush();
    publishRaw(id, type, content, buffers, metadata);
  }

  function remember(request: Message): void {
    requests.set(request.header.msg_id, request);
    if (requests.size > REMEMBERED_REQUESTS) requests.delete(requests.keys().next().value as string);
  }

  function receive(channel: RequestChannel, request: Message): void {
    const type = request.header.msg_type;
    if (type === "input_reply") {
      const { value } = request.content;
      session.answerInput({ value: typeof value === "string" ? value : "" });
      return;
    }
    remember(request);
    if (type === "execute_request") {
      queue.push(request);
      if (!executing) void executeQueue();
      return;
    }
    void answer(channel, request);
  }

  /** Everything but cells is answered at once, also while a cell runs. */
  async function answer(channel: RequestChannel, request: Message): Promise<void> {
    const { msg_id: id, msg_type: type } = request.header;
    publish(id, "status", { execution_state: "busy" });
    try {
      const content = await replyContent(request);
      if (content) send(channel, request, type.replace(/_request$/, "_reply"), content);
      else if (type.endsWith("_request")) process.stderr.write(`kernel: unknown request on ${channel}: ${type}\n`);
    } catch (error) {
      const value = messageOf(error);
      const content = { status: "error", ename: "KernelError", evalue: value, traceback: [value] };
      send(channel, request, type.replace(/_request$/, "_reply"), content);
    }
    publish(id, "status", { execution_state: "idle" });
    // Front ends show the latest status, and a cell may still be running.
    if (executing) publish(executing.header.msg_id, "status", { execution_state: "busy" });
    if (type === "shutdown_request") end();
  }

  async function replyContent({ header, content, buffers }: Message): Promise<Content | undefined> {
    const text = (name: string) => (typeof content[name] === "string" ? (content[name] as string) : "");
    const position = typeof content.cursor_pos === "number" ? content.cursor_pos : Number.MAX_SAFE_INTEGER;
    switch (header.msg_type) {
      case "kernel_info_request":
        return kernelInfo();
      case "complete_request": {
        const { start, end, items } = await language.complete(text("code"), position);
        const typed = items.map((item) => ({ ...item, type: item.kind, start, end }));
        return {
          status: "ok",
          matches: items.map((item) => item.text),
          cursor_start: start,
          cursor_end: end,
          metadata: { _jupyter_types_experimental: typed },
        };
      }
      case "inspect_request": {
        const found = await language.inspect(text("code"), position);
        return { status: "ok", found: found !== undefined, data: found?.data ?? {}, metadata: {} };
      }
      case "is_complete_request":
        return { ...(await language.isComplete(text("code"))) };
      case "history_request":
        return { status: "ok", history: history.query(content) };
      case "comm_info_request": {
        const target = content.target_name;
        const wanted = [...comms].filter(([, name]) => typeof target !== "string" || target === "" || name === target);
        return { status: "ok", comms: Object.fromEntries(wanted.map(([id, name]) => [id, { target_name: name }])) };
      }
      case "connect_request":
        return {
          status: "ok",
          ...Object.fromEntries(channels.map((name) => [`${name}_port`, connection.ports[name]])),
        };
      case "debug_request":
        return debug.answer(content);
      case "interrupt_request":
        interrupt();
        return { status: "ok" };
      case "shutdown_request":
        return { status: "ok", restart: content.restart === true };
      case "comm_open":
      case "comm_msg":
      case "comm_close": {
        const comm = content as unknown as CommContent;
        trackComm(header.msg_type, comm);
        const encoded = buffers.map((buffer) => Buffer.from(buffer).toString("base64"));
        session.sendComm({ type: "comm", id: header.msg_id, event: header.msg_type, content: comm, buffers: encoded });
        return undefined;
      }
      default:
        return undefined;
    }
  }

  function trackComm(type: string, { comm_id: id, target_name: target = "" }: CommContent): void {
    if (type === "comm_open") comms.set(id, target);
    else if (type === "comm_close") comms.delete(id);
  }

  const context: ExecuteContext = { language, session, history, check: options.check, publish };

  async function executeQueue(): Promise<void> {
    for (let request = queue.shift(); request; request = queue.shift()) {
      executing = request;
      const { msg_id: id } = request.header;
      publish(id, "status", { execution_state: "busy" });
      const reply = await executeCell(request, context);
      streams.flush();
      send("shell", request, "execute_reply", reply);
      executing = undefined;
      publish(id, "status", { execution_state: "idle" });
      if (reply.status === "error" && request.content.stop_on_error !== false)
        abort(queue.splice(0), reply.execution_count);
    }
  }

  function abort(requests: readonly Message[], count: unknown): void {
    for (const request of requests) {
      const { msg_id: id } = request.header;
      publish(id, "status", { execution_state: "busy" });
      send("shell", request, "execute_reply", { status: "aborted", execution_count: count });
      publish(id, "status", { execution_state: "idle" });
    }
  }

  sockets.listen({
    onFrames: (channel, frames) => {
      try {
        receive(channel, decode(frames));
      } catch (error) {
        process.stderr.write(`kernel: dropped on ${channel}: ${messageOf(error)}\n`);
      }
    },
    // The first message that a client hears (JEP 65); so no "starting" goes out before it.
    onSubscription: (topic) => publishRaw("", "iopub_welcome", { subscription: topic }),
  });
  return {
    interrupt,
    ended,
    close: async () => {
      streams.flush();
      await session.close();
      await sockets.close();
    },
  };
}
