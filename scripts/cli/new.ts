/** `prunelab new`: makes a folder for an experiment of one's own, which works outside the clone. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { makeFolder, writeFileAtomic } from "../../src/base/atomic.ts";
import { packageRoot, packageVersion } from "../../src/base/package-root.ts";
import { messageOf, PrunelabError } from "../../src/errors.ts";
import { type Command, defineCommand, flag } from "./command.ts";
import { experimentFiles } from "./new-files.ts";

export const newExperiment: Command = defineCommand({
  usage: "<folder> [options]",
  description: `Makes a new folder with a notebook that opens a model, prunes it, scores both, compares and plots, and installs what it
needs: this package, packed into the folder, and danfojs-node with its overrides.`,
  operands: "many",
  options: { install: flag("--no-install", "do not run npm install in the folder") },
  examples: [["my-experiment", "then cd my-experiment, and npm run lab (JupyterLab) or npm start (all cells)"]],
  run: makeExperiment,
});

async function makeExperiment({ install }: { install: boolean }, operands: readonly string[]): Promise<void> {
  const [name, ...more] = operands;
  if (name === undefined || more.length > 0) throw new PrunelabError("which folder? usage: prunelab new <folder>");
  const folder = resolve(name);
  prepare(name, folder);

  const root = packageRoot();
  if (!existsSync(join(root, "dist", "src", "index.js"))) {
    throw new PrunelabError(`prunelab is not built: ${root}; run npm run build there`);
  }
  // Without the scripts, since what runs here is built. The package is no registry's, so the folder gets a copy.
  npm(folder, "pack", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder, root], "ignore");
  const tarball = `prunelab-${packageVersion()}.tgz`;
  const files = experimentFiles(packageName(folder), `file:${tarball}`, root);
  for (const [file, text] of Object.entries(files)) await writeFileAtomic(join(folder, file), text);
  if (install)
    npm(
      folder,
      "install",
      ["install", "--no-audit", "--no-fund", "--loglevel=error", "--no-update-notifier"],
      "inherit",
    );

  console.log(`made ${name}: ${[...Object.keys(files), tarball].join(", ")}

  cd ${name}${install ? "" : "\n  npm install"}
  npm run lab      cell by cell, in JupyterLab (pip install jupyterlab)
  npm start        all cells, without a person; npm start -- -p limit=200 sets a parameter`);
}

/** Only a new or an empty folder: nothing of the user's is touched. */
function prepare(name: string, folder: string): void {
  try {
    makeFolder(folder);
    if (readdirSync(folder).length === 0) return;
  } catch (error) {
    const isFile = ["EEXIST", "ENOTDIR"].includes(String((error as NodeJS.ErrnoException).code));
    const reason = isFile ? "a file is in the way; choose another name" : messageOf(error);
    throw new PrunelabError(`cannot make folder ${name}: ${reason}`);
  }
  throw new PrunelabError(`folder is not empty: ${name}; name a new or an empty one`);
}

function npm(folder: string, verb: string, args: string[], output: "inherit" | "ignore"): void {
  const { status, error } = spawnSync("npm", args, {
    cwd: folder,
    stdio: ["ignore", output === "inherit" ? 2 : output, 2],
    // npm is a shell script on Windows, which spawn finds only through a shell.
    shell: process.platform === "win32",
    // The CPU needs none of the files that this would download.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" },
  });
  if (error) throw new PrunelabError(`cannot run npm: ${error.message}; install npm, which comes with Node`);
  if (status !== 0)
    throw new PrunelabError(`npm ${verb} failed with exit code ${status} in ${folder}; run it there again`);
}

/** What npm allows as a name; a package must not depend on one of its own name. */
function packageName(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return ["", "prunelab", "danfojs-node"].includes(name) ? `${name || "my"}-experiment` : name;
}
