/** Writes and removes the kernelspec, the folder by which Jupyter finds a kernel. */
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeFolder } from "../../src/base/atomic.ts";
import { builtFile } from "../../src/base/package-root.ts";
import { KernelError, messageOf } from "../errors.ts";
import { makeSnapshot, snapshotPath } from "../language/snapshot-file.ts";
import { jupyterDataFolder, kernelFolders } from "./jupyter-paths.ts";

const HELP = `
  --user              into the user's own Jupyter folder (the default)
  --sys-prefix        into the active virtual or conda environment
  --prefix <folder>   into <folder>/share/jupyter/kernels
  --name <name>       name of the kernel (default: prunelab)`;

interface Place {
  name: string;
  folder: string;
}

/** `prunelab install`: prints where the kernel went. */
export function runInstall(args: string[]): void {
  const { values, place } = parse(args, { "display-name": { type: "string" }, "no-check": { type: "boolean" } });
  if (values.help) {
    print(`Usage: prunelab install [options]
${HELP}
  --display-name <x>  name that front ends show (default: TypeScript (Prunelab))
  --no-check          run cells without checking their types`);
    return;
  }
  const check = values["no-check"] ? ["--no-check"] : [];
  const spec = {
    argv: [process.execPath, builtFile("kernel/server/main.js"), "run", ...check, "{connection_file}"],
    display_name: values["display-name"] ?? "TypeScript (Prunelab)",
    language: "typescript",
    interrupt_mode: "message",
    metadata: { debugger: true },
  };
  try {
    makeFolder(place.folder);
    writeFileSync(join(place.folder, "kernel.json"), `${JSON.stringify(spec, undefined, 2)}\n`);
    copyLogos(place.folder);
  } catch (error) {
    throw new KernelError(`cannot install the kernel: ${messageOf(error)}`);
  }
  makeSnapshot(snapshotPath());
  print(`installed kernel ${place.name} in ${place.folder}`);
  const hiding = kernelInFront(place);
  if (hiding !== undefined) {
    process.stderr.write(
      `warning: Jupyter finds another kernel ${place.name} first: ${hiding}; remove that one, or install with another --name\n`,
    );
  }
}

/** A kernel of the same name, which Jupyter compares without case, in a folder that it looks into earlier. */
function kernelInFront({ name, folder }: Place): string | undefined {
  for (const kernels of kernelFolders()) {
    if (resolve(kernels) === resolve(dirname(folder))) return undefined;
    const names = existsSync(kernels) ? readdirSync(kernels) : [];
    const same = names.find((each) => each.toLowerCase() === name.toLowerCase());
    if (same !== undefined && existsSync(join(kernels, same, "kernel.json"))) return join(kernels, same);
  }
  return undefined;
}

/** `prunelab uninstall`: removes what install wrote, and only that. */
export function runUninstall(args: string[]): void {
  const { values, place } = parse(args, {});
  if (values.help) {
    print(`Usage: prunelab uninstall [options]\n${HELP}`);
    return;
  }
  const spec = join(place.folder, "kernel.json");
  if (!existsSync(spec)) throw new KernelError(`no kernel ${place.name} is installed there: ${place.folder}`);
  const isOurs = /"language":\s*"typescript"/.test(readFileSync(spec, "utf8"));
  if (!isOurs) throw new KernelError(`not a kernel of prunelab: ${spec}`);
  rmSync(place.folder, { recursive: true });
  print(`removed kernel ${place.name} from ${place.folder}`);
}

type Options = Record<string, { type: "string" | "boolean" }>;

function parse(args: string[], more: Options): { values: Record<string, string | boolean | undefined>; place: Place } {
  const options: Options = {
    user: { type: "boolean" },
    "sys-prefix": { type: "boolean" },
    prefix: { type: "string" },
    name: { type: "string" },
    help: { type: "boolean" },
    ...more,
  };
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    throw new KernelError(messageOf(error));
  }
  const name = (values.name as string | undefined) ?? "prunelab";
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    throw new KernelError(`invalid --name; needs letters, digits, dots, dashes and underscores: ${name}`);
  }
  const chosen = ["user", "sys-prefix", "prefix"].filter((option) => values[option] !== undefined);
  if (chosen.length > 1) throw new KernelError(`choose one of --user, --sys-prefix and --prefix: ${chosen.join(", ")}`);
  return { values, place: { name, folder: join(kernelsFolder(values), name) } };
}

function kernelsFolder(values: Record<string, string | boolean | undefined>): string {
  const under = (prefix: string) => join(resolve(prefix), "share", "jupyter", "kernels");
  if (typeof values.prefix === "string") return under(values.prefix);
  if (!values["sys-prefix"]) return join(jupyterDataFolder(), "kernels");
  const environment = process.env.VIRTUAL_ENV || process.env.CONDA_PREFIX;
  if (!environment) {
    throw new KernelError(
      "--sys-prefix needs an active environment (VIRTUAL_ENV or CONDA_PREFIX); activate one, or use --prefix",
    );
  }
  return under(environment);
}

/** The logos lie beside the sources; the build has no copy. */
function copyLogos(folder: string): void {
  for (const name of ["logo-svg.svg"]) {
    const source = join(dirname(fileURLToPath(import.meta.url)), name);
    if (existsSync(source)) copyFileSync(source, join(folder, name));
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
