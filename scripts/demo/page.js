/** The page of `prunelab demo`: a pane for each model, each with a worker of its own, and one prompt for all of them. */

const element = (id) => document.getElementById(id);

/** Shows a model: loads it, puts turns below each other, and says how fast it writes. */
class Pane {
  /** What was said, as chat templates take it. */
  messages = [];
  /** Not 0: the worker shall stop. */
  stop = new Int32Array(new SharedArrayBuffer(4));

  constructor({ id, name, dtypes, dtype }) {
    this.id = id;
    this.root = element("pane").content.cloneNode(true).firstElementChild;
    this.turns = this.root.querySelector(".turns");
    this.status = this.root.querySelector(".status");
    this.root.querySelector("h2").textContent = name;
    const select = this.root.querySelector("select");
    select.append(...dtypes.map((dtype) => new Option(dtype, dtype)));
    select.value = dtype;
    select.addEventListener("change", () => this.load(select.value));
    element("panes").append(this.root);
    this.load(dtype);
  }

  say(state, text) {
    this.root.dataset.state = state;
    this.status.textContent = text;
    const states = panes.map(({ root }) => root.dataset.state);
    element("send").disabled = states.includes("writing") || !states.includes("ready");
  }

  load(dtype) {
    // A worker's memory never shrinks; that of a model that is left goes with its worker.
    this.worker?.terminate();
    this.worker = new Worker("worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.worker.onerror = ({ message }) => this.say("failed", message || "the worker did not start");
    this.worker.postMessage({ type: "load", id: this.id, dtype, stop: this.stop.buffer });
    this.say("loading", "loading …");
  }

  hear(message) {
    if (message.type === "progress") this.say("loading", `loading … ${(message.loaded / 1e6).toFixed(0)} MB`);
    if (message.type === "ready") {
      const kind = message.isChat ? "chat" : "no chat template: it continues each prompt by itself";
      this.say("ready", `loaded in ${message.seconds.toFixed(1)} s; ${kind}`);
    }
    if (message.type === "text") {
      this.answer.textContent += message.text;
      this.turns.scrollTop = this.turns.scrollHeight;
    }
    if (message.type === "done") {
      this.messages.push({ role: "assistant", content: this.answer.textContent });
      const { tokens, first, seconds } = message;
      const rate = tokens > 1 ? `, ${((tokens - 1) / (seconds - first)).toFixed(1)} tokens/s after it` : "";
      this.say("ready", `${tokens} tokens: the first after ${first.toFixed(2)} s${rate}`);
    }
    if (message.type === "failed") this.say("failed", message.text);
  }

  turn(role, text) {
    const turn = document.createElement("p");
    turn.className = `turn ${role}`;
    turn.textContent = text;
    this.turns.append(turn);
    return turn;
  }

  ask(prompt, maxTokens) {
    if (this.root.dataset.state !== "ready") return;
    this.messages.push({ role: "user", content: prompt });
    this.turn("user", prompt);
    this.answer = this.turn("assistant", "");
    this.say("writing", "writing …");
    Atomics.store(this.stop, 0, 0);
    this.worker.postMessage({ type: "generate", messages: this.messages, maxTokens });
  }

  clear() {
    this.messages = [];
    this.turns.replaceChildren();
  }
}

const panes = [];
for (const model of await (await fetch("models.json")).json()) panes.push(new Pane(model));

element("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  for (const pane of panes) pane.ask(element("prompt").value, element("tokens").valueAsNumber);
});
element("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!element("send").disabled) element("ask").requestSubmit();
});
element("stop").addEventListener("click", () => {
  for (const { stop } of panes) Atomics.store(stop, 0, 1);
});
element("clear").addEventListener("click", () => {
  for (const pane of panes) pane.clear();
});
