/** Cuts long text where it may be cut: not between the two halves of a character outside the Basic Multilingual Plane. */

/** At most `limit` UTF-16 units from the start. */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 1);
  const isHalf = last >= 0xd800 && last < 0xdc00;
  return text.slice(0, isHalf ? limit - 1 : limit);
}
