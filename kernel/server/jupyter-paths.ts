/** Where Jupyter keeps its data on this machine. */
import { homedir } from "node:os";
import { join } from "node:path";

/** The user's own folder; https://docs.jupyter.org/en/latest/use/jupyter-directories.html#data-files */
export function jupyterDataFolder(): string {
  const { JUPYTER_DATA_DIR, APPDATA, XDG_DATA_HOME } = process.env;
  if (JUPYTER_DATA_DIR) return JUPYTER_DATA_DIR;
  if (process.platform === "darwin") return join(homedir(), "Library", "Jupyter");
  if (process.platform === "win32") return join(APPDATA ?? homedir(), "jupyter");
  return join(XDG_DATA_HOME ?? join(homedir(), ".local", "share"), "jupyter");
}

/** The file of the inputs of all sessions; PRUNELAB_HISTORY names another. */
export function historyPath(): string {
  return process.env.PRUNELAB_HISTORY || join(jupyterDataFolder(), "prunelab", "history.jsonl");
}
