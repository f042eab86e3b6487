/** Opens notebooks that were run in JupyterLab in a real browser and looks for their tables and figures; leaves screenshots. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Page } from "playwright-core";
import { type OpenNotebook, withJupyterLab } from "./jupyterlab.ts";

const [jupyter, screenshots, ...paths] = process.argv.slice(2);
if (!jupyter || !screenshots || paths.length === 0) {
  console.error(
    "usage: check-notebooks.ts <path of the jupyter command> <folder for screenshots> <notebook…>, all notebooks of one folder",
  );
  process.exit(1);
}
mkdirSync(screenshots, { recursive: true });

interface Output {
  output_type: string;
  data?: Record<string, unknown>;
}

/** How many of a notebook's outputs a front end without a plotly renderer shows as a picture, and how many as a table. */
function expected(path: string): { count: number; pictures: number; tables: number } {
  const { cells } = JSON.parse(readFileSync(path, "utf8")) as { cells: { outputs?: Output[] }[] };
  const shown = cells.flatMap(({ outputs = [] }) => outputs.map(({ data = {} }) => data));
  const has = (data: Record<string, unknown>, type: string, text: string) =>
    [data[type] ?? ""].flat().join("").includes(text);
  return {
    count: cells.length,
    pictures: shown.filter(
      (data) => ("image/svg+xml" in data && !("text/html" in data)) || has(data, "text/html", "<img"),
    ).length,
    tables: shown.filter((data) => has(data, "text/html", "<table") && !has(data, "text/html", "<img")).length,
  };
}

async function look(page: Page, open: OpenNotebook): Promise<void> {
  for (const path of paths) {
    const name = basename(path);
    const { count, pictures, tables } = expected(path);
    await open(name, count);
    const outputs = page.locator(".jp-Notebook .jp-OutputArea-output:has(img, svg, table)");
    const seen = { pictures: 0, tables: 0 };
    // A cell is drawn when it comes into view.
    for (let cell = 0; cell < count; cell++) {
      await page.locator(".jp-Notebook .jp-Cell").nth(cell).scrollIntoViewIfNeeded();
      await page.waitForTimeout(100);
    }
    for (let index = 0; index < (await outputs.count()); index++) {
      const output = outputs.nth(index);
      await output.scrollIntoViewIfNeeded();
      const box = await output.boundingBox();
      assert.ok(box && box.width > 50 && box.height > 10, `${name}: output ${index} is not to be seen`);
      if (
        (await output.locator("img[src^='data:image/svg+xml'], .jp-RenderedSVG svg, .jp-RenderedSVG img").count()) > 0
      ) {
        seen.pictures++;
        await page.screenshot({
          path: join(screenshots as string, `${name.replace(".ipynb", "")}-figure-${seen.pictures}.png`),
        });
      } else if ((await output.locator("table").count()) > 0) {
        seen.tables++;
        await page.screenshot({
          path: join(screenshots as string, `${name.replace(".ipynb", "")}-table-${seen.tables}.png`),
        });
      }
    }
    assert.deepEqual(seen, { pictures, tables }, name);
    console.log(`${name}: ${pictures} figures and ${tables} tables seen`);
  }
}

// A front end shows no SVG of a notebook that it did not run itself, until the user trusts it.
execFileSync(jupyter, ["trust", ...paths], { stdio: "ignore" });
await withJupyterLab({ jupyter, folder: resolve(dirname(paths[0]!)), screenshots }, look);
