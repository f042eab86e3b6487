/** `prunelab install` and `uninstall`: put the kernel where Jupyter finds it, and remove it. */
import { runInstall, runUninstall } from "../../kernel/server/install.ts";
import { type Command, defineCommand, flag, value } from "./command.ts";

const place = {
  user: flag("--user", "into the user's own Jupyter folder (the default)"),
  sysPrefix: flag("--sys-prefix", "into the active virtual or conda environment"),
  prefix: value("--prefix <folder>", "into <folder>/share/jupyter/kernels"),
  name: value("--name <name>", "name of the kernel", { default: "prunelab" }),
};

interface Place {
  user: boolean;
  sysPrefix: boolean;
  prefix: string | undefined;
  name: string;
}

function placeWords({ user, sysPrefix, prefix, name }: Place): string[] {
  return [
    ...(user ? ["--user"] : []),
    ...(sysPrefix ? ["--sys-prefix"] : []),
    ...(prefix === undefined ? [] : [`--prefix=${prefix}`]),
    `--name=${name}`,
  ];
}

export const install: Command = defineCommand({
  description: "Installs the TypeScript kernel for JupyterLab and all else that runs notebooks.",
  options: {
    ...place,
    displayName: value("--display-name <text>", "name that front ends show", { default: "TypeScript (Prunelab)" }),
    check: flag("--no-check", "run cells without checking their types"),
  },
  examples: [
    ["", "for this user; then jupyter lab"],
    ["--sys-prefix", "for the active Python environment alone"],
  ],
  run: async ({ displayName, check, ...values }) => {
    runInstall([...placeWords(values), `--display-name=${displayName}`, ...(check ? [] : ["--no-check"])]);
  },
});

export const uninstall: Command = defineCommand({
  description: "Removes what prunelab install wrote, and only that.",
  options: place,
  examples: [["", "for this user"]],
  run: async (values) => runUninstall(placeWords(values)),
});
