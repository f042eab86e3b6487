/** The options of `prunelab run`, their checks, and its help. */
import { existsSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { defaultMasks, type Mask, parseMask } from "../../kernel/runner/diff-outputs.ts";
import { mergeParameters, type Parameter, parseAssignment, readParameters } from "../../kernel/runner/parameters.ts";
import { RunError } from "../../kernel/runner/run-error.ts";
import { type Command, defineCommand, flag, type OptionOf, type Result, value, values } from "./command.ts";

export interface RunCommand {
  /** As the user wrote them. */
  names: string[];
  mode: "run" | "resume" | "check" | "diff";
  outputOf: (path: string) => string;
  parameters: Parameter[];
  timeoutMs: number | undefined;
  jobs: number;
  masks: readonly Mask[];
  reports: { junit?: string | undefined; json?: string | undefined; html?: string | undefined };
  kernelArgs: string[];
  quiet: boolean;
}

const options = {
  parameter: values(
    "-p, --parameter <name=value>",
    "set a parameter; repeatable. JSON or text, whichever the parameter's type takes",
    {
      parse: parseAssignment,
    },
  ),
  parameters: value("--parameters <file>", "the same from a YAML file; -p wins"),
  output: value(
    "--output <path>",
    "write here instead and leave the notebook as it is: a file, or a folder (for several: a folder)",
  ),
  timeout: value("--timeout <seconds>", "for each cell; default none", { parse: positive }),
  jobs: value("--jobs <n>", "notebooks that run at once", { parse: positive, default: "1" }),
  resume: flag(
    "--resume",
    "reuse what passed in an earlier run, up to the first cell that failed or changed (see below)",
  ),
  check: flag("--check", "only check the types of all cells; nothing runs, nothing is written"),
  diff: flag("--diff", "run, and compare the outputs with the saved ones; nothing is written"),
  mask: values(
    "--mask <regex>",
    "with --diff: what it finds may differ; repeatable. Dates, durations, sizes and rates may anyway",
    {
      parse: parseMask,
    },
  ),
  junit: value("--junit <file>", "a report in JUnit's XML, one test a cell"),
  json: value("--json <file>", "the same as JSON, with durations and memory"),
  html: value("--html <file>", "all notebooks with their outputs as one page"),
  checkTypes: flag("--no-check", "run cells without checking their types"),
  quiet: flag("--quiet", "without what the cells show"),
};

type Values = { [K in keyof typeof options]: (typeof options)[K] extends OptionOf<infer T> ? T : never };

/** The command, but for what it does. */
export function runCommandOf(run: (command: RunCommand) => Promise<Result | undefined>): Command {
  return defineCommand({
    usage: "[options] <notebook.ipynb...>",
    description: `Runs every cell of each notebook from top to bottom, each notebook on a TypeScript kernel of its own, in its own folder.
The notebook is written in place, whole, after every cell, also when a cell fails or the run is stopped; never before
its first cell has run. Outputs of cells that did not run are removed. All notebooks and parameters are read and
checked before anything runs.`,
    operands: "many",
    options,
    examples: [
      ["notebooks/*.ipynb", "in place, saved after every cell"],
      [
        "sweep.ipynb -p limit=50 --output out/",
        "with a parameter of the cell tagged parameters; writes out/sweep.ipynb",
      ],
      ["--check notebooks/*.ipynb", "only the types of all cells; seconds, no model"],
      ["sweep.ipynb --diff", "are the outputs still as saved?"],
    ],
    notes: `Parameters are the variables of the cell tagged parameters. A cell tagged injected-parameters with the new values is put
behind it, as papermill does, in place of an earlier one; a run without parameters removes it. With several notebooks each
one takes the names that it knows, and a name that none knows is an error, as is a value of a wrong type.

A cell tagged skip-execution is not run; one tagged raises-exception must raise. The first cell that fails ends its
notebook; so does an error that a cell leaves behind. A cell's duration and peak memory (resident, all processes of the
kernel) are in its metadata under prunelab.

A resumed run has a new kernel, so there is no state to go on from: of the cells before the first that failed or changed,
those that later ones may depend on are run again (origin "rerun" in the metadata), and only the others keep their saved
outputs, without a number (origin "reused"). What a cell changes by no name, such as a file that it imports, is not seen.

In GitHub's actions (GITHUB_ACTIONS=true) failures are annotated.

exit codes: 0 all passed; 1 a cell failed, or has errors (--check); 2 wrong options or parameters, nothing ran; 3 a notebook
that cannot be run, nothing ran; 4 a cell ran too long; 5 a kernel died or did not start; 6 outputs differ (--diff); 7 a file
could not be written; 129, 130, 143 stopped by SIGHUP, SIGINT, SIGTERM. Of several, 5, 4, 7, 1, 6 in this order.`,
    run: async (given, names) => await run(runCommand(given, names)),
  });
}

/** Throws RunError. */
function runCommand(values: Values, names: readonly string[]): RunCommand {
  if (names.length === 0) throw wrong("which notebook? usage: prunelab run <notebook.ipynb...>");
  const modes = (["resume", "check", "diff"] as const).filter((mode) => values[mode]);
  if (modes.length > 1) throw wrong(`choose one of --resume, --check and --diff: ${modes.join(", ")}`);
  const [mode = "run"] = modes;
  if (values.output !== undefined && (mode === "check" || mode === "diff")) {
    throw wrong(`--${mode} writes no notebook, so it takes no --output: ${values.output}`);
  }
  if (values.mask.length > 0 && mode !== "diff") throw wrong("--mask needs --diff");
  const fromFile = values.parameters === undefined ? [] : readParameters(values.parameters);
  const { junit, json, html } = values;
  return {
    names: [...names],
    mode,
    outputOf: outputPaths(values.output, names),
    parameters: mergeParameters([...fromFile, ...values.parameter]),
    timeoutMs: values.timeout === undefined ? undefined : 1000 * values.timeout,
    jobs: Math.ceil(values.jobs),
    masks: [...values.mask, ...defaultMasks],
    reports: { junit, json, html },
    kernelArgs: values.checkTypes ? [] : ["--no-check"],
    quiet: values.quiet,
  };
}

function outputPaths(output: string | undefined, names: readonly string[]): (path: string) => string {
  if (output === undefined) return (path) => path;
  const isFolder = output.endsWith("/") || (existsSync(output) && statSync(output).isDirectory());
  if (!isFolder && !output.endsWith(".ipynb")) {
    throw wrong(`invalid --output; a file.ipynb, or a folder that exists or ends with /: ${output}`);
  }
  if (!isFolder && names.length > 1) throw wrong(`several notebooks need a folder as --output: ${output}`);
  const same = names.map((name) => basename(name)).find((name, i, all) => all.indexOf(name) !== i);
  if (isFolder && same !== undefined) throw wrong(`two notebooks of one name would be one file in --output: ${same}`);
  return (path) => (isFolder ? join(resolve(output), basename(path)) : resolve(output));
}

function positive(text: string, option: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value > 0) || !Number.isFinite(value)) {
    throw wrong(`invalid ${option}; a number above 0: ${text}`);
  }
  return value;
}

function wrong(message: string): RunError {
  return new RunError("options", message);
}
