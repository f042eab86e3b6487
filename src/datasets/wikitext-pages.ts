/** Cuts WikiText's raw files into articles, the rows that the Hub's `EleutherAI/wikitext_document_level` has. */
import type { PlacedRow } from "./source.ts";
import { readUtf8 } from "./utf8.ts";

/**
 * One row `{ page }` for each article of a `wiki.*.raw` file; joined by line feeds they are the file again but for blank lines before
 * the first.
 *
 * @throws PrunelabError if the file cannot be read.
 */
export async function readWikitextPages(path: string): Promise<PlacedRow[]> {
  const text = await readUtf8(path, "text");
  const rows: PlacedRow[] = [];
  let lines: string[] = [];
  const endPage = (nextLine: number) => {
    const page = lines.join("\n");
    if (page.trim() !== "") rows.push({ row: { page }, place: `${path} line ${nextLine - lines.length}` });
    lines = [];
  };
  for (const [index, line] of text.split("\n").entries()) {
    if (isTitle(line)) endPage(index + 1);
    lines.push(line);
  }
  endPage(text.split("\n").length + 1);
  return rows;
}

/** `= Title =`, and not the `= = Section = =` of a lower level, whose marks the set's makers join first. */
function isTitle(line: string): boolean {
  const joined = line.replaceAll("= = =", "===").replaceAll("= =", "==").trim();
  return joined.startsWith("= ") && joined.endsWith(" =");
}
