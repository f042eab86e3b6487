/** Says why a file or folder could not be read, and what to do. */
import { messageOf, PrunelabError } from "../errors.ts";

const adviceByCode: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file; check the path",
  ENOTDIR: "there is no such file; check the path",
  EISDIR: "it is a folder; check the path",
  EACCES: "permission denied; change its permissions",
  EPERM: "operation not permitted; change its permissions",
  ELOOP: "its symbolic links go round in a circle; check the path",
  EMFILE: "too many files are open; close some and run again",
};

/** A failure to read `path`, as the sentence a user needs. */
export function asReadError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (error instanceof PrunelabError || typeof code !== "string") return error;
  return new PrunelabError(`cannot read ${path}: ${adviceByCode[code] ?? messageOf(error)}`, { cause: error });
}
