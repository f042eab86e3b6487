/** Documents the name at a position: signature and comment, in Markdown, HTML and plain text. */
import type { Checker } from "./checker.ts";
import { toUnits } from "./code-points.ts";
import { escapeMarkup } from "./escape-markup.ts";
import type { Documentation } from "./language-messages.ts";

export function inspectCell(checker: Checker, source: string, position: number): Documentation | undefined {
  const at = toUnits(source, position);
  // A cursor behind a name, or behind its opening bracket, still means the name.
  const before = /[\w$]\(?$/.exec(source.slice(0, at));
  const info = checker.inspect(source, at) ?? (before ? checker.inspect(source, at - before[0].length) : undefined);
  // An unknown name is said to be of any type, and of no kind.
  if (!info || (info.kind as string) === "") return undefined;
  const join = (parts: readonly { text: string }[] | undefined) => (parts ?? []).map(({ text }) => text).join("");
  const signature = join(info.displayParts);
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
