/** `prunelab completion`: a script for a shell, written from the table of commands. */
import { PrunelabError } from "../../src/errors.ts";
import { type Command, defineCommand, type OptionOf } from "./command.ts";

/** Every command by its name; `load` brings its definition. */
export type CommandTable = Readonly<
  Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>
>;

interface Named {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly {
    readonly flag: string;
    readonly help: string;
    readonly option: Pick<OptionOf<unknown>, "words" | "flags">;
  }[];
}

const shells = { bash, zsh, fish } as const;

export function completionOf(table: CommandTable): Command {
  return defineCommand({
    usage: `<${Object.keys(shells).join("|")}>`,
    description:
      "Prints a script that lets a shell complete prunelab's commands, options and their values with the tab key.",
    operands: "one",
    options: {},
    examples: [
      ["bash >> ~/.bash_completion", "in bash, from the next shell on"],
      ["zsh > ~/.zfunc/_prunelab", "in zsh, from the next shell on; ~/.zfunc must be in fpath"],
      ["fish > ~/.config/fish/completions/prunelab.fish", "in fish, at once"],
    ],
    run: async (_values, [shell = ""]) => {
      if (!Object.hasOwn(shells, shell)) {
        throw new PrunelabError(
          `which shell? choose one of ${Object.keys(shells).join(", ")}: ${shell || "none given"}`,
        );
      }
      const commands = Object.entries(table).filter(([name]) => name !== "completion");
      const named = await Promise.all(
        commands.map(async ([name, { summary, load }]) => ({ name, summary, options: optionsOf(await load()) })),
      );
      const own = { name: "completion", summary: table.completion?.summary ?? "", options: [] };
      return { text: shells[shell as keyof typeof shells]([...named, own]) };
    },
  });
}

function optionsOf({ options, json, commands }: Command): Named["options"] {
  if (commands) return Object.values(commands).flatMap(({ command }) => optionsOf(command));
  const all: OptionOf<unknown>[] = [
    ...Object.values(options),
    ...(json ? [{ flags: "--json", help: `print ${json} as JSON` }] : []),
  ];
  return all.flatMap((option) =>
    [...option.flags.matchAll(/--[a-z-]+/g)].map(([flag]) => ({ flag, help: option.help, option })),
  );
}

const takesValue = ({ flags }: Pick<OptionOf<unknown>, "flags">) => flags.includes("<");

function bash(commands: readonly Named[]): string {
  const cases = commands.flatMap(({ name, options }) => [
    ...options
      .filter(({ option }) => option.words)
      .map(({ flag, option }) => `    "${name} ${flag}") words="${option.words?.join(" ")}" ;;`),
    ...options
      .filter(({ option }) => takesValue(option) && !option.words)
      .map(({ flag }) => `    "${name} ${flag}") ;;`),
    `    "${name} "*) words="${options.map(({ flag }) => flag).join(" ")} --help" ;;`,
  ]);
  return `_prunelab() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} --help --version" -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]} \${COMP_WORDS[COMP_CWORD-1]}" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _prunelab prunelab`;
}

function zsh(commands: readonly Named[]): string {
  const text = (help: string) => help.replaceAll(/[[\]:'\\`$"]/g, " ");
  const cases = commands.map(({ name, options }) => {
    const specs = options.map(({ flag, help, option }) => {
      const action = option.words ? `:value:(${option.words.join(" ")})` : takesValue(option) ? ":value:_files" : "";
      return `'*${flag}[${text(help)}]${action}'`;
    });
    return `    ${name}) _arguments ${[...specs, "'--help[show the help]'", "'*:file:_files'"].join(" ")} ;;`;
  });
  return `#compdef prunelab
_prunelab() {
  if (( CURRENT == 2 )); then
    local -a names=(${commands.map(({ name, summary }) => `'${name}:${text(summary)}'`).join(" ")})
    _describe command names
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join("\n")}
  esac
}
if [ "$funcstack[1]" = _prunelab ]; then _prunelab "$@"; else compdef _prunelab prunelab; fi`;
}

function fish(commands: readonly Named[]): string {
  const text = (help: string) => `'${help.replaceAll(/['\\]/g, " ")}'`;
  return commands
    .flatMap(({ name, summary, options }) => [
      `complete -c prunelab -n __fish_use_subcommand -f -a ${name} -d ${text(summary)}`,
      ...options.map(({ flag, help, option }) => {
        const words = option.words ? ` -x -a ${text(option.words.join(" "))}` : takesValue(option) ? " -r" : "";
        return `complete -c prunelab -n '__fish_seen_subcommand_from ${name}' -l ${flag.slice(2)}${words} -d ${text(help)}`;
      }),
    ])
    .join("\n");
}
