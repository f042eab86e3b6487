/** The half of the Hub's protocol that writes: repositories made, files preuploaded, sent to a store in one piece or many, and committed. */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

/** A repository that was pushed to. */
export interface WrittenRepo {
  readonly type: "model" | "dataset";
  isPrivate: boolean;
  readonly files: Map<string, Buffer>;
  readonly titles: string[];
}

export interface UploadFaults {
  /** Asked about each request that writes, as `"PUT /store/…"`, before it is answered: a status, or "cut" in the middle of its body. */
  onWrite: ((line: string) => number | "cut" | undefined) | undefined;
  /** Files above so many bytes are sent in parts of this size. */
  partBytes: number;
}

export interface Uploads {
  /** By `type/name`. */
  readonly written: Map<string, WrittenRepo>;
  /** What the store holds, by digest. */
  readonly stored: Map<string, Buffer>;
  /** False where the request is none that writes. */
  answer(request: IncomingMessage, response: ServerResponse, token: string | undefined): Promise<boolean>;
}

/** @param owner The name under which the good token may write. */
export function uploads(
  url: () => string,
  faults: UploadFaults,
  { goodToken, owner, isLarge }: { goodToken: string; owner: string; isLarge: (bytes: number) => boolean },
): Uploads {
  const written = new Map<string, WrittenRepo>();
  const stored = new Map<string, Buffer>();
  const parts = new Map<string, Buffer[]>();

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    token: string | undefined,
  ): Promise<boolean> {
    const { pathname, search } = new URL(request.url!, url());
    const store = /^\/store\/(\w+)(?:\/(\d+))?$/.exec(pathname);
    const info = /^\/api\/(model|dataset)s\/(.+?)\/revision\/main$/.exec(pathname);
    const asked = info && written.get(`${info[1]}/${info[2]}`);
    if (request.method === "GET" && !asked) return false;
    const json = (status: number, value: unknown, headers: Record<string, string> = {}) => {
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
      return true;
    };
    const fault = faults.onWrite?.(`${request.method} ${pathname}`);
    if (fault === "cut") {
      await new Promise((read) => request.once("data", read).once("end", read));
      request.socket.destroy();
      return true;
    }
    const body = await bodyOf(request);
    if (fault !== undefined) return json(fault, { error: `told to fail, ${token}` });
    if (store) {
      // Signed addresses are enough for the store, and it must not see the token.
      if (token || search !== "?signature=secret") return json(400, { error: "a token came to the store" });
      const [, oid, part] = store;
      if (request.method === "PUT" && part === undefined) return keep(oid!, body);
      if (request.method === "PUT") {
        parts.set(oid!, Object.assign(parts.get(oid!) ?? [], { [Number(part) - 1]: body }));
        response.writeHead(200, { etag: `"${part}"` }).end();
        return true;
      }
      const { parts: named } = JSON.parse(String(body)) as { parts: { partNumber: number; etag: string }[] };
      if (named.some(({ partNumber, etag }) => etag !== `"${partNumber}"`)) return json(400, { error: "wrong parts" });
      return keep(oid!, Buffer.concat(parts.get(oid!) ?? []));
    }
    if (token !== goodToken) return json(401, { error: "Invalid credentials in Authorization header" });
    if (asked) return json(200, { _id: "1", id: info[2], private: asked.isPrivate, sha: "0".repeat(40) });
    if (pathname === "/api/repos/create") return create(JSON.parse(String(body)));
    const lfs = /^\/(datasets\/)?(.+)\.git\/info\/lfs\/objects\/batch$/.exec(pathname);
    const api = /^\/api\/(model|dataset)s\/(.+)\/(preupload|commit)\/main$/.exec(pathname);
    const type = api?.[1] ?? (lfs?.[1] ? "dataset" : "model");
    const repo = written.get(`${type}/${api?.[2] ?? lfs?.[2]}`);
    if (!repo) return json(404, { error: "Repository not found" });
    if (lfs) return batch(JSON.parse(String(body)));
    if (api?.[3] === "preupload") {
      const { files } = JSON.parse(String(body)) as { files: { path: string; size: number }[] };
      const modes = files.map(({ path, size }) => ({ path, uploadMode: isLarge(size) ? "lfs" : "regular" }));
      return json(200, { files: modes });
    }
    return commit(repo, String(body));

    function keep(oid: string, bytes: Buffer): boolean {
      if (sha256(bytes) !== oid) return json(400, { error: "other bytes than were announced" });
      stored.set(oid, bytes);
      return json(200, {});
    }

    function create(wanted: {
      name: string;
      organization: string;
      type: "model" | "dataset";
      visibility: string;
    }): boolean {
      const key = `${wanted.type}/${wanted.organization}/${wanted.name}`;
      if (wanted.organization !== owner)
        return json(403, {
          error: `You don't have the rights to create a model under the namespace "${wanted.organization}"`,
        });
      if (written.has(key)) return json(409, { error: "You already created this model repo" });
      const isPrivate = wanted.visibility === "private";
      written.set(key, { type: wanted.type, isPrivate, files: new Map(), titles: [] });
      return json(200, { url: `${url()}/${wanted.organization}/${wanted.name}`, id: key });
    }

    function batch({ objects }: { objects: { oid: string; size: number }[] }): boolean {
      const answers = objects.map(({ oid, size }) => {
        if (stored.has(oid)) return { oid, size };
        const href = (part = "") => `${url()}/store/${oid}${part}?signature=secret`;
        const count = Math.ceil(size / faults.partBytes);
        const addresses = Array.from({ length: count }, (_, part) => [
          String(part + 1).padStart(5, "0"),
          href(`/${part + 1}`),
        ]);
        const header =
          count > 1 ? { chunk_size: String(faults.partBytes), ...Object.fromEntries(addresses) } : undefined;
        return { oid, size, actions: { upload: { href: href(), ...(header && { header }) } } };
      });
      return json(200, { transfer: "basic", objects: answers });
    }

    function commit(repo: WrittenRepo, lines: string): boolean {
      const files = new Map<string, Buffer>();
      for (const { key, value } of lines.split("\n").map((line) => JSON.parse(line))) {
        if (key === "header") repo.titles.push(value.summary);
        if (key === "file") files.set(value.path, Buffer.from(value.content, "base64"));
        if (key !== "lfsFile") continue;
        if (!stored.has(value.oid)) return json(400, { error: `not in the store: ${value.path}` });
        files.set(value.path, stored.get(value.oid)!);
      }
      for (const [path, bytes] of files) repo.files.set(path, bytes);
      return json(200, { success: true, commitOid: "c0ffee".padEnd(40, "0"), commitUrl: `${url()}/commit` });
    }
  }
  return { written, stored, answer };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
