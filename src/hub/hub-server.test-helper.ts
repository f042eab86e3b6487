/** A small server that speaks as much of the Hub's protocol as the library and this folder use, and misbehaves on request. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type UploadFaults, type Uploads, uploads } from "./hub-upload.test-helper.ts";

export interface ServedRepo {
  readonly type?: "model" | "dataset";
  readonly name: string;
  /** By revision, then by path; each revision is a commit. */
  readonly revisions: Readonly<Record<string, Readonly<Record<string, string | Buffer>>>>;
  readonly isGated?: boolean;
}

/** What goes wrong; each is looked at on every request, so a test may change it on the way. */
export interface Faults extends UploadFaults {
  /** Numbers of bytes after which the next answers with content are cut off; one for each answer, then none. */
  cuts: number[];
  /** Statuses that the next requests get. */
  statuses: number[];
  ignoresRange: boolean;
  /** Sends other bytes than it announced the checksum of. */
  corrupts: boolean;
  /** Sends these many bytes of content and then nothing more, without closing. */
  stallsAfter: number | undefined;
  /** Milliseconds between pieces of 64 KiB. */
  slowsBy: number;
  /** Sizes that the list of files says instead of the true ones. */
  sizes: Record<string, number>;
}

export interface FakeHub {
  readonly url: string;
  readonly faults: Faults;
  /** All requests, e.g. `"GET /a/b/resolve/…/x bytes=5- hf_good"`: method, path, range and token. */
  readonly requests: string[];
  /** What was pushed. */
  readonly uploads: Pick<Uploads, "written" | "stored">;
  close(): Promise<void>;
}

export function commitOf(repo: ServedRepo, revision = "main"): string {
  return createHash("sha1").update(`${repo.name} ${revision}`).digest("hex");
}

const goodToken = "hf_good";
/** Lets in, but has not accepted the terms of gated repositories. */
const otherToken = "hf_other";

