import assert from "node:assert/strict";
import { test } from "node:test";
import { readChatTemplate } from "./chat-template.ts";

const special = { pad: ["<pad>", 0], eos: ["<eos>", 1], bos: ["<bos>", 2] } as const;
const read = (chat_template: unknown) => readChatTemplate({ tokenizerConfig: { chat_template } }, special);
const plain = `{{ bos_token }}
{%- for message in messages %}
    {%- if message.role == "tool" %}{{ raise_exception("no tools") }}{% endif %}
[{{ message.role }}]{{ message.content | trim }}
{%- endfor %}
{%- if add_generation_prompt %}
[answer]{% endif %}`;
const question = { role: "user", content: " q " } as const;

test("renders messages up to the answer, with the tokenizer's special tokens", () => {
  const template = read(plain);
  assert.equal(template?.text, plain);
  assert.equal(template?.render([{ role: "system", content: "s" }, question]), "<bos>[system]s[user]q[answer]");
});

test("takes the default one of several", () => {
  const several = [
    { name: "tool_use", template: "tools" },
    { name: "default", template: plain },
  ];
  assert.equal(read(several)?.render([question]), "<bos>[user]q[answer]");
  assert.equal(read(undefined), undefined);
  assert.equal(read([{ name: "rag", template: "r" }]), undefined);
});

test("leaves the system's words out where the template refuses them, and tells a template that fails", () => {
  const refuses = `{% if messages[0].role == "system" %}{{ raise_exception("no system") }}{% endif %}${plain}`;
  assert.equal(read(refuses)?.render([{ role: "system", content: "s" }, question]), "<bos>[user]q[answer]");
  for (const broken of ["{% if %}", '{{ raise_exception("never") }}']) {
    assert.throws(() => read(broken)?.render([question]), {
      name: "PrunelabError",
      message: /^the chat template cannot be applied: /,
    });
  }
});
