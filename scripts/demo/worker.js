/** Loads one model of `prunelab demo` and writes with it; all files come from the server of the page. */
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  env,
  InterruptableStoppingCriteria,
  TextStreamer,
} from "/library/transformers.min.js";

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = "/models/";
// Both are on this machine already.
env.useBrowserCache = false;
env.useWasmCache = false;
// Half the size of the file that the library would fetch, which has WebGPU in it as well.
const file = new URL("/runtime/ort-wasm-simd-threaded", location.origin).href;
env.backends.onnx.wasm.wasmPaths = { mjs: `${file}.mjs`, wasm: `${file}.wasm` };

const stopping = new InterruptableStoppingCriteria();
/** Not 0: stop. In shared memory, since a worker reads no messages while it writes. */
let stopFlag;
let tokenizer;
let model;

const secondsSince = (started) => (performance.now() - started) / 1000;

async function load({ id, dtype, stop }) {
  stopFlag = new Int32Array(stop);
  const started = performance.now();
  const loaded = new Map();
  const progress_callback = (event) => {
    if (event.status !== "progress") return;
    loaded.set(event.file, event.loaded);
    postMessage({ type: "progress", loaded: [...loaded.values()].reduce((sum, bytes) => sum + bytes, 0) });
  };
  tokenizer = await AutoTokenizer.from_pretrained(id);
  model = await AutoModelForCausalLM.from_pretrained(id, { dtype, device: "wasm", progress_callback });
  postMessage({ type: "ready", seconds: secondsSince(started), isChat: Boolean(tokenizer.chat_template) });
}

async function generate({ messages, maxTokens }) {
  const started = performance.now();
  let first = 0;
  let tokens = 0;
  const streamer = new TextStreamer(tokenizer, {
    skip_prompt: true,
    skip_special_tokens: true,
    callback_function: (text) => postMessage({ type: "text", text }),
    token_callback_function: () => {
      tokens++;
      if (tokens === 1) first = secondsSince(started);
      if (Atomics.load(stopFlag, 0) !== 0) stopping.interrupt();
    },
  });
  const inputs = tokenizer.chat_template
    ? tokenizer.apply_chat_template(messages, { add_generation_prompt: true, return_dict: true })
    : tokenizer(messages.at(-1).content);
  stopping.reset();
  await model.generate({
    ...inputs,
    max_new_tokens: maxTokens,
    do_sample: false,
    streamer,
    stopping_criteria: stopping,
  });
  postMessage({ type: "done", tokens, first, seconds: secondsSince(started) });
}

self.onmessage = async ({ data }) => {
  try {
    if (data.type === "load") await load(data);
    if (data.type === "generate") await generate(data);
  } catch (error) {
    postMessage({ type: "failed", text: error instanceof Error ? error.message : String(error) });
  }
};
