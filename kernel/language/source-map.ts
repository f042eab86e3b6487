/** Reads a source map's segments, and moves its lines where a line was put before the source that the compiler was given. */

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** One line up in the source. Positions are told by their distance from the one before, so only the first changes. */
export function moveUp(map: string): string {
  const { mappings, ...rest } = JSON.parse(map) as { mappings: string };
  // Segments of one number say nothing of the source.
  const moved = mappings.replace(
    /[^,;]+/g,
    changeFirst((segment) => {
      const numbers = decodeSegment(segment);
      if (numbers.length < 4) return undefined;
      numbers[2] = (numbers[2] as number) - 1;
      return numbers.map(encode).join("");
    }),
  );
  return JSON.stringify({ ...rest, mappings: moved });
}

/** Changes segments until `change` has changed one. */
function changeFirst(change: (segment: string) => string | undefined): (segment: string) => string {
  let isDone = false;
  return (segment) => {
    const changed = isDone ? undefined : change(segment);
    isDone ||= changed !== undefined;
    return changed ?? segment;
  };
}

/** A segment's numbers: base 64, five bits a digit, the lowest first; the sign is the lowest bit of the number. */
export function decodeSegment(segment: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) << shift;
    shift += 5;
    if ((bits & 32) !== 0) continue;
    numbers.push((value & 1) === 1 ? -(value >> 1) : value >> 1);
    value = 0;
    shift = 0;
  }
  return numbers;
}

function encode(number: number): string {
  let value = number < 0 ? (-number << 1) | 1 : number << 1;
  let text = "";
  do {
    const more = value >> 5 > 0;
    text += DIGITS[(value & 31) | (more ? 32 : 0)];
    value >>= 5;
  } while (value > 0);
  return text;
}
