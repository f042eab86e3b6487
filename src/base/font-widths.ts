/** How wide text is in DejaVu Sans, which pictures are drawn with and which is as wide as Verdana: text laid out by it fits in other fonts too. */

/** Widths in thousandths of the font size, rounded up, each with its characters; other characters are taken as 1,000. */
const WIDTHS: Readonly<Record<number, string>> = {
  280: "'ijl",
  300: "IJ",
  320: " ,.·‘’",
  340: "/:;\\|",
  360: "f",
  370: "-",
  400: "()[]t",
  410: "!²³",
  420: "r",
  460: '"',
  500: "*_`°–",
  520: "“”",
  530: "sz",
  540: "?",
  550: "c",
  560: "L",
  580: "Fk",
  600: "vxy",
  610: "P",
  620: "TYaeoäöàéè",
  630: "ß",
  640: "$0123456789ESbdghnpqu{}µüñ",
  660: "K",
  690: "ABVXZÄ",
  700: "CR",
  740: "UÜ",
  750: "N",
  760: "H",
  780: "&DG",
  790: "OQÖ",
  820: "w",
  840: "#+<=>^~±×÷≤≥→×",
  870: "M",
  960: "%",
  980: "m",
  990: "W",
  1000: "@—…",
};

const widthOf = new Map(
  Object.entries(WIDTHS).flatMap(([width, characters]) => [...characters].map((c) => [c, Number(width)])),
);

/** The fonts of figures, the best known first: all of about one width. */
export const fontFamily = '"DejaVu Sans", Verdana, sans-serif';

/** In the unit of `size`. */
export function textWidth(text: string, size: number): number {
  let thousandths = 0;
  for (const character of text) thousandths += widthOf.get(character) ?? 1000;
  return (thousandths / 1000) * size;
}
