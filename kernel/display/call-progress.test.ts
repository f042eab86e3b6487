import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createCallProgress } from "./call-progress.ts";
import { runAs } from "./owner.ts";

type Sent = { id: string; type: string; text: string; html: string; display: unknown };

function record() {
  const sent: Sent[] = [];
  const calls = createCallProgress((id, type, content) => {
    const data = content.data as Record<string, string>;
    const { display_id: display } = content.transient as { display_id?: string };
    sent.push({ id, type, text: data["text/plain"]!, html: data["text/html"]!, display });
  });
  const tell = (owner: string, step: string, done: number, total = 200) =>
    runAs(owner, () => calls.onProgress({ step, done, total, unit: "documents" }));
  return { sent, calls, tell };
}

describe("a cell's calls", () => {
  it("show one bar that is renewed in place and ends as one line", async () => {
    const { sent, calls, tell } = record();
    tell("a", "score hellaswag", 0);
    assert.equal(sent.length, 0, "a call that may be over at once needs no bar");
    await delay(1200);
    tell("a", "score <b>", 50);
    await delay(300);
    tell("a", "score <b>", 100);
    tell("a", "score <b>", 101);
    calls.end("a", true);
    assert.deepEqual(
      sent.map(({ type }) => type),
      ["display_data", "update_display_data", "update_display_data", "update_display_data"].slice(0, sent.length),
    );
    assert.equal(new Set(sent.map(({ display }) => display)).size, 1);
    assert.match(sent[0]!.text, /^score hellaswag \[-{24}\] 0 of 200 documents$/);
    assert.match(sent.at(-2)!.html, /^<small>score &lt;b&gt; <progress value="0\.\d+" max="1">/);
    assert.match(sent.at(-1)!.text, /^score hellaswag, score <b> in [\d.]+ s$/);
  });

  it("leave nothing if they were quick", () => {
    const { sent, calls, tell } = record();
    tell("a", "prune", 0);
    tell("a", "prune", 200);
    calls.end("a", true);
    assert.equal(sent.length, 0);
  });

  it("say where they were stopped, and what goes on behind a stopped cell is silent", async () => {
    const { sent, calls, tell } = record();
    tell("a", "score boolq", 0);
    await delay(1200);
    tell("a", "score boolq", 40);
    calls.end("a", false);
    assert.match(sent.at(-1)!.text, /^stopped after .* at score boolq, 40 of 200 documents$/);
    const count = sent.length;
    tell("a", "score boolq", 60);
    await delay(1200);
    assert.equal(sent.length, count);
  });

  it("show notices as small lines, escaped", () => {
    const { sent, calls } = record();
    runAs("a", () => calls.onNotice("model: <cached>"));
    assert.deepEqual([sent[0]!.html, sent[0]!.text], ["<small>model: &lt;cached&gt;</small>", "model: <cached>"]);
  });
});
