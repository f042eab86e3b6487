/** A table as CSV (RFC 4180). */

/** Lines end in CR LF; numbers have all their digits, missing values are empty. */
export function csvText(header: readonly unknown[], rows: readonly (readonly unknown[])[]): string {
  const field = (value: unknown) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [header, ...rows].map((row) => `${row.map(field).join(",")}\r\n`).join("");
}
