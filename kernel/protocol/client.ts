/** A client of the kernel: starts one, runs cells on it over real sockets, and stops it. */
import { spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtFile } from "../../src/base/package-root.ts";
import { KernelError } from "../errors.ts";
import { type Channel, type Connection, channels } from "./connection.ts";
import { type Content, createDecoder, createHeader, encodeMessage, type Message } from "./message.ts";
import { connectSockets, type RequestChannel } from "./sockets.ts";

export interface KernelOptions {
  /** The notebook's folder (default: the current one). */
  cwd?: string;
  /** Added to this process's environment. */
  env?: Record<string, string>;
  /** More arguments for the kernel, such as `--no-check`. */
  args?: string[];
  /** How long the kernel may take to answer, in milliseconds (default: 60,000). */
  startTimeoutMs?: number;
  /** Sockets of files (the default, but on Windows) or of ports. */
  transport?: "ipc" | "tcp";
}

export interface ExecuteOptions {
  silent?: boolean;
  storeHistory?: boolean;
  stopOnError?: boolean;
  userExpressions?: Record<string, string>;
  /** Called for every message about the cell as it comes. */
  onMessage?: (message: Message) => void;
  /** Answers what the cell asks the user; without it the cell may not ask. */
  onInput?: (prompt: string, password: boolean) => string | Promise<string>;
}

export interface Execution {
  /** The content of the execute_reply. */
  reply: Content;
  /** The messages on iopub about the cell, but for `status`, in order. */
  messages: Message[];
}

export interface KernelClient {
  /** The content of the kernel_info_reply. */
  info: Content;
  pid: number;
  connection: Connection;
  /** Runs a cell; resolves after its reply and its idle. Rejects with KernelError when the kernel dies. */
  execute(code: string, options?: ExecuteOptions): Promise<Execution>;
  /** Any other request, such as `complete_request`; resolves with the reply. */
  request(type: string, content?: Content, channel?: "shell" | "control"): Promise<Message>;
  /** Sends a message that has no reply, such as `comm_msg`; returns its msg_id. */
  send(type: string, content: Content, channel?: RequestChannel): string;
  /** Hears every message of the kernel; returns a function that ends it. */
  listen(listener: (channel: Channel, message: Message) => void): () => void;
  interrupt(): Promise<void>;
  /** Shuts the kernel down, and kills it when it does not go. */
  close(): Promise<void>;
  /** Resolves when the process has ended; reads like `exit code 1`. */
  exited: Promise<string>;
  /** What the kernel's own process wrote to stderr. */
  log(): string;
}

const SHUTDOWN_WAIT_MS = 3000;

