/** What the kernel asks of the process that knows TypeScript, and what it answers. */
import type { Script } from "../protocol/worker-channel.ts";

/** A compiler's error with the cell's lines around it, as a traceback shows it. */
export interface CompileError {
  name: string;
  value: string;
  traceback: string[];
}

export type CellPlan = { script: Script } | { error: CompileError };

export interface Completion {
  text: string;
  /** TypeScript's word for what it is, such as `method`. */
  kind: string;
  signature: string;
}

/** Positions are code points. */
export interface Completions {
  start: number;
  end: number;
  items: Completion[];
}

export interface Documentation {
  /** MIME types with their data. */
  data: Record<string, string>;
}

export interface Completeness {
  status: "complete" | "incomplete" | "invalid";
  indent?: string;
}

/** The methods of the process; each answers with what its function returns. */
export interface Language {
  /** Checks a cell, unless told not to, and makes it a script of that name. */
  plan(source: string, file: string, check: boolean): CellPlan;
  /** The planned cell begins: its declarations count from now on. */
  commit(): void;
  complete(source: string, position: number): Completions;
  inspect(source: string, position: number): Documentation | undefined;
  isComplete(source: string): Completeness;
  /** Forgets what the cells declared, as when their process is new. */
  reset(): void;
}

/** Without an id nothing is answered. */
export type LanguageRequest = { id?: number; method: keyof Language; params: unknown[] };
export type LanguageReply = { id: number; value?: unknown; failure?: string };

/** The id of a reply that answers nothing: the process listens now. */
export const READY_ID = 0;

/** What the process has as its argument where cells will be checked. */
export const CHECKS = "check";

/** The version of all files of packages: they are read once. */
export const PACKAGE_VERSION = "1";
