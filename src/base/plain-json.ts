/** Writes JSON in which typed arrays are arrays; JSON.stringify makes objects of them. */
export function toPlainJson(value: unknown): string {
  return JSON.stringify(value, (_key, item) =>
    ArrayBuffer.isView(item) && !(item instanceof DataView) ? Array.from(item as never) : item,
  );
}