/** Throws KernelError, with what the kernel wrote, when it does not start. */
export async function startKernel(options: KernelOptions = {}): Promise<KernelClient> {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-kernel-"));
  const connection = await newConnection(folder, options.transport);
  const file = join(folder, "connection.json");
  writeFileSync(file, JSON.stringify(toFile(connection)), { mode: 0o600 });
  const child = spawn(process.execPath, [builtFile("kernel/server/main.js"), "run", ...(options.args ?? []), file], {
    cwd: options.cwd ?? process.cwd(),
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  let hasExited = false;
  const exited = once(child, "exit").then(([code, signal]) => {
    hasExited = true;
    return signal ? `signal ${signal}` : `exit code ${code}`;
  });

  const session = randomUUID();
  const decode = createDecoder(connection);
  const listeners = new Set<(channel: Channel, message: Message) => void>();
  const sockets = connectSockets(connection, session, (channel, frames) => {
    if (channel === "hb") return;
    const message = decode(frames);
    for (const listener of [...listeners]) listener(channel, message);
  });
  const listen: KernelClient["listen"] = (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };

  function send(
    type: string,
    content: Content,
    channel: RequestChannel = "shell",
    parent: Message["parent"] = {},
  ): string {
    const header = createHeader(type, session);
    const message: Message = { identities: [], header, parent, metadata: {}, content, buffers: [] };
    sockets.send(channel, encodeMessage(message, connection));
    return header.msg_id;
  }

  /** Rejects when the kernel ends first. */
  function whileAlive<T>(promise: Promise<T>): Promise<T> {
    const death = exited.then((reason) => {
      throw new KernelError(`the kernel died (${reason})${log === "" ? "" : `: ${log.trim()}`}`);
    });
    return Promise.race([promise, death]);
  }

  function reply(id: string): Promise<Message> {
    return new Promise((resolve) => {
      const stop = listen((channel, message) => {
        if ((channel !== "shell" && channel !== "control") || message.parent.msg_id !== id) return;
        stop();
        resolve(message);
      });
    });
  }

  const request: KernelClient["request"] = (type, content = {}, channel = "shell") => {
    const id = send(type, content, channel);
    return whileAlive(reply(id));
  };

  async function execute(code: string, options: ExecuteOptions = {}): Promise<Execution> {
    const messages: Message[] = [];
    const id = send("execute_request", {
      code,
      silent: options.silent ?? false,
      store_history: options.storeHistory ?? true,
      user_expressions: options.userExpressions ?? {},
      allow_stdin: options.onInput !== undefined,
      stop_on_error: options.stopOnError ?? true,
    });
    const idle = new Promise<void>((resolve) => {
      const stop = listen((channel, message) => {
        if (message.parent.msg_id !== id) return;
        if (channel === "stdin") void answer(message);
        if (channel !== "iopub") return;
        options.onMessage?.(message);
        if (message.header.msg_type !== "status") messages.push(message);
        else if (message.content.execution_state === "idle") {
          stop();
          resolve();
        }
      });
    });
    const answer = async ({ content, header }: Message) => {
      const value = await options.onInput?.(String(content.prompt), content.password === true);
      send("input_reply", { status: "ok", value: value ?? "" }, "stdin", header);
    };
    const [replied] = await whileAlive(Promise.all([reply(id), idle]));
    return { reply: replied.content, messages };
  }

  async function close(): Promise<void> {
    if (!hasExited) {
      send("shutdown_request", { restart: false }, "control");
      const timer = setTimeout(() => child.kill("SIGKILL"), SHUTDOWN_WAIT_MS);
      await exited;
      clearTimeout(timer);
    }
    sockets.close();
    rmSync(folder, { recursive: true, force: true });
  }

  const subscribed = new Promise<void>((resolve) => {
    const stop = listen((_channel, { header }) => {
      if (header.msg_type !== "iopub_welcome") return;
      stop();
      resolve();
    });
  });
  const timeoutMs = options.startTimeoutMs ?? 60_000;
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new KernelError(`the kernel did not answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    const [info] = await Promise.race([Promise.all([request("kernel_info_request"), whileAlive(subscribed)]), tooLate]);
    return {
      info: info.content,
      pid: child.pid as number,
      connection,
      execute,
      request,
      send,
      listen,
      interrupt: async () => {
        await request("interrupt_request", {}, "control");
      },
      close,
      exited,
      log: () => log,
    };
  } catch (error) {
    child.kill("SIGKILL");
    await close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function newConnection(folder: string, transport: "ipc" | "tcp" | undefined): Promise<Connection> {
  const key = randomBytes(32).toString("hex");
  const chosen = transport ?? (process.platform === "win32" ? "tcp" : "ipc");
  const numbers = chosen === "tcp" ? await freePorts(channels.length) : channels.map((_channel, i) => i + 1);
  const ports = Object.fromEntries(channels.map((channel, i) => [channel, numbers[i]])) as Connection["ports"];
  return { transport: chosen, ip: chosen === "tcp" ? "127.0.0.1" : join(folder, "socket"), ports, hash: "sha256", key };
}

function toFile({ transport, ip, ports, hash, key }: Connection): Content {
  const named = Object.entries(ports).map(([channel, port]) => [`${channel}_port`, port]);
  return { transport, ip, key, signature_scheme: `hmac-${hash}`, ...Object.fromEntries(named) };
}

/** Ports that are free now, as Jupyter finds them too. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  const ports = await Promise.all(
    servers.map(async (server) => {
      if (!server.listening) await once(server, "listening");
      return (server.address() as { port: number }).port;
    }),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
