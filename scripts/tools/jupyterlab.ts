/** Starts JupyterLab and a real browser on it, for the scripts that look at what a person would see. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";

const TOKEN = "check";

/** Opens a notebook of the folder; resolves once all its cells and its kernel are there. */
export type OpenNotebook = (name: string, cells: number) => Promise<void>;

/** Calls `use` with a page; where that throws, `failed.png` in `screenshots` shows what was on it. */
export async function withJupyterLab(
  {
    jupyter,
    folder,
    screenshots,
    theme = "JupyterLab Light",
  }: { jupyter: string; folder: string; screenshots: string; theme?: string },
  use: (page: Page, open: OpenNotebook) => Promise<void>,
): Promise<void> {
  const browserPath = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find((path) => existsSync(path));
  if (!browserPath) throw new Error("no browser found; install chromium");
  const settings = mkdtempSync(join(tmpdir(), "prunelab-lab-settings-"));
  mkdirSync(join(settings, "@jupyterlab", "apputils-extension"), { recursive: true });
  // No question about news over the notebook.
  writeFileSync(
    join(settings, "@jupyterlab", "apputils-extension", "notification.jupyterlab-settings"),
    '{ "checkForUpdates": false, "fetchNews": "false" }',
  );
  writeFileSync(
    join(settings, "@jupyterlab", "apputils-extension", "themes.jupyterlab-settings"),
    JSON.stringify({ theme }),
  );
  const { server, address } = await startServer(jupyter, folder, settings);
  const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(60_000);
    const open = async (name: string, cells: number) => {
      await page.goto(`${address}lab/tree/${name}?token=${TOKEN}&reset`);
      // An empty notebook stands there until the file has come.
      await page
        .locator(".jp-Notebook .jp-Cell")
        .nth(cells - 1)
        .waitFor({ state: "attached" });
      await page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').waitFor();
    };
    try {
      await use(page, open);
    } catch (error) {
      await page.screenshot({ path: join(screenshots, "failed.png") });
      throw error;
    }
  } finally {
    await browser.close();
    process.kill(-(server.pid as number), "SIGTERM");
    rmSync(settings, { recursive: true });
  }
}

/** Resolves with the address once the server listens. */
function startServer(
  jupyter: string,
  folder: string,
  settings: string,
): Promise<{ server: ChildProcess; address: string }> {
  const options = [
    "--no-browser",
    "--allow-root",
    "--ServerApp.port=0",
    "--LabApp.news_url=None",
    `--IdentityProvider.token=${TOKEN}`,
  ];
  const server = spawn(
    jupyter,
    ["lab", ...options, `--ServerApp.root_dir=${folder}`, `--LabApp.user_settings_dir=${settings}`],
    {
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    },
  );
  return new Promise((resolve, reject) => {
    let log = "";
    server.stderr.on("data", (chunk: Buffer) => {
      log += chunk.toString();
      const address = /(http:\/\/(?:127\.0\.0\.1|localhost):\d+\/)lab/.exec(log)?.[1];
      if (address) resolve({ server, address });
    });
    server.on("exit", (code) => reject(new Error(`jupyter lab ended with ${code}: ${log}`)));
  });
}
