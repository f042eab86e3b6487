/** What a command of the command line is, and how one is run: its options, help, examples and errors, on commander. */
import { type Command as Commander, CommanderError, createCommand, Option } from "commander";
import { PrunelabError } from "../../src/errors.ts";

/** An option, which gives a value of type `T` to the command. Made by {@link value}, {@link values} and {@link flag}. */
export interface OptionOf<T> {
  /** As in the help: `--sparsity <share>`, `-p, --parameter <name=value>`, `--fresh`. */
  readonly flags: string;
  readonly help: string;
  /** As one would type it; shown in the help. */
  readonly default?: string;
  /** Throws a PrunelabError, before anything is opened. */
  readonly parse?: Parser<unknown>;
  /** Words that shell completion offers. */
  readonly words?: readonly string[];
  readonly many?: boolean;
  /** Heading in the help. */
  readonly group?: string;
  /** Never there: carries the type. */
  readonly type?: T;
}

/** Makes a value of the words after `flag`. */
export type Parser<T> = (text: string, flag: string) => T;

type Details = Pick<OptionOf<unknown>, "words" | "group">;

/** An option with a value; text unless `parse` makes something else of it. */
export function value<T>(
  flags: string,
  help: string,
  details: Details & { parse: Parser<T>; default: string },
): OptionOf<T>;
export function value<T>(flags: string, help: string, details: Details & { parse: Parser<T> }): OptionOf<T | undefined>;
export function value(flags: string, help: string, details: Details & { default: string }): OptionOf<string>;
export function value(flags: string, help: string, details?: Details): OptionOf<string | undefined>;
export function value(flags: string, help: string, details: Details = {}): OptionOf<unknown> {
  return { flags, help, ...details };
}

/** An option that may be given again. */
export function values<T = string>(
  flags: string,
  help: string,
  details: Details & { parse?: Parser<T> } = {},
): OptionOf<T[]> {
  return { flags, help, ...details, many: true };
}

/** An option without a value: whether it is given. `--no-x` is true unless given; `--x, --no-x` is undefined without either. */
export function flag(
  flags: `${string}, --no-${string}`,
  help: string,
  details?: Details,
): OptionOf<boolean | undefined>;
export function flag(flags: string, help: string, details?: Details): OptionOf<boolean>;
export function flag(flags: string, help: string, details: Details = {}): OptionOf<boolean | undefined> {
  return { flags, help, ...details };
}

/** What a command prints: text, or under `--json` its JSON. */
export interface Result {
  readonly text: string;
  readonly json?: unknown;
}

interface Definition<O extends Record<string, OptionOf<unknown>>> {
  /** What comes after the command's name; default `[options]`. */
  readonly usage?: string;
  /** What it does, in a paragraph or two. */
  readonly description: string;
  /** How many words beside its options it takes; default none. */
  readonly operands?: "one" | "many";
  readonly options: O;
  /** What is in the JSON; where this is said, the command takes `--json`. */
  readonly json?: string;
  /** Words after `prunelab <name>`, and what that does. */
  readonly examples: readonly (readonly [words: string, does: string])[];
  readonly notes?: string;
  /** A run that was stopped by Ctrl-C goes on where it was. */
  readonly resumes?: boolean;
  /** Exit code of a mistake in the words, where an engine reads it; a person's shell gets 2. */
  readonly mistakeCode?: number;
  readonly run: (
    values: { [K in keyof O]: O[K] extends OptionOf<infer T> ? T : never },
    operands: readonly string[],
    // biome-ignore lint/suspicious/noConfusingVoidType: a command without a result returns nothing.
  ) => Promise<Result | void>;
}

/** A command as the table of commands keeps it. */
export interface Command extends Omit<Definition<Record<string, OptionOf<unknown>>>, "run"> {
  readonly run: (
    values: Record<string, unknown>,
    operands: readonly string[],
    // biome-ignore lint/suspicious/noConfusingVoidType: as above.
  ) => Promise<Result | void>;
  /** Its own commands, such as `plan` of `prunelab sweep plan`; then it runs nothing itself. */
  readonly commands?: Readonly<Record<string, { readonly summary: string; readonly command: Command }>>;
}

/** Lets the compiler give `run` the types of the options. */
export function defineCommand<O extends Record<string, OptionOf<unknown>>>(definition: Definition<O>): Command {
  return definition as unknown as Command;
}

/** A command that is a family of commands. */
export function defineFamily(
  family: Pick<Command, "description" | "examples" | "notes"> & Required<Pick<Command, "commands">>,
): Command {
  return { usage: "<command> [options]", options: {}, run: async () => {}, ...family };
}

/** A mistake in the words of the command line, which ends with exit code 2. */
export class UsageError extends PrunelabError {
  readonly exitCode = 2;
}

/** Runs a command with the words after its name. Throws a UsageError or whatever the command throws. */
export async function runCommand(name: string, command: Command, args: readonly string[]): Promise<void> {
  const parent = createCommand("prunelab");
  await parse(parent.addCommand(toCommander(name, "", command)), [name, ...args]);
}

