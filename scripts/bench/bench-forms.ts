/** `npm run bench:forms`: exports a model in each form of transformers.js and says what each takes, how well it predicts, and how fast it writes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  DynamicCache,
  type PreTrainedTokenizer,
  Tensor,
} from "@huggingface/transformers";
import { loadRows } from "../../src/datasets/load-rows.ts";
import { tokenWindows } from "../../src/evaluate/perplexity.ts";
import { exportModel } from "../../src/export/export-model.ts";
import { onnxForms } from "../../src/export/onnx.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { openCheckpoint } from "../../src/index.ts";
import { scoredRows } from "../../src/tasks/task.ts";
import { wikitext } from "../../src/tasks/wikitext.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { parseWhole } from "../cli/options.ts";
import { terminalProgress } from "../cli/progress.ts";

const names = onnxForms.map(({ name }) => name);
const help = `usage: npm run bench:forms -- [options] [form …]

--model <id or path>  default ${defaultModel}
--windows <count>     of 512 tokens of WikiText-2 for the perplexity; default 4
--tokens <count>      to write, greedily; default 48

Forms: ${names.join(", ")}; all unless named. Prints a row of a Markdown table as soon as it is known. Each form is opened and run by @huggingface/transformers.`;

// Of all logits at once, 262,144 each, there are never more than these.
const chunkTokens = 64;
const windowTokens = 512;
const prompt = "Explain the concept of model pruning.";

explainErrors("bench:forms");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string", default: defaultModel },
    windows: { type: "string", default: "4" },
    tokens: { type: "string", default: "48" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) console.log(help);
else await bench(parseWhole(values.windows, "--windows"), parseWhole(values.tokens, "--tokens"));

type Model = Awaited<ReturnType<typeof AutoModelForCausalLM.from_pretrained>>;

async function bench(windowCount: number, newTokens: number): Promise<void> {
  const { onProgress, note, finish } = terminalProgress();
  const checkpoint = await openCheckpoint(values.model, { onProgress, onNotice: note });
  const { rows } = await loadRows(scoredRows(wikitext));
  const text = ` \n${rows.map(({ row }) => wikitext.processDoc(row).page).join("\n")}`;
  console.log("| form | MB | export, s | opening, s | perplexity | prompt, s | tokens/s |");
  console.log("|---|---:|---:|---:|---:|---:|---:|");
  for (const form of positionals.length > 0 ? positionals : names) {
    const folder = await mkdtemp(join(tmpdir(), "prunelab-forms-"));
    try {
      let started = performance.now();
      const seconds = () => {
        const passed = (performance.now() - started) / 1000;
        started = performance.now();
        return passed;
      };
      const { files } = await exportModel(checkpoint, folder, { to: form, onProgress });
      finish();
      const exported = seconds();
      const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
      const tokenizer = await AutoTokenizer.from_pretrained(folder);
      seconds();
      const model = await AutoModelForCausalLM.from_pretrained(folder, { dtype: form.slice("onnx:".length) as "q8" });
      const opened = seconds();
      // Some more than are needed, since not all text has to be tokenized.
      const ids = tokenizer.encode(text.slice(0, windowCount * windowTokens * 8), { add_special_tokens: false });
      const windows = tokenWindows(ids, checkpoint.config.bos_token_id ?? 0, windowTokens).slice(0, windowCount);
      const loss = await meanLoss(model, windows);
      const { first, rate } = await speed(model, tokenizer, newTokens);
      await model.dispose();
      const numbers = [bytes / 1e6, exported, opened, Math.exp(loss), first, rate];
      console.log(`| ${form} | ${numbers.map((x, i) => x.toFixed([1, 1, 1, 2, 2, 1][i])).join(" | ")} |`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

function ids64(ids: readonly number[]): Tensor {
  return new Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
}

/** Nats a token, over all tokens of the windows but the first of each. */
async function meanLoss(model: Model, windows: readonly (readonly number[])[]): Promise<number> {
  let sum = 0;
  let count = 0;
  for (const window of windows) {
    let past: DynamicCache | null = null;
    for (let from = 0; from < window.length; from += chunkTokens) {
      const to = Math.min(from + chunkTokens, window.length);
      const all = ids64(Array(to).fill(1));
      const inputs = { input_ids: ids64(window.slice(from, to)), attention_mask: all, past_key_values: past };
      const output: Record<string, Tensor> = await model(inputs);
      const logits = output.logits!;
      const size = logits.dims.at(-1)!;
      for (let at = from; at < Math.min(to, window.length - 1); at++) {
        const row = (logits.data as Float32Array).subarray((at - from) * size, (at - from + 1) * size);
        let most = Number.NEGATIVE_INFINITY;
        for (let i = 0; i < size; i++) most = Math.max(most, row[i]!);
        let total = 0;
        for (let i = 0; i < size; i++) total += Math.exp(row[i]! - most);
        sum += most + Math.log(total) - row[window[at + 1]!]!;
        count++;
      }
      const present = Object.entries(output).filter(([name]) => name.startsWith("present."));
      const entries = present.map(([name, value]) => [name.replace("present", "past_key_values"), value] as const);
      past = new DynamicCache(Object.fromEntries(entries));
    }
  }
  return sum / count;
}

/** Seconds until the first token, and tokens a second after it. */
async function speed(model: Model, tokenizer: PreTrainedTokenizer, count: number) {
  const generate = async (max_new_tokens: number) => {
    const started = performance.now();
    await model.generate({ ...tokenizer(prompt), max_new_tokens, min_new_tokens: max_new_tokens, do_sample: false });
    return (performance.now() - started) / 1000;
  };
  await generate(2);
  const first = await generate(1);
  return { first, rate: (count - 1) / ((await generate(count)) - first) };
}
