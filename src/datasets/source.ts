/** Where rows were read from, so that results can say whether they are a benchmark's or the demo's. */
export interface DataSource {
  /** The folder in PRUNELAB_DATA, the Hugging Face Hub, or the demo documents inside this package (no benchmark). */
  readonly kind: "folder" | "hub" | "demo";
  /** A path or an address. */
  readonly where: string;
}
