/** Rows and where they came from. */
import type { FolderLayout } from "./folder.ts";

/** Where rows are on the Hub. */
export interface DatasetRef {
  /** Hub id, e.g. `"Rowan/hellaswag"`. */
  readonly path: string;
  /** The set's configuration, e.g. an MMLU subject. */
  readonly name?: string;
  readonly split: string;
  /** How the set's original files lie in a folder; absent if it is read from the Hub alone. */
  readonly folder?: FolderLayout;
  /** Local JSON Lines by split, instead of the Hub. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Where rows were read, so that results can say whether they are a benchmark's or the demo's. */
export interface DataSource {
  /** The folder in PRUNELAB_DATA, the Hugging Face Hub, or the demo documents inside this package (no benchmark). */
  readonly kind: "folder" | "hub" | "demo";
  /** A path or an address. */
  readonly where: string;
  /** Whether the source holds all rows of the split. */
  readonly complete: boolean;
  /** Why the sources before this one were not taken; empty for the first. */
  readonly passedOver: readonly string[];
}

/** A row with the names, types and order of fields that the Hub serves. */
export type Row = Record<string, unknown>;

/** A row and its place, e.g. `"valid.jsonl line 7"`, for errors. */
export interface PlacedRow {
  readonly row: Row;
  readonly place: string;
}
