import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CodeCell, Json } from "./notebook.ts";
import { createOutputFold } from "./outputs.ts";
import { codeCell } from "./testing.test-helper.ts";

type Event = [type: string, content: Json];

function fold(...events: Event[]): CodeCell {
  const cell = codeCell("");
  const { add } = createOutputFold();
  for (const [type, content] of events) add(cell, type, content);
  return cell;
}

const out = (text: string, name = "stdout"): Event => ["stream", { name, text }];
const shown = (text: string, id?: string): Event => [
  "display_data",
  { data: { "text/plain": text }, metadata: {}, transient: id === undefined ? {} : { display_id: id } },
];
const clear = (wait: boolean): Event => ["clear_output", { wait }];
const texts = ({ outputs }: CodeCell) =>
  outputs.map((output) => output.text ?? (output.data as Json | undefined)?.["text/plain"]);

test("what follows in one stream is one output", () => {
  const { outputs } = fold(out("a"), out("b\n"), out("e", "stderr"), out("c"));
  assert.deepEqual(outputs, [
    { output_type: "stream", name: "stdout", text: "ab\n" },
    { output_type: "stream", name: "stderr", text: "e" },
    { output_type: "stream", name: "stdout", text: "c" },
  ]);
});

test("displays, results and errors are kept as nbformat has them, without what is transient", () => {
  const data = { "text/plain": "1" };
  const error = { ename: "E", evalue: "v", traceback: ["E: v"] };
  const { outputs } = fold(
    shown("1", "id"),
    ["execute_result", { data, metadata: {}, execution_count: 4 }],
    ["error", error],
    ["status", { execution_state: "busy" }],
  );
  assert.deepEqual(outputs, [
    { output_type: "display_data", data, metadata: {} },
    { output_type: "execute_result", data, metadata: {}, execution_count: 4 },
    { output_type: "error", ...error },
  ]);
});

test("a display whose id is used again changes the earlier ones too, as nbclient has it", () => {
  const { add } = createOutputFold();
  const [first, second] = [codeCell(""), codeCell("")];
  add(first, ...shown("one", "a"));
  add(second, ...shown("two", "a"));
  assert.deepEqual([texts(first), texts(second)], [["two"], ["two"]]);
});

test("an update changes every output of its id, in earlier cells too, and adds none", () => {
  const { add } = createOutputFold();
  const [first, second] = [codeCell(""), codeCell("")];
  const [, again] = shown("new", "id");
  add(first, ...shown("old", "id"));
  add(first, ...shown("other", "other"));
  add(second, ...shown("old", "id"));
  add(second, "update_display_data", again);
  add(second, "update_display_data", shown("x", "unknown")[1]);
  assert.deepEqual([texts(first), texts(second)], [["new", "other"], ["new"]]);
});

test("clearing empties at once, or when the next output comes", () => {
  assert.deepEqual(texts(fold(out("a"), clear(false))), []);
  assert.deepEqual(texts(fold(out("a"), clear(true))), ["a"]);
  assert.deepEqual(texts(fold(out("a"), clear(true), out("b"))), ["b"]);
  assert.deepEqual(texts(fold(out("a"), clear(true), shown("b"), out("c"))), ["b", "c"]);
  assert.deepEqual(texts(fold(shown("a", "id"), clear(false), ["update_display_data", shown("b", "id")[1]])), []);
});

test("no text is lost or reordered, whatever comes, up to the last clearing", () => {
  const event = fc.oneof(
    fc.record({ text: fc.string({ minLength: 1 }), name: fc.constantFrom("stdout", "stderr", "display") }),
    fc.constant("clear" as const),
    fc.constant("clear later" as const),
  );
  fc.assert(
    fc.property(fc.array(event), (events) => {
      let expected = "";
      let pending = false;
      const messages = events.map((each): Event => {
        if (each === "clear") {
          expected = "";
          pending = false;
          return clear(false);
        }
        if (each === "clear later") {
          pending = true;
          return clear(true);
        }
        expected = (pending ? "" : expected) + each.text;
        pending = false;
        return each.name === "display" ? shown(each.text) : out(each.text, each.name);
      });
      const cell = fold(...messages);
      assert.equal(texts(cell).join(""), expected);
      for (const [i, output] of cell.outputs.entries()) {
        const next = cell.outputs[i + 1];
        assert.ok(output.output_type !== "stream" || output.name !== next?.name, "neighbours of one stream are joined");
      }
    }),
  );
});
