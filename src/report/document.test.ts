import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, html, markdown, plainText } from "./document.ts";

const blocks: Block[] = [
  { heading: "One <b> & two", level: 2 },
  { list: ["p < 0.05", "a_b | c"] },
  {
    table: {
      header: ["task", "n"],
      rows: [
        ["x|y", "5"],
        ["<script>alert(1)</script>", "12345"],
      ],
    },
  },
];

test("plain text has columns as wide as their cells", () => {
  assert.equal(
    plainText(blocks),
    `One <b> & two

- p < 0.05
- a_b | c

task                           n
x|y                            5
<script>alert(1)</script>  12345`,
  );
});

test("Markdown escapes what would be read as markup", () => {
  assert.equal(
    markdown(blocks),
    `## One \\<b\\> & two

- p \\< 0.05
- a\\_b \\| c

| task | n |
| --- | ---: |
| x\\|y | 5 |
| \\<script\\>alert(1)\\</script\\> | 12345 |`,
  );
  assert.equal(markdown([{ heading: "a\r\n# b", level: 3 }]), "### a \\# b");
});

test("HTML escapes every value", () => {
  const text = html(blocks);
  assert.ok(text.startsWith("<h2>One &lt;b&gt; &amp; two</h2>\n<ul><li>p &lt; 0.05</li>"));
  assert.ok(text.includes('<td style="text-align:left">&lt;script&gt;alert(1)&lt;/script&gt;</td>'));
  assert.ok(!text.includes("<script"));
  assert.equal(html([{ list: [`"'`] }]), "<ul><li>&quot;&#39;</li></ul>");
});
