/** Shares, changes and p-values as people read them. */

/** E.g. 0.435 → "43.5". */
export function percent(share: number): string {
  return (100 * share).toFixed(1);
}

/** A change of a share in percentage points with its sign, e.g. -0.14 → "-14.0"; what rounds to nothing has none. */
export function points(change: number): string {
  return signed(100 * change, 1);
}

/** With a sign unless it rounds to nothing. */
export function signed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  if (Number(text) === 0) return text.replace("-", "");
  return value > 0 ? `+${text}` : text;
}

/** As many digits as matter: "0.76", "0.031", "0.0042", "<0.0001". A p below 0.05 never looks like 0.05. */
export function pValue(p: number): string {
  if (p < 0.0001) return "<0.0001";
  const text = p.toFixed(p < 0.01 ? 4 : p < 0.1 ? 3 : 2);
  return p < 0.05 && Number(text) >= 0.05 ? "<0.05" : text;
}
