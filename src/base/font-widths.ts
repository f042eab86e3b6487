/** How wide text is in a sans-serif font such as Helvetica, for laying out plots where there is no browser to ask. */

/** Widths in thousandths of the font size, each with its characters; other characters are taken as 600. */
const WIDTHS: Readonly<Record<number, string>> = {
  222: "ijl'",
  278: " ftI.,:;!/\\[]|",
  333: "r()-`",
  500: "ckvxyzsJ",
  556: "abdeghnopquL0123456789$?_#",
  584: "+=<>~^*",
  611: "FTZ",
  667: "ABEKPSVXY&",
  722: "CDHNRUw",
  778: "GOQ",
  833: "mM",
  889: "%",
  944: "W",
  1015: "@",
};

const widthOf = new Map(
  Object.entries(WIDTHS).flatMap(([width, characters]) => [...characters].map((c) => [c, Number(width)])),
);

/** In the unit of `size`. */
export function textWidth(text: string, size: number): number {
  let thousandths = 0;
  for (const character of text) thousandths += widthOf.get(character) ?? 600;
  return (thousandths / 1000) * size;
}
