import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { type Execution, type KernelClient, startKernel } from "../protocol/client.ts";
import type { Content, Message } from "../protocol/message.ts";

let kernel: KernelClient;
const heard: Message[] = [];
before(async () => {
  kernel = await startKernel({ env: { PRUNELAB_HISTORY: "/dev/null" }, args: ["--no-check"] });
  kernel.listen((channel, message) => void (channel === "iopub" && heard.push(message)));
});
after(() => kernel.close());

const opened = ({ messages }: Execution) => messages.filter(({ header }) => header.msg_type === "comm_open");
const stateOf = (message: Message | undefined) => ((message as Message).content.data as { state: Content }).state;
const view = ({ messages }: Execution) =>
  ((messages.find(({ header }) => header.msg_type === "execute_result") as Message).content.data as Content)[
    "application/vnd.jupyter.widget-view+json"
  ] as Content;

async function set(id: unknown, data: Content): Promise<void> {
  kernel.send("comm_msg", { comm_id: id, data });
  await kernel.execute("await new Promise((done) => setTimeout(done, 30))");
}

it("opens a control with its layout and style as ipywidgets does, and shows it", async () => {
  const made = await kernel.execute("const s = slider({ label: 'share', min: 0, max: 1, step: 0.05, value: 0.5 }); s");
  const models = opened(made);
  assert.deepEqual(
    models.map((each) => stateOf(each)._model_name),
    ["LayoutModel", "SliderStyleModel", "FloatSliderModel"],
  );
  for (const { content, metadata } of models)
    assert.deepEqual([content.target_name, metadata.version], ["jupyter.widget", "2.1.0"]);
  const state = stateOf(models[2]);
  assert.deepEqual([state.min, state.max, state.step, state.value, state.readout_format], [0, 1, 0.05, 0.5, ".2f"]);
  assert.equal(state.layout, `IPY_MODEL_${models[0]?.content.comm_id}`);
  assert.deepEqual(view(made), { version_major: 2, version_minor: 0, model_id: models[2]?.content.comm_id });
});

it("hears what the user sets, and moves when a cell sets it", async () => {
  const made = await kernel.execute(
    "const seen = []; const d = dropdown(['wanda', 'magnitude'], { label: 'method' }); d.onChange((v) => seen.push(v)); d",
  );
  const id = view(made).model_id;
  await set(id, { method: "update", state: { index: 1 }, buffer_paths: [] });
  const read = await kernel.execute("[d.value, seen.join()].join()");
  assert.match(JSON.stringify(read.messages.at(-1)?.content), /'magnitude,magnitude'/);
  await kernel.execute("d.value = 'wanda'");
  const sent = heard.findLast(({ header, content }) => header.msg_type === "comm_msg" && content.comm_id === id);
  assert.deepEqual(sent?.content.data, { method: "update", state: { index: 0 }, buffer_paths: [] });
  await set(id, { method: "request_state" });
  const whole = heard.findLast(({ header, content }) => header.msg_type === "comm_msg" && content.comm_id === id);
  assert.deepEqual(stateOf(whole)._options_labels, ["wanda", "magnitude"]);
});

it("has check boxes and buttons, and says what is wrong with their options", async () => {
  const box = await kernel.execute("const c = checkbox('on'); c");
  await set(view(box).model_id, { method: "update", state: { value: true } });
  const pressed = await kernel.execute("let clicks = 0; const b = button('go', () => clicks++); b");
  await set(view(pressed).model_id, { method: "custom", content: { event: "click" } });
  assert.match(JSON.stringify((await kernel.execute("[c.value, clicks]")).messages.at(-1)?.content), /\[ true, 1 \]/);
  for (const code of [
    "dropdown([])",
    "slider({ min: 2, max: 1 })",
    "slider({ step: 0 })",
    "slider({ value: NaN })",
    "d.value = 'none'",
  ]) {
    assert.equal((await kernel.execute(code)).reply.ename, "RangeError", code);
  }
  await kernel.execute("c.close()");
  assert.equal(heard.filter(({ header }) => header.msg_type === "comm_close").length, 3);
});
