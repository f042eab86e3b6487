/** `npm run bench:storage`: what a pruned model takes on disk and to load: plain, without its zeros, and packed by gzip and zstd. */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import zlib from "node:zlib";
import { openCheckpointFile } from "../../src/checkpoint/open.ts";
import { defaultModel } from "../../src/hub/open-checkpoint.ts";
import { exportModel, openCheckpoint, prune } from "../../src/index.ts";
import { explainErrors } from "../cli/explain-error.ts";
import { parseWhole } from "../cli/options.ts";

const help = `usage: npm run bench:storage -- [options]

--model <id or path>  default ${defaultModel}
--sparsity <share>    of magnitude pruning; default 0.5
--rounds <n>          loads of each, of which the median counts; default 3

Loading reads every tensor of the model to memory; of a packed file it first unpacks it to disk, as a loader needs it. zstd needs Node 22.15 or newer.`;

explainErrors("bench:storage");
const { values } = parseArgs({
  options: {
    model: { type: "string", default: defaultModel },
    sparsity: { type: "string", default: "0.5" },
    rounds: { type: "string", default: "3" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) console.log(help);
else await bench(Number(values.sparsity), parseWhole(values.rounds, "--rounds"));

type Codec = readonly [pack: () => NodeJS.ReadWriteStream, unpack: () => NodeJS.ReadWriteStream];

async function bench(sparsity: number, rounds: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "prunelab-bench-storage-"));
  try {
    const pruned = await prune(await openCheckpoint(values.model), { method: "magnitude", sparsity });
    console.log("| file | MB | to write, s | to load, s |\n|---|---:|---:|---:|");
    const weights: Record<string, string> = {};
    for (const to of ["safetensors:bf16", "sparse"]) {
      const path = join(folder, to.replace(":", "-"));
      const [seconds, { files }] = await timed(() =>
        exportModel(pruned, path, { to, shardBytes: Number.MAX_SAFE_INTEGER }),
      );
      weights[to] = join(path, files[0]!.name);
      await row(to, files[0]!.bytes, seconds, await median(rounds, () => load(path)));
    }
    for (const [name, [pack, unpack]] of Object.entries(codecs())) {
      for (const to of Object.keys(weights)) {
        const packed = join(folder, "packed");
        const [seconds] = await timed(() =>
          pipeline(createReadStream(weights[to]!), pack(), createWriteStream(packed)),
        );
        // Over the file that it was made from, which it equals.
        const unpacked = async () => {
          await pipeline(createReadStream(packed), unpack(), createWriteStream(weights[to]!));
          await load(dirname(weights[to]!));
        };
        await row(`${to}, ${name}`, (await stat(packed)).size, seconds, await median(rounds, unpacked));
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function codecs(): Record<string, Codec> {
  const { createZstdCompress, createZstdDecompress } = zlib as typeof zlib & {
    createZstdCompress?: Codec[0];
    createZstdDecompress?: Codec[1];
  };
  return {
    "gzip -6": [() => zlib.createGzip(), () => zlib.createGunzip()],
    ...(createZstdCompress &&
      createZstdDecompress && { "zstd -3": [createZstdCompress, createZstdDecompress] as const }),
  };
}

/** Opened without the cache, so that nothing is known of it. */
async function load(path: string): Promise<void> {
  const checkpoint = await openCheckpointFile(path);
  for (const name of checkpoint.tensors.keys()) await checkpoint.read(name);
}

async function timed<T>(work: () => Promise<T>): Promise<[seconds: number, value: T]> {
  const started = performance.now();
  const value = await work();
  return [(performance.now() - started) / 1000, value];
}

async function median(rounds: number, work: () => Promise<unknown>): Promise<number> {
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round++) seconds.push((await timed(work))[0]);
  return seconds.sort((a, b) => a - b)[Math.floor(rounds / 2)]!;
}

async function row(name: string, bytes: number, write: number, read: number): Promise<void> {
  console.log(`| ${name} | ${(bytes / 1e6).toFixed(1)} | ${write.toFixed(1)} | ${read.toFixed(2)} |`);
}
