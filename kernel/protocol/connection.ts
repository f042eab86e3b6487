/** Reads and checks the connection file that a Jupyter client hands to a kernel. */
import { getHashes } from "node:crypto";
import { readFileSync } from "node:fs";
import { KernelError, messageOf } from "../errors.ts";

/** Where to bind and how to sign; https://jupyter-client.readthedocs.io/en/stable/kernels.html#connection-files */
export interface Connection {
  transport: "tcp" | "ipc";
  ip: string;
  ports: Record<Channel, number>;
  /** The name of the hash, such as `sha256`. */
  hash: string;
  /** The shared secret; messages are unsigned when it is empty. */
  key: string;
}

export const channels = ["shell", "iopub", "stdin", "control", "hb"] as const;
export type Channel = (typeof channels)[number];

/** Throws KernelError, naming the field, when the file is missing or is not a connection file. */
export function readConnection(path: string): Connection {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new KernelError(`cannot read the connection file: ${messageOf(error)}`);
  }
  return parseConnection(text, path);
}

/** `path` is only for the messages of errors. */
export function parseConnection(text: string, path: string): Connection {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new KernelError(`connection file is not JSON: ${path}: ${messageOf(error)}`);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new KernelError(`connection file is not a JSON object: ${path}`);
  }
  const fields = json as Record<string, unknown>;
  const fail = (name: string, wanted: string): never => {
    throw new KernelError(
      `invalid ${name} in the connection file; needs ${wanted}: ${path}: ${JSON.stringify(fields[name])}`,
    );
  };
  const { transport = "tcp", ip, key = "", signature_scheme: scheme = "hmac-sha256" } = fields;
  if (transport !== "tcp" && transport !== "ipc") fail("transport", '"tcp" or "ipc"');
  if (typeof ip !== "string" || ip === "") fail("ip", "a string");
  if (typeof key !== "string") fail("key", "a string");
  const hash = typeof scheme === "string" && scheme.startsWith("hmac-") ? scheme.slice("hmac-".length) : "";
  if (!getHashes().includes(hash)) fail("signature_scheme", '"hmac-" and the name of a hash');
  const ports = Object.fromEntries(
    channels.map((channel) => {
      const port = fields[`${channel}_port`];
      if (!Number.isInteger(port) || (port as number) < 1 || (port as number) > 65_535) {
        fail(`${channel}_port`, "a port from 1 to 65535");
      }
      return [channel, port];
    }),
  ) as Record<Channel, number>;
  return { transport: transport as Connection["transport"], ip: ip as string, ports, hash, key: key as string };
}

/** The ZeroMQ endpoint of a channel. */
export function endpoint({ transport, ip, ports }: Connection, channel: Channel): string {
  return transport === "tcp" ? `tcp://${ip}:${ports[channel]}` : `ipc://${ip}-${ports[channel]}`;
}
