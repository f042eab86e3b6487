/** Shows bytes that are a picture, known by how they begin. */
export function imageBundle(value: object): Record<string, string> | undefined {
  if (!(value instanceof Uint8Array)) return undefined;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const type = imageType(bytes);
  if (type === undefined) return undefined;
  const data = type === "image/svg+xml" ? bytes.toString() : bytes.toString("base64");
  return { [type]: data, "text/plain": `${type}, ${bytes.length} bytes` };
}

function imageType(bytes: Buffer): string | undefined {
  const starts = (...values: number[]) => bytes.subarray(0, values.length).equals(Buffer.from(values));
  if (starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return "image/png";
  if (starts(0xff, 0xd8, 0xff)) return "image/jpeg";
  if (starts(0x47, 0x49, 0x46, 0x38)) return "image/gif";
  return /^\s*(<\?xml[^>]*\?>\s*)?<svg[\s>]/.test(bytes.subarray(0, 300).toString()) ? "image/svg+xml" : undefined;
}
