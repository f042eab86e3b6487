import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createDecoder, createHeader, encodeMessage, type Message } from "./message.ts";

const signing = { hash: "sha256", key: "secret" };

function sample(content: Record<string, unknown> = { a: 1 }): Message {
  const header = createHeader("test_request", "session");
  return { identities: [Buffer.from("id")], header, parent: {}, metadata: {}, content, buffers: [Buffer.from([1, 2])] };
}

describe("a message", () => {
  it("comes back as it was sent, buffers and identities too", () => {
    const message = sample({ text: "ä😀", nested: [1, null] });
    const decoded = createDecoder(signing)(encodeMessage(message, signing));
    assert.deepEqual({ ...decoded, identities: [], buffers: [] }, { ...message, identities: [], buffers: [] });
    assert.deepEqual(decoded.identities.map(String), ["id"]);
    assert.deepEqual([...(decoded.buffers[0] ?? [])], [1, 2]);
  });

  it("is refused when it is changed, replayed, or signed with another key", () => {
    const decode = createDecoder(signing);
    const frames = encodeMessage(sample(), signing);
    const changed = frames.map((frame) => Buffer.from(frame));
    (changed[6] as Buffer)[2] = 0x62;
    assert.throws(() => decode(changed), /wrong signature/);
    decode(frames);
    assert.throws(() => decode(frames), /seen before/);
    assert.throws(() => decode(encodeMessage(sample(), { ...signing, key: "other" })), /wrong signature/);
    assert.throws(() => decode(encodeMessage(sample(), { ...signing, key: "" })), /wrong signature/);
  });

  it("needs no signature where there is no key", () => {
    const open = { hash: "sha256", key: "" };
    const decode = createDecoder(open);
    const frames = encodeMessage(sample(), open);
    assert.equal(decode(frames).content.a, 1);
    assert.equal(decode(frames).content.a, 1);
  });

  it("is refused, in words, when frames are missing or hold something else", () => {
    const decode = createDecoder({ hash: "sha256", key: "" });
    const frames = encodeMessage(sample(), { hash: "sha256", key: "" });
    assert.throws(() => decode([]), /without the delimiter/);
    assert.throws(() => decode(frames.slice(0, 5)), /cut off/);
    const put = (at: number, text: string) => frames.map((frame, i) => (i === at ? Buffer.from(text) : frame));
    assert.throws(() => decode(put(3, "{")), /not JSON/);
    assert.throws(() => decode(put(3, "{}")), /lacks msg_id/);
    assert.throws(() => decode(put(6, "[1]")), /not a JSON object/);
    assert.throws(() => decode(put(6, "null")), /not a JSON object/);
  });

  it("survives any frames: a message, or an error of words", () => {
    const decode = createDecoder({ hash: "sha256", key: "" });
    const json = fc.oneof(fc.json(), fc.constant('{"msg_id":"a","session":"b","msg_type":"c"}'), fc.string());
    const frame = fc.oneof(
      json.map((text) => Buffer.from(text)),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(fc.array(frame), fc.array(frame), (before, after) => {
        try {
          const { header, content } = decode([...before, Buffer.from("<IDS|MSG>"), ...after]);
          assert.equal(typeof header.msg_id, "string");
          assert.equal(typeof content, "object");
        } catch (error) {
          assert.match((error as Error).message, /^message /);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("survives every single changed byte of a signed one", () => {
    const frames = encodeMessage(sample(), signing);
    const decode = createDecoder(signing);
    for (let i = 2; i < 7; i++) {
      for (let at = 0; at < (frames[i] as Uint8Array).length; at++) {
        const changed = frames.map((frame) => Buffer.from(frame));
        (changed[i] as Buffer)[at] = ((changed[i] as Buffer)[at] as number) ^ 1;
        assert.throws(() => decode(changed), /wrong signature/);
      }
    }
  });
});
