/** Documents the name at a position: signature and comment, in Markdown, HTML and plain text. */

import { escapeMarkup } from "../../src/base/escape-markup.ts";
import { toUnits } from "../protocol/code-points.ts";
import type { Checker } from "./checker.ts";
import type { Documentation } from "./language-messages.ts";

export function inspectCell(checker: Checker, source: string, position: number): Documentation | undefined {
  const at = toUnits(source, position);
  const before = /[\w$]$/.test(source.slice(0, at)) ? at - 1 : undefined;
  const called = calleeEnd(source, at);
  // A cursor behind a name, or in the arguments of its call, still means the name.
  const info = [at, before, called].flatMap((place) => {
    // An unknown name is said to be of any type, and of no kind.
    const found = place === undefined ? undefined : checker.inspect(source, place);
    return found && (found.kind as string) !== "" ? [found] : [];
  })[0];
  if (!info) return undefined;
  const join = (parts: readonly { text: string }[] | undefined) => (parts ?? []).map(({ text }) => text).join("");
  const signature = join(info.displayParts);
  const { hidden } = info;
  const comment = join(info.documentation) || hidden?.text || "";
  const tags = [...(info.tags ?? []).map(({ name, text }) => ({ name, text: join(text) })), ...(hidden?.tags ?? [])];
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

/** The last position in the name before the bracket that is open at `at`, or that closes right before it. */
function calleeEnd(source: string, at: number): number | undefined {
  let depth = source[at - 1] === ")" ? -1 : 0;
  for (let i = at - 1; i > 0; i--) {
    if (source[i] === ")") depth++;
    else if (source[i] === "(" && depth-- === 0) return i - 1;
  }
  return undefined;
}
