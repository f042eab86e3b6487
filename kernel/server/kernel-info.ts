/** What the kernel says of itself. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type Content, PROTOCOL_VERSION } from "../protocol/message.ts";

export function kernelInfo(): Content {
  const version = ownVersion();
  const typescript = versionOf(createRequire(import.meta.url).resolve("typescript/package.json"));
  return {
    status: "ok",
    protocol_version: PROTOCOL_VERSION,
    implementation: "prunelab",
    implementation_version: version,
    language_info: {
      name: "typescript",
      version: typescript,
      mimetype: "application/typescript",
      file_extension: ".ts",
      pygments_lexer: "typescript",
      codemirror_mode: "typescript",
      nbconvert_exporter: "script",
    },
    banner: `Prunelab ${version}: TypeScript ${typescript} on Node ${process.versions.node}`,
    debugger: true,
    supported_features: ["debugger"],
    help_links: [
      { text: "TypeScript", url: "https://www.typescriptlang.org/docs/" },
      { text: "Node.js", url: "https://nodejs.org/docs/latest/api/" },
      { text: "danfo.js", url: "https://danfo.jsdata.org/" },
      { text: "Plotly.js", url: "https://plotly.com/javascript/" },
    ],
  };
}

/** The package is one folder up in the sources, two in the build. */
function ownVersion(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const version = versionOf(join(folder, "package.json"), "prunelab");
    if (version !== "" || folder === dirname(folder)) return version || "0";
  }
}

function versionOf(path: string, expectedName?: string): string {
  try {
    const { name, version } = JSON.parse(readFileSync(path, "utf8")) as { name: string; version: string };
    return expectedName === undefined || name === expectedName ? version : "";
  } catch {
    return "";
  }
}
