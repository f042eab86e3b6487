/** A tokenizer's chat template: messages to the text that a chat model was trained on. */
import { Template } from "@huggingface/jinja";
import type { SpecialTokens, TokenizerFiles } from "../checkpoint/checkpoint.ts";
import { messageOf, PrunelabError } from "../errors.ts";
import type { ChatMessage, ChatTemplate } from "./language-model.ts";

/**
 * The template of `tokenizer_config.json`, the one called `default` where it has several; undefined where it has none.
 * A template that knows no system role gets the messages without it, as in lm-evaluation-harness.
 */
export function readChatTemplate(
  { tokenizerConfig }: Pick<TokenizerFiles, "tokenizerConfig">,
  specialTokens: SpecialTokens,
): ChatTemplate | undefined {
  const { chat_template } = tokenizerConfig;
  const named = Array.isArray(chat_template)
    ? chat_template.find(({ name }) => name === "default")?.template
    : undefined;
  const text: unknown = named ?? chat_template;
  if (typeof text !== "string") return undefined;
  const variables = Object.fromEntries(
    Object.entries(specialTokens).map(([kind, token]) => [`${kind}_token`, token?.[0] ?? ""]),
  );
  let template: Template | undefined;
  const apply = (messages: readonly ChatMessage[]) => {
    template ??= new Template(text);
    return template.render({ ...variables, messages: [...messages], add_generation_prompt: true });
  };
  return {
    text,
    render(messages) {
      try {
        return apply(messages);
      } catch {
        try {
          return apply(messages.filter(({ role }) => role !== "system"));
        } catch (error) {
          throw new PrunelabError(
            `the chat template cannot be applied: ${messageOf(error)}; score without it or fix tokenizer_config.json`,
            { cause: error },
          );
        }
      }
    },
  };
}
