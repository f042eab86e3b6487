/** The one error class whose message is meant for users. */
/**
 * A mistake of the user's or a failure of the surroundings (network, disk, file), told in one sentence: what, where,
 * value, what to do. Command lines print its message alone; any other error is a defect of ours and keeps its stack.
 */
export class PrunelabError extends Error {
  override readonly name = "PrunelabError";
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