/** The same for a program of its own, such as a benchmark, which has no subcommands. */
export async function runProgram(name: string, command: Command): Promise<void> {
  await parse(toCommander(name, "", command), process.argv.slice(2));
}

/** Parses the words and runs what they ask for. */
export async function parse(program: Commander, args: readonly string[]): Promise<void> {
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version end this way too.
    if (error.exitCode === 0) return;
    const message = error.message.replace(/^error: /, "").replace(/\n\(Did you mean (.*)\?\)$/, "; did you mean $1?");
    const mistake = new UsageError(message);
    throw error.exitCode > 1 ? Object.assign(mistake, { exitCode: error.exitCode }) : mistake;
  }
}

/** Commander's form of a program or command, without its options: it throws instead of ending the process. */
export function quietCommander(name: string): Commander {
  return createCommand(name)
    .exitOverride()
    .configureOutput({ writeOut: (text) => console.log(text.trimEnd()), writeErr: () => {}, outputError: () => {} })
    .configureHelp({ styleTitle: (title) => title.toLowerCase() })
    .helpOption("-h, --help", "show this help");
}

/** `words` is what comes after `prunelab`, if that is more than the command's own name. */
export function toCommander(name: string, summary: string, command: Command, words: string = name): Commander {
  const { usage = "[options]", description, operands, options, json, examples, notes, resumes, mistakeCode } = command;
  const commander = quietCommander(name).summary(summary).usage(usage).description(unwrap(description));
  if (operands) commander.argument(operands === "one" ? "[operand]" : "[operands...]");
  commander.configureHelp({ ...commander.configureHelp(), visibleArguments: () => [] });
  const fail = (error: Error): never => {
    const isMistake = mistakeCode !== undefined && (error as { exitCode?: number }).exitCode !== 0;
    throw isMistake ? Object.assign(error, { exitCode: mistakeCode }) : error;
  };
  commander.exitOverride(fail);
  const attributes = new Map<string, string>();
  for (const [key, option] of Object.entries(options)) {
    const { attribute, made } = toCommanderOptions(option, fail);
    attributes.set(key, attribute);
    for (const each of made) commander.addOption(each);
  }
  if (json !== undefined) commander.option("--json", `print ${json} as JSON instead`);
  const lines = examples.map(([rest, does]) => `  ${exampleLine(words, rest)}\n      ${does}`);
  commander.addHelpText("after", `\nexamples:\n${lines.join("\n")}`);
  if (notes !== undefined) commander.addHelpText("after", `\n${notes}`);
  if (command.commands) {
    for (const [own, { summary, command: inner }] of Object.entries(command.commands)) {
      commander.addCommand(toCommander(own, summary, inner, `${words} ${own}`));
    }
    return commander.helpCommand(false);
  }
  commander.action(async () => {
    const given = commander.opts();
    const parsed = Object.fromEntries([...attributes].map(([key, attribute]) => [key, given[attribute]]));
    for (const [key, { many, flags }] of Object.entries(options)) {
      if (many) parsed[key] ??= [];
      else if (!/<|--no-/.test(flags)) parsed[key] ??= false;
    }
    if (resumes) process.once("SIGINT", stopped);
    const result = await command.run(parsed, commander.args).finally(() => process.off("SIGINT", stopped));
    if (result) console.log(given.json === true ? JSON.stringify(result.json, null, 2) : result.text);
  });
  return commander;
}

/** Paragraphs stay, lines are the terminal's. */
function unwrap(text: string): string {
  return text.replaceAll(/([^\n])\n(?!\n)/g, "$1 ");
}

function stopped(): void {
  console.error("\nstopped; the same command goes on from what is finished");
  process.exit(130);
}

/** An example that sets a variable first names the command itself. */
export function exampleLine(words: string, rest: string): string {
  return /^[A-Z_]+=\S* prunelab /.test(rest) ? rest : `prunelab ${words} ${rest}`.trimEnd();
}

/** One option of commander's, or two for `--x` with `--no-x` beside it (`--x, --no-x`). */
function toCommanderOptions(
  option: OptionOf<unknown>,
  fail: (error: Error) => never,
): { attribute: string; made: Option[] } {
  const [first, second] = /^(--[a-z-]+), (--no-[a-z-]+)$/.exec(option.flags)?.slice(1) ?? [option.flags];
  const made = [
    new Option(first ?? "", option.help),
    ...(second ? [new Option(second, `not so, whatever the default`)] : []),
  ];
  const main = made[0]!;
  const name = main.long ?? main.short ?? "";
  const isFlag = !main.required && !main.optional;
  if (option.group !== undefined) for (const each of made) each.helpGroup(option.group);
  if (!isFlag) {
    const parse = option.parse ?? ((text: string) => text);
    main.argParser<unknown>((text, before) => {
      try {
        if (/^--[a-z]/.test(text)) throw new UsageError(`missing value of ${name}: the next word is ${text}`);
        const parsed = parse(text, name);
        return option.many ? [...((before as unknown[] | undefined) ?? []), parsed] : parsed;
      } catch (error) {
        return fail(error as Error);
      }
    });
    if (option.default !== undefined) main.default(parse(option.default, name), option.default);
  }
  return { attribute: main.attributeName(), made };
}
