/** `?name` and `name?` instead of code ask for documentation. */

/** The name asked for. */
export function questionIn(source: string): string | undefined {
  const match = /^\s*(?:\?{1,2}\s*([\w$.]+)|([\w$.]+)\s*\?{1,2})\s*$/.exec(source);
  return match?.[1] ?? match?.[2];
}
