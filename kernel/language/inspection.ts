/** Documents the name at a position: signature and comment, in Markdown, HTML and plain text. */
import type { QuickInfo } from "typescript";
import { escapeMarkup } from "../../src/base/escape-markup.ts";
import { toUnits } from "../protocol/code-points.ts";
import type { Checker } from "./checker.ts";
import type { Documentation } from "./language-messages.ts";

export function inspectCell(checker: Checker, source: string, position: number): Documentation | undefined {
  const at = toUnits(source, position);
  const look = checker.look(source);
  const before = /[\w$]$/.test(source.slice(0, at)) ? at - 1 : undefined;
  // A cursor behind a name, or in the arguments of its call, still means the name.
  const callee = () => {
    const call = look.signatures(at) ?? (source[at - 1] === ")" ? look.signatures(at - 1) : undefined);
    return call && source.slice(0, call.applicableSpan.start).search(/[\w$][^\w$]*$/);
  };
  let info: QuickInfo | undefined;
  for (const place of [() => at, () => before, callee]) {
    const found = look.inspect(place() ?? -1);
    // An unknown name is said to be of any type, and of no kind.
    if (found && (found.kind as string) !== "") info ??= found;
    if (info) break;
  }
  if (!info) return undefined;
  const join = (parts: readonly { text: string }[] | undefined) => (parts ?? []).map(({ text }) => text).join("");
  const signature = plainSignature(join(info.displayParts));
  const comment = join(info.documentation);
  const tags = (info.tags ?? []).map(({ name, text }) => ({ name, text: join(text) }));
  const markdown = [
    "```typescript",
    signature,
    "```",
    "",
    comment,
    "",
    ...tags.map((tag) => `*@${tag.name}* ${tag.text}`),
  ];
  const html = [
    `<pre><code>${escapeMarkup(signature)}</code></pre>`,
    comment && `<p>${escapeMarkup(comment).replaceAll("\n", "<br>")}</p>`,
    ...tags.map(({ name, text }) => `<p><em>@${escapeMarkup(name)}</em> ${escapeMarkup(text)}</p>`),
  ];
  const plain = [signature, comment, ...tags.map(({ name, text }) => `@${name} ${text}`)].filter((line) => line !== "");
  return {
    data: {
      "text/plain": plain.join("\n\n"),
      "text/markdown": markdown.join("\n").trimEnd(),
      "text/html": html.join(""),
    },
  };
}

/** A name of an earlier cell is an import to the compiler, of which the user knows nothing. */
function plainSignature(signature: string): string {
  return signature.replace(/^\(alias\) ([\s\S]*)\nimport [\w$]+$/, "$1");
}
