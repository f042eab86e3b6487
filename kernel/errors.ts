/** A mistake of the user's or of the surroundings that ends the kernel's command with one sentence and no stack. */
export class KernelError extends Error {
  override readonly name = "KernelError";
}

/** The message of anything thrown, even of an object whose own code throws. */
export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return "an error that cannot be shown";
  }
}