export async function startHub(repos: readonly ServedRepo[]): Promise<FakeHub> {
  const faults: Faults = {
    cuts: [],
    statuses: [],
    ignoresRange: false,
    corrupts: false,
    stallsAfter: undefined,
    slowsBy: 0,
    sizes: {},
    onWrite: undefined,
    partBytes: Number.POSITIVE_INFINITY,
  };
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const token = request.headers.authorization?.replace("Bearer ", "");
    requests.push([request.method, request.url, request.headers.range, token].filter(Boolean).join(" "));
    answer(request, response, token).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const writes = uploads(() => url, faults, { goodToken, owner: "me", isLarge: (bytes) => bytes > 1_000 });

  async function answer(request: IncomingMessage, response: ServerResponse, token: string | undefined): Promise<void> {
    const refuse = (status: number, code = "", message = "") => {
      response.writeHead(status, {
        ...(code ? { "x-error-code": code } : {}),
        ...(message ? { "x-error-message": message } : {}),
      });
      response.end(message);
    };
    const status = faults.statuses.shift();
    if (status) return refuse(status);
    if (await writes.answer(request, response, token)) return;
    const { pathname, searchParams } = new URL(request.url!, url);
    // As on the Hub, large files come from another host, which must not see the token.
    const stored = /^\/cdn\/(\w+)$/.exec(pathname);
    if (stored) return send(request, response, contents.get(stored[1]!)!);
    if (token && token !== goodToken && token !== otherToken)
      return refuse(401, "", "Invalid credentials in Authorization header");
    const api = /^\/api\/(model|dataset)s\/(.+?)\/(revision|tree)\/(.+)$/.exec(pathname);
    const file = /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(pathname);
    if (!api && !file) return refuse(404);
    const type = api ? api[1] : file![1] ? "dataset" : "model";
    const name = (api?.[2] ?? file?.[2])!;
    const repo = repos.find((candidate) => candidate.name === name && (candidate.type ?? "model") === type);
    if (!repo) return token ? refuse(404, "RepoNotFound") : refuse(401, "", "Invalid username or password.");
    const wanted = decodeURIComponent((api?.[4] ?? file?.[3])!);
    const revision = Object.keys(repo.revisions).find((candidate) =>
      [candidate, commitOf(repo, candidate)].includes(wanted),
    );
    if (revision === undefined) return refuse(404, "RevisionNotFound");
    const files = repo.revisions[revision]!;
    if (api?.[3] === "revision") {
      response.setHeader("content-type", "application/json");
      return void response.end(JSON.stringify({ _id: "1", id: name, sha: commitOf(repo, revision) }));
    }
    if (api) return list(response, files, pathname, Number(searchParams.get("cursor") ?? 0));

    const content = files[decodeURIComponent(file![4]!)];
    if (content === undefined) return refuse(404, "EntryNotFound");
    if (repo.isGated && token !== goodToken) return refuse(token ? 403 : 401, "GatedRepo");
    const bytes = Buffer.from(content);
    const commit = { "x-repo-commit": commitOf(repo, revision) };
    if (!isLarge(bytes)) return send(request, response, bytes, commit);
    contents.set(sha256(bytes), bytes);
    response.writeHead(302, {
      ...commit,
      location: `http://localhost:${port}/cdn/${sha256(bytes)}`,
      "x-linked-etag": `"${sha256(bytes)}"`,
      "x-linked-size": bytes.length,
    });
    response.end();
  }

  /** Two entries a page, so that the pages after the first are asked for too. */
  function list(
    response: ServerResponse,
    files: Readonly<Record<string, string | Buffer>>,
    path: string,
    from: number,
  ) {
    const entries: object[] = Object.entries(files).map(([name, content]) => {
      const bytes = Buffer.from(content);
      const size = faults.sizes[name] ?? bytes.length;
      if (!isLarge(bytes)) return { type: "file", path: name, size, oid: gitName(bytes) };
      return {
        type: "file",
        path: name,
        size,
        oid: gitName(Buffer.from("pointer")),
        lfs: { oid: sha256(bytes), size },
      };
    });
    entries.unshift({ type: "directory", path: "folder", size: 0, oid: "0" });
    if (from + 2 < entries.length)
      response.setHeader("link", `<${url}${path}?recursive=true&cursor=${from + 2}>; rel="next"`);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(entries.slice(from, from + 2)));
  }

  async function send(
    request: IncomingMessage,
    response: ServerResponse,
    content: Buffer,
    headers: Record<string, string> = {},
  ): Promise<void> {
    const range = faults.ignoresRange ? null : /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    const start = Number(range?.[1] ?? 0);
    if (start >= content.length && start > 0) return void response.writeHead(416).end();
    let bytes = content.subarray(start);
    if (faults.corrupts) bytes = Buffer.from(bytes).fill(0x21, bytes.length - 1);
    response.writeHead(range ? 206 : 200, {
      ...headers,
      etag: `"${sha256(content)}"`,
      "content-length": bytes.length,
      ...(range ? { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
    });
    response.flushHeaders();
    const cut = faults.cuts.shift();
    const stop = cut ?? faults.stallsAfter ?? bytes.length;
    for (let at = 0; at < stop; at += 65_536) {
      if (faults.slowsBy) await new Promise((slept) => setTimeout(slept, faults.slowsBy));
      await new Promise((written) => response.write(bytes.subarray(at, Math.min(at + 65_536, stop)), written));
    }
    if (cut !== undefined) response.destroy();
    else if (faults.stallsAfter === undefined) response.end();
  }

  const contents = new Map<string, Buffer>();
  return {
    url,
    faults,
    requests,
    uploads: writes,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

/** What the Hub would keep in LFS. */
function isLarge(bytes: Buffer): boolean {
  return bytes.length > 1_000;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function gitName(bytes: Buffer): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
