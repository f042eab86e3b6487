import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { builtFile } from "../../src/base/package-root.ts";
import { type KernelClient, startKernel } from "../protocol/client.ts";
import { createHeader, encodeMessage, type Message } from "../protocol/message.ts";
import { type ClientSockets, connectSockets } from "../protocol/sockets.ts";

const env = { PRUNELAB_HISTORY: "/dev/null" };

describe("a kernel that cannot start", () => {
  const folder = mkdtempSync(join(tmpdir(), "prunelab-start-"));
  after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "connection.json");
  const start = (...args: string[]) =>
    spawnSync(process.execPath, [builtFile("kernel/server/main.js"), ...args], { encoding: "utf8" });

  it("says why in one line: a bad connection file, a bad command", () => {
    writeFileSync(file, '{"ip": 5}');
    for (const args of [
      ["run", file],
      ["run", join(folder, "absent.json")],
      ["run"],
      ["dance"],
      ["run", "--nope", file],
    ]) {
      const { status, stderr } = start(...args);
      assert.equal(status, 1, args.join(" "));
      assert.match(stderr, /^[^\n]+\n$/, args.join(" "));
      assert.doesNotMatch(stderr, /\bat \w+ \(|node:internal/);
    }
  });

  it("says which port is in use", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const ports = { shell_port: port, iopub_port: 1, stdin_port: 2, control_port: 3, hb_port: 4 };
    writeFileSync(file, JSON.stringify({ transport: "tcp", ip: "127.0.0.1", key: "", ...ports }));
    const { status, stderr } = start("run", file);
    server.close();
    assert.equal(status, 1);
    assert.match(
      stderr,
      new RegExp(`^cannot bind the shell socket: tcp://127.0.0.1:${port}: Address already in use\n$`),
    );
  });
});

describe("a kernel that is sent anything", () => {
  let kernel: KernelClient;
  let raw: ClientSockets;

  before(async () => {
    kernel = await startKernel({ env, transport: "tcp" });
    raw = connectSockets(kernel.connection, "hostile", () => {});
  });
  after(async () => {
    raw.close();
    await kernel.close();
  });

  async function lives(): Promise<void> {
    const { messages } = await kernel.execute("6 * 7");
    assert.match(JSON.stringify(messages.at(-1)?.content), /"text\/plain":"42"/);
  }

  function request(type: string, content: Message["content"]): Message {
    return { identities: [], header: createHeader(type, "hostile"), parent: {}, metadata: {}, content, buffers: [] };
  }

  it("drops what is not signed right, and logs it", async () => {
    const frames = encodeMessage(request("shutdown_request", {}), { hash: "sha256", key: "guess" });
    raw.send("control", frames);
    raw.send("shell", frames);
    await lives();
    assert.match(kernel.log(), /dropped on control: message with a wrong signature/);
    assert.ok(!kernel.log().includes(kernel.connection.key));
  });

  it("answers a replayed request once", async () => {
    let runs = 0;
    const stop = kernel.listen((_channel, { content }) => {
      if (content.text === "replayed\n") runs++;
    });
    const frames = encodeMessage(request("execute_request", { code: "console.log('replayed')" }), kernel.connection);
    raw.send("shell", frames);
    raw.send("shell", frames);
    // Two sockets keep no order between them: the first cell of `lives` may come before what `raw` sent.
    for (let tries = 0; runs === 0 && tries < 50; tries++) await lives();
    await lives();
    stop();
    assert.equal(runs, 1);
  });

  it("survives frames of any kind on every channel", async () => {
    const frame = fc.oneof(
      fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
      fc.constant(Buffer.from("<IDS|MSG>")),
      fc.json().map((text) => Buffer.from(text)),
    );
    const channel = fc.constantFrom("shell" as const, "control" as const, "stdin" as const, "hb" as const);
    fc.assert(
      fc.property(channel, fc.array(frame, { minLength: 1, maxLength: 9 }), (name, frames) => raw.send(name, frames)),
      { numRuns: 500 },
    );
    await lives();
  });

  it("survives signed requests with contents of any kind", async () => {
    const types = [
      "execute_request",
      "complete_request",
      "inspect_request",
      "is_complete_request",
      "history_request",
      "comm_info_request",
      "comm_open",
      "comm_msg",
      "comm_close",
      "input_reply",
      "connect_request",
      "no_such_request",
    ];
    const key = fc.constantFrom(
      "code",
      "cursor_pos",
      "silent",
      "user_expressions",
      "comm_id",
      "target_name",
      "data",
      "value",
      "pattern",
      "n",
      "session",
      "hist_access_type",
    );
    const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(-1, 1e9, "search", "range", "tail", "😀"));
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.dictionary(key, value), (type, content) => {
        // Code of any kind could end the kernel on purpose.
        const safe =
          type === "execute_request" ? { ...content, code: JSON.stringify(content), stop_on_error: false } : content;
        raw.send("shell", encodeMessage(request(type, safe as Message["content"]), kernel.connection));
      }),
      { numRuns: 150 },
    );
    await lives();
  });

  it("survives truncated and signed nonsense", async () => {
    const parts = ["{}", "{}", "{}", "{}"].map((text) => Buffer.from(text));
    const hmac = createHmac("sha256", kernel.connection.key);
    for (const part of parts) hmac.update(part);
    raw.send("shell", [Buffer.from("<IDS|MSG>"), Buffer.from(hmac.digest("hex")), ...parts]);
    raw.send("shell", encodeMessage(request("execute_request", { code: "1" }), kernel.connection).slice(0, 4));
    await lives();
  });

  it("runs a cell of 10 MB", async () => {
    const { reply, messages } = await kernel.execute(`const text = "${"x".repeat(10_000_000)}"; text.length`);
    assert.equal(reply.status, "ok", String(reply.evalue).slice(0, 300));
    assert.match(JSON.stringify(messages.at(-1)?.content), /10000000/);
  });

  it("sends a result of 10 MB, and prints one", async () => {
    const { messages } = await kernel.execute("console.log('y'.repeat(10_000_000))");
    const printed = messages.map(({ content }) => content.text ?? "").join("");
    assert.equal(printed.length, 10_000_001);
    const shown = await kernel.execute('html.raw("z".repeat(10_000_000))');
    assert.ok(JSON.stringify(shown.messages.at(-1)?.content).length > 10_000_000);
  });

  it("keeps echoing the heartbeat", async () => {
    const echoed = new Promise<string>((resolve) => {
      const beat = connectSockets(kernel.connection, "heart", (channel, frames) => {
        if (channel !== "hb") return;
        beat.close();
        resolve(frames.map(String).join());
      });
      beat.send("hb", [Buffer.from("ping")]);
    });
    assert.equal(await echoed, "ping");
  });
});
