/** A study: which models, methods, sparsities, seeds and tasks to measure, as a user writes it down in YAML, JSON or a cell. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type * as Zod from "zod";
import { asReadError } from "../base/read-error.ts";
import { PrunelabError } from "../errors.ts";
import type { MethodName } from "../prune/methods/method.ts";
import { pruningMethods } from "../prune/methods/methods.ts";
import { recoveryMethods } from "../train/recover.ts";

const require = createRequire(import.meta.url);
/** Loaded when a study is checked: most users of the library have none. */
const zod = (): typeof Zod => require("zod");

function makeSchema() {
  const { z } = zod();
  const methods = z.enum(pruningMethods.map(({ name }) => name));
  const names = <Of extends Zod.ZodType>(of: Of) => z.array(of).min(1);

  const calibration = z.looseObject({
    source: z.union([z.string(), names(z.string())]).optional(),
    windows: z.int().min(1).optional(),
    tokens: z.int().min(2).optional(),
    seed: z.int().optional(),
  });

  const recipe = z
    .looseObject({
      method: methods,
      sparsity: z.number().optional(),
      pattern: z.string().optional(),
      seed: z.int().optional(),
    })
    .describe("options of prune; a sparsity, a pattern or a seed of its own stands in place of the study's");

  return z
    .strictObject({
      model: z.string().optional().describe("a Hub id, a folder or a GGUF file"),
      models: names(z.string()).optional(),
      methods: names(z.union([methods, recipe])).describe("names of methods, or recipes"),
      sparsities: names(z.number().min(0).lt(1))
        .optional()
        .describe("shares of zeros in [0, 1); 0 is the dense model, measured once"),
      patterns: names(z.string()).optional().describe("tensor, row, global or n:m such as 2:4"),
      seeds: names(z.int())
        .default([0])
        .describe("of random pruning, of the calibration windows' draw and of recovery"),
      calibration: calibration
        .optional()
        .describe("of every method that looks at inputs, unless its recipe says otherwise"),
      tasks: z.array(z.string()).default([]).describe("lm-evaluation-harness's names"),
      limit: z.number().gt(0).nullable().default(null).describe("documents of each task; a share below 1; null is all"),
      numFewshot: z.int().min(0).optional(),
      windows: z
        .int()
        .min(1)
        .optional()
        .describe("of 2,048 tokens of WikiText-2, for the perplexity; none unless given"),
      recover: z
        .looseObject({ method: z.enum(recoveryMethods) })
        .optional()
        .describe("options of recover; the teacher is the dense model"),
      export: names(z.string()).optional().describe("forms that the pruned model is written in, e.g. safetensors:bf16"),
    })
    .describe("a study of Prunelab: every method at every sparsity with every seed, scored on the tasks");
}

let made: ReturnType<typeof makeSchema> | undefined;
function schema(): ReturnType<typeof makeSchema> {
  made ??= makeSchema();
  return made;
}

/** Options of `prune`, serialisable. A sparsity, a pattern or a seed of its own stands in place of the study's. */
export interface StudyRecipe {
  readonly method: MethodName;
  readonly sparsity?: number | undefined;
  readonly pattern?: string | undefined;
  readonly seed?: number | undefined;
  readonly [option: string]: unknown;
}

/** What to measure: every method at every sparsity with every seed. `planSweep` takes it; a study file holds the same in YAML. */
export interface Study {
  /** A Hub id, a folder or a GGUF file; or several as `models`. */
  readonly model?: string | undefined;
  readonly models?: readonly string[] | undefined;
  readonly methods: readonly (MethodName | StudyRecipe)[];
  /** Shares of zeros in [0, 1); 0 is the dense model, measured once. */
  readonly sparsities?: readonly number[] | undefined;
  /** `tensor`, `row`, `global` or `n:m`, which needs no sparsity. */
  readonly patterns?: readonly string[] | undefined;
  /** Of random pruning, of the calibration windows' draw and of recovery. Default `[0]`. */
  readonly seeds?: readonly number[] | undefined;
  /** Of every method that looks at inputs, unless its recipe says otherwise. */
  readonly calibration?: Readonly<Record<string, unknown>> | undefined;
  /** lm-evaluation-harness's names. */
  readonly tasks?: readonly string[] | undefined;
  /** Documents of each task: a count, or a share below 1; null, the default, is all. */
  readonly limit?: number | null | undefined;
  readonly numFewshot?: number | undefined;
  /** Windows of 2,048 tokens of WikiText-2, for the perplexity; none unless given. */
  readonly windows?: number | undefined;
  /** Options of `recover`; the teacher is the dense model. */
  readonly recover?:
    | { readonly method: (typeof recoveryMethods)[number]; readonly [option: string]: unknown }
    | undefined;
  /** Forms that the pruned model is written in, e.g. `safetensors:bf16`. */
  readonly export?: readonly string[] | undefined;
}

