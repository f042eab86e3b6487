/** What cells get from `import … from "tslab"`: that package's own names, shown by this kernel. */
import { createRequire } from "node:module";
import type * as Tslab from "tslab";
import type { DisplayApi } from "../display/display-api.ts";

type Raw = (type: string, content: string | Uint8Array) => void;

/** The MIME types are tslab's. */
function displayOf(raw: Raw): Tslab.Display {
  return {
    javascript: (text) => raw("text/javascript", text),
    html: (text) => raw("text/html", text),
    markdown: (text) => raw("text/markdown", text),
    latex: (text) => raw("text/latex", text),
    svg: (text) => raw("image/svg+xml", text),
    png: (bytes) => raw("image/png", bytes),
    jpeg: (bytes) => raw("image/jpeg", bytes),
    gif: (bytes) => raw("image/gif", bytes),
    pdf: (bytes) => raw("application/pdf", bytes),
    text: (text) => raw("text/plain", text),
    raw,
  };
}

export function createTslab({ display, newDisplay }: DisplayApi): Omit<typeof Tslab, "default"> {
  const version = (name: string) =>
    (createRequire(import.meta.url)(`${name}/package.json`) as { version: string }).version;
  return {
    display: displayOf(display.raw),
    newDisplay: () => displayOf(newDisplay().raw),
    get versions() {
      return { tslab: version("tslab"), typescript: version("typescript"), node: process.version };
    },
  };
}
