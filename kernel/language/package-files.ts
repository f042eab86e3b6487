/** The declarations of packages: read once, without their comments until someone asks, or found in the start-up snapshot. */
import type { CreateSourceFileOptions, DocumentRegistry, IScriptSnapshot } from "typescript";
import { PACKAGE_VERSION } from "./language-messages.ts";
import { snapshotFiles } from "./snapshot-state.ts";
import { ts } from "./typescript.ts";

export interface PackageFiles {
  registry: DocumentRegistry;
  /** Of files of packages. */
  version(name: string): string | undefined;
  /** Of files in the snapshot. */
  text(name: string): IScriptSnapshot | undefined;
  readComments(names: readonly string[]): void;
}

export function isOfPackage(name: string): boolean {
  return name.includes("/node_modules/");
}

export function createPackageFiles(folder: string): PackageFiles {
  const commented = new Set<string>();
  const hasComments = (name: string) => !isOfPackage(name) || commented.has(name);
  const withComments = keepingRegistry(folder, ts.JSDocParsingMode.ParseAll);
  // A third of the text of packages is comments.
  const without = keepingRegistry(folder, ts.JSDocParsingMode.ParseNone);
  type Acquire = DocumentRegistry["acquireDocumentWithKey"];
  const acquire =
    (method: "acquireDocumentWithKey" | "updateDocumentWithKey"): Acquire =>
    (...params) => {
      const [name, , , , , , , options] = params;
      if (hasComments(name)) return withComments[method](...params);
      return fromSnapshot(name, options as CreateSourceFileOptions) ?? without[method](...params);
    };
  return {
    registry: {
      ...withComments,
      acquireDocumentWithKey: acquire("acquireDocumentWithKey"),
      updateDocumentWithKey: acquire("updateDocumentWithKey"),
    },
    version: (name) => {
      if (!isOfPackage(name)) return undefined;
      return hasComments(name) ? `${PACKAGE_VERSION} with comments` : PACKAGE_VERSION;
    },
    text: (name) => snapshotFiles()?.get(name)?.scriptSnapshot,
    readComments: (names) => {
      for (const name of names) commented.add(name);
    },
  };
}

function fromSnapshot(name: string, { languageVersion, impliedNodeFormat }: CreateSourceFileOptions) {
  const file = snapshotFiles()?.get(name);
  const isSame = file?.languageVersion === languageVersion && file.impliedNodeFormat === impliedNodeFormat;
  return isSame ? file : undefined;
}

/** Keeps what it has read: a package that this cell does not use may be used by the next one. */
function keepingRegistry(folder: string, jsDocParsingMode: number): DocumentRegistry {
  // The mode is a parameter that the published types do not have.
  const create = ts.createDocumentRegistry as (...params: unknown[]) => DocumentRegistry;
  const registry = create(ts.sys.useCaseSensitiveFileNames, folder, jsDocParsingMode);
  type Acquire = DocumentRegistry["acquireDocumentWithKey"];
  const inMode =
    (acquire: Acquire): Acquire =>
    (...params) => {
      params[7] = { ...(params[7] as CreateSourceFileOptions), jsDocParsingMode };
      return acquire(...params);
    };
  return {
    ...registry,
    acquireDocumentWithKey: inMode(registry.acquireDocumentWithKey),
    updateDocumentWithKey: inMode(registry.updateDocumentWithKey),
    releaseDocument: () => {},
    releaseDocumentWithKey: () => {},
  };
}