/** A study without mistakes, its defaults filled in. */
export type CheckedStudy = Omit<Study, "model" | "models" | "seeds" | "tasks" | "limit"> & {
  readonly models: readonly string[];
  readonly seeds: readonly number[];
  readonly tasks: readonly string[];
  readonly limit: number | null;
};

/** The study's JSON Schema (2020-12), by which editors complete and check a study file. */
export function studySchema(): Record<string, unknown> {
  return zod().z.toJSONSchema(schema(), { io: "input" });
}

/**
 * Checks a study, with defaults filled in.
 *
 * @param source How errors call it, e.g. `"study.yaml"`.
 * @throws PrunelabError that names the field, its value and what it may be.
 */
export function checkStudy(study: unknown, source = "study"): CheckedStudy {
  const parsed = schema().safeParse(study, { reportInput: true });
  if (!parsed.success) throw new PrunelabError(`invalid study: ${source}: ${explain(parsed.error.issues)}`);
  const { model, models, ...rest } = parsed.data;
  if ((model === undefined) === (models === undefined)) {
    throw new PrunelabError(`invalid study: ${source}: needs model or models, one of them`);
  }
  const fixed = rest.methods.every(
    (method) => typeof method === "object" && (method.sparsity !== undefined || method.pattern?.includes(":")),
  );
  if (!rest.sparsities && !fixed && !rest.patterns?.some((pattern) => pattern.includes(":"))) {
    throw new PrunelabError(`invalid study: ${source}: needs sparsities such as [0.5], or patterns such as ["2:4"]`);
  }
  if (rest.tasks.length === 0 && rest.windows === undefined && !rest.export) {
    throw new PrunelabError(`invalid study: ${source}: measures nothing; give tasks, windows or export`);
  }
  return { ...rest, models: models ?? [model!] };
}

/**
 * Reads a study file: YAML, of which JSON is a part.
 *
 * @throws PrunelabError if it cannot be read, is not YAML or not a study.
 */
export async function readStudy(path: string): Promise<CheckedStudy> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw asReadError(error, path);
  });
  const { parse, YAMLParseError } = await import("yaml");
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    throw new PrunelabError(`not YAML: ${path}: ${error.message.split("\n")[0]!.replace(/:$/, "")}; correct it`);
  }
  return checkStudy(value, path);
}

type Issue = Zod.core.$ZodIssue;

/** The first mistake as a sentence: field, what is wrong, value. */
function explain(issues: readonly Issue[]): string {
  const issue = deepest(issues[0]!);
  const at = issue.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  const field = at.replace(/^\./, "");
  if (issue.code === "unrecognized_keys") {
    const [key] = issue.keys;
    const known = Object.keys(schema().shape);
    return `no such field: ${[field, key].filter(Boolean).join(".")}; known are ${known.join(", ")}`;
  }
  const allowed = issue.code === "invalid_value" ? `choose one of ${issue.values.map(String).join(", ")}` : "";
  const message = allowed || lowerFirst(issue.message.replace(/, received .*$/, ""));
  return `${field || "it"}: ${message}: ${JSON.stringify(issue.input) ?? "missing"}`;
}

/** Of a union, the alternative that came furthest. */
function deepest(issue: Issue): Issue {
  if (issue.code !== "invalid_union") return issue;
  const options = issue.errors.flatMap((errors) => errors.slice(0, 1)).map((inner) => deepest(inner));
  const best = options.sort(
    (a, b) => b.path.length - a.path.length || Number(b.code === "invalid_value") - Number(a.code === "invalid_value"),
  )[0];
  return best ? ({ ...best, path: [...issue.path, ...best.path], input: best.input ?? issue.input } as Issue) : issue;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
