/** Opens notebooks that others ran, and that nobody has trusted, in JupyterLab in a real browser, light and dark; looks for their tables and figures and leaves screenshots. */
import assert from "node:assert/strict";
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
    pictures: shown.filter((data) => ("image/png" in data && !("text/html" in data)) || has(data, "text/html", "<img"))
      .length,
    tables: shown.filter((data) => has(data, "text/html", "<table") && !has(data, "text/html", "<img")).length,
  };
}

async function look(theme: string, page: Page, open: OpenNotebook): Promise<void> {
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
      if ((await output.locator("img[src^='data:image/png']").count()) > 0) {
        seen.pictures++;
        await page.screenshot({
          path: join(screenshots as string, `${name.replace(".ipynb", "")}-figure-${seen.pictures}-${theme}.png`),
        });
      } else if ((await output.locator("table").count()) > 0) {
        seen.tables++;
        await page.screenshot({
          path: join(screenshots as string, `${name.replace(".ipynb", "")}-table-${seen.tables}-${theme}.png`),
        });
      }
    }
    assert.deepEqual(seen, { pictures, tables }, name);
    console.log(`${name}: ${pictures} figures and ${tables} tables seen, ${theme}`);
  }
}

for (const theme of ["light", "dark"]) {
  const lab = { jupyter, folder: resolve(dirname(paths[0]!)), screenshots };
  await withJupyterLab({ ...lab, theme: `JupyterLab ${theme === "dark" ? "Dark" : "Light"}` }, (page, open) =>
    look(theme, page, open),
  );
}
