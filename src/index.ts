export type { Checkpoint } from "./checkpoint/checkpoint.ts";
export { PrunelabError } from "./errors.ts";
