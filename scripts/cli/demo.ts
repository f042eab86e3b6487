/** `prunelab demo`: a page on this machine on which exported models write side by side. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type Command, defineCommand, flag, UsageError, value } from "./command.ts";
import { parseWhole } from "./options.ts";

export const demo: Command = defineCommand({
  usage: "<folder> [<folder> …] [options]",
  description: `Serves a page on 127.0.0.1 on which the models of the folders answer one prompt side by side, in the browser's own processor, and opens it.
A folder is one that prunelab export --to onnx:… wrote, or one that holds such folders, dense and pruned. The page and all that it loads come from
this machine; it asks no other host. Ctrl-C ends it.`,
  operands: "many",
  options: {
    port: value("--port <n>", "where to listen; 0 takes any free port", { parse: parseWhole, default: "8017" }),
    open: flag("--no-open", "print the address and open no browser"),
  },
  examples: [
    ["web/dense web/pruned", "two models side by side"],
    ["web --port 0 --no-open", "all models in web, on a free port"],
  ],
  run: async ({ port, open }, folders) => {
    if (folders.length === 0) throw new UsageError("which folder? name one that prunelab export --to onnx:q8 wrote");
    if (port > 65_535) throw new UsageError(`invalid --port; a whole number up to 65535: ${port}`);
    const { findModels, serveDemo } = await import("../demo/serve.ts");
    const models = await findModels(folders);
    const { server, url } = await serveDemo(models, port);
    console.log(`${models.map(({ name, dtype }) => `${name} (${dtype})`).join(" | ")}: ${url} (Ctrl-C ends it)`);
    if (open && !(await openBrowser(url))) console.error(`no browser found; open ${url} in one`);
    await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
    server.close();
    server.closeAllConnections();
  },
});

/** Asks the system to open an address; whether it could. */
async function openBrowser(url: string): Promise<boolean> {
  const [command, ...words] =
    process.platform === "win32"
      ? ["cmd", "/c", "start", "", url]
      : [process.platform === "darwin" ? "open" : "xdg-open", url];
  const child = spawn(command!, words, { stdio: "ignore", detached: true });
  child.unref();
  return await new Promise((done) => {
    child.once("error", () => done(false));
    child.once("exit", (code) => done(code === 0));
    // Some stay for as long as the browser does.
    setTimeout(() => done(true), 3000).unref();
  });
}
