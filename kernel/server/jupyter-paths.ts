/** Where Jupyter keeps its data on this machine. */
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** The user's own folder; https://docs.jupyter.org/en/latest/use/jupyter-directories.html#data-files */
export function jupyterDataFolder(): string {
  const { JUPYTER_DATA_DIR, APPDATA, XDG_DATA_HOME } = process.env;
  if (JUPYTER_DATA_DIR) return JUPYTER_DATA_DIR;
  if (process.platform === "darwin") return join(homedir(), "Library", "Jupyter");
  if (process.platform === "win32") return join(APPDATA ?? homedir(), "jupyter");
  return join(XDG_DATA_HOME ?? join(homedir(), ".local", "share"), "jupyter");
}

/** Where Jupyter looks for kernels, first wins; the environment is the active one, since a Python's own is not known here. */
export function kernelFolders(): string[] {
  const { JUPYTER_PATH = "", VIRTUAL_ENV, CONDA_PREFIX, JUPYTER_PREFER_ENV_PATH } = process.env;
  const environment = VIRTUAL_ENV || CONDA_PREFIX;
  const own = environment ? [join(environment, "share", "jupyter")] : [];
  const user = [jupyterDataFolder()];
  const isEnvironmentFirst = !/^(0|no|n|false|off)$/i.test(JUPYTER_PREFER_ENV_PATH ?? "1");
  const system = process.platform === "win32" ? [] : ["/usr/local/share/jupyter", "/usr/share/jupyter"];
  const named = JUPYTER_PATH.split(delimiter).filter((path) => path !== "");
  const folders = [...named, ...(isEnvironmentFirst ? [...own, ...user] : [...user, ...own]), ...system];
  return folders.map((folder) => join(folder, "kernels"));
}

/** The file of the inputs of all sessions; PRUNELAB_HISTORY names another. */
export function historyPath(): string {
  return process.env.PRUNELAB_HISTORY || join(jupyterDataFolder(), "prunelab", "history.jsonl");
}
