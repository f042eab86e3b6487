/** The folder of what can be made again. */
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

/**
 * Not necessarily there yet. PRUNELAB_CACHE names it; without, it is `prunelab` in the platform's cache folder: XDG_CACHE_HOME or `~/.cache`
 * (XDG Base Directory Specification), `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows.
 */
export function cacheRoot(): string {
  return process.env.PRUNELAB_CACHE ? resolve(process.env.PRUNELAB_CACHE) : join(platformFolder(), "prunelab");
}

function platformFolder(): string {
  if (process.platform === "win32") return process.env.LOCALAPPDATA || join(homedir(), "AppData", "Local");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches");
  const named = process.env.XDG_CACHE_HOME;
  // The specification: a relative path is to be ignored.
  return named && isAbsolute(named) ? named : join(homedir(), ".cache");
}
