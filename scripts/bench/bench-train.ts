/** `npm run bench:train`: how fast training is beside what the machine's matrix product allows, and beside torch where a peer script is given. */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeCheckpoint } from "../../src/checkpoint/write.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { openCheckpoint } from "../../src/index.ts";
import { loadTrainingData } from "../../src/train/data.ts";
import { openNetwork, type TrainedParts } from "../../src/train/network.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { parseWhole } from "../cli/options.ts";
import { matrixProductRate } from "./matrix-product.ts";

const help = `usage: npm run bench:train -- [options]

--model <id or path>  default ${defaultModel}
--method <name>       masked (all linear layers, default) or lora (r 8 on all linear layers)
--tokens <n>          of a window, one of which is a step; default 512
--steps <n>           default 4; the best but the first counts
--peer <command>      run afterwards on the same model and windows, with the arguments: method, model folder, file of windows; e.g.
                      "python scripts/bench/train_torch.py"`;

explainErrors("bench:train");
const { values } = parseArgs({
  options: {
    model: { type: "string", default: defaultModel },
    method: { type: "string", default: "masked" },
    tokens: { type: "string", default: "512" },
    steps: { type: "string", default: "4" },
    peer: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const [tokens, steps] = [parseWhole(values.tokens, "--tokens"), parseWhole(values.steps, "--steps")];
  const model = await openCheckpoint(values.model);
  const data = await loadTrainingData(model, { tokens, heldOut: 0, windows: steps, completionOnlyLoss: false });
  const { config } = model;
  const linears = [...model.tensors.values()].filter(
    ({ name, shape }) => shape.length === 2 && name.includes(".layers."),
  );
  const weights = linears.reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);
  const lora = {
    r: 8,
    lora_alpha: 8,
    lora_dropout: 0,
    target_modules: linears.map(({ name }) => name.split(".").at(-2)!),
    masked: false,
  };
  const parts: TrainedParts = values.method === "lora" ? { method: "lora", seed: 0, lora } : { method: "masked" };
  // Forward, by the inputs, and by the weights where these are trained; the head forward and back.
  const operations =
    tokens * (weights * (values.method === "lora" ? 4 : 6) + config.vocab_size * config.hidden_size * 4);
  const rates = [await matrixProductRate()];
  const network = await openNetwork(model, tokens, parts);
  const adam = { learningRate: 1e-6, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, scale: 1 };
  let best = { seconds: Number.POSITIVE_INFINITY, optimizer: 0 };
  for (let step = 0; step < steps; step++) {
    const { ids } = data.windows[step % data.windows.length]!;
    const scored = ids.slice(1).map((label, position) => ({ window: 0, position, label }));
    const started = performance.now();
    const loss = await network.lossAndGradient({ windows: [ids], scored }, 1 / scored.length);
    const middle = performance.now();
    for (const group of network.groups) group.sumOfSquares();
    for (const group of network.groups) group.update({ ...adam, step: step + 1 });
    const [seconds, optimizer] = [(performance.now() - started) / 1000, (performance.now() - middle) / 1000];
    console.log(
      `step ${step + 1}: loss ${(loss / scored.length).toFixed(4)}, ${seconds.toFixed(2)} s, optimizer ${optimizer.toFixed(2)} s`,
    );
    // The first opens the graphs.
    if ((step > 0 || steps === 1) && seconds < best.seconds) best = { seconds, optimizer };
  }
  await network.release();
  rates.push(await matrixProductRate());
  const rate = Math.max(...rates);
  const share = operations / (rate * 1e9) / best.seconds;
  console.log(
    `${values.method}: ${(tokens / best.seconds).toFixed(1)} tokens/s, ${(100 * share).toFixed(0)} % of what a matrix product of ${rate.toFixed(0)} GFLOP/s allows; ` +
      `optimizer ${((100 * best.optimizer) / best.seconds).toFixed(1)} % of a step; peak memory ${(process.resourceUsage().maxRSS / 1e6).toFixed(2)} GB`,
  );
  if (values.peer === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), "prunelab-bench-"));
  await writeCheckpoint(model, folder);
  await writeFile(join(folder, "windows.json"), JSON.stringify(data.windows.map(({ ids }) => ids)));
  const [command, ...words] = values.peer.split(" ");
  spawnSync(command!, [...words, values.method, folder, join(folder, "windows.json")], { stdio: "inherit" });
  await rm(folder, { recursive: true });
}
