/** Answers one execute request: counts, echoes, runs the cell and says what came of it. */

import { questionIn } from "../language/question.ts";
import type { Content, Message } from "../protocol/message.ts";
import type { ExpressionResult } from "../protocol/worker-channel.ts";
import { asksToLeave, hintFor } from "./foreign-words.ts";
import type { History } from "./history.ts";
import type { LanguageService } from "./language-service.ts";
import type { Session } from "./session.ts";

export interface ExecuteContext {
  language: LanguageService;
  session: Session;
  history: History;
  check: boolean;
  publish(id: string, type: string, content: Content): void;
}

/** Counts the cells of this kernel, from 1; silent ones do not count. */
let executionCount = 0;
let silentCount = 0;

/** The content of the reply; https://jupyter-client.readthedocs.io/en/stable/messaging.html#execute */
export async function executeCell({ header, content }: Message, context: ExecuteContext): Promise<Content> {
  const { session, history, publish, check } = context;
  const id = header.msg_id;
  const source = typeof content.code === "string" ? content.code : "";
  const silent = content.silent === true;
  const stored = !silent && content.store_history !== false;
  if (stored) executionCount++;
  if (!silent) publish(id, "execute_input", { code: source, execution_count: executionCount });

  const name = questionIn(source);
  if (name !== undefined) {
    const data = await document(name, context.language);
    if (stored) history.add(executionCount, source, undefined);
    const payload = [{ source: "page", data, start: 0 }];
    return { status: "ok", execution_count: executionCount, payload, user_expressions: {} };
  }

  const outcome = await session.run({
    id,
    source,
    file: stored ? `cell-${executionCount}.ts` : `unnumbered-${++silentCount}.ts`,
    expressions: textValues(content.user_expressions),
    check,
    allowStdin: content.allow_stdin === true,
  });
  const result = outcome.status === "ok" ? outcome.result : undefined;
  if (stored) history.add(executionCount, source, result?.data["text/plain"] as string | undefined);
  if (outcome.status === "error") {
    const { name: ename, value: evalue, traceback: lines } = outcome.error;
    const isUnknown = ["SyntaxError", "TypeScriptError", "ReferenceError"].includes(ename);
    // Unless the notebook has a variable of that name. A notebook in a browser stays open.
    if (isUnknown && asksToLeave(source)) {
      const payload = [{ source: "ask_exit", keepkernel: false }];
      return { status: "ok", execution_count: executionCount, payload, user_expressions: {} };
    }
    const hint = isUnknown ? hintFor(source) : undefined;
    const traceback = hint === undefined ? lines : [...lines, hint];
    publish(id, "error", { ename, evalue, traceback });
    const base = { status: "error", execution_count: executionCount, payload: [], user_expressions: {} };
    return { ...base, ename, evalue, traceback };
  }
  if (result && !silent) publish(id, "execute_result", { ...result, execution_count: executionCount });
  const expressions = Object.entries(outcome.expressions).map(([key, value]) => [key, expressionContent(value)]);
  const user_expressions = Object.fromEntries(expressions);
  return { status: "ok", execution_count: executionCount, payload: [], user_expressions };
}

async function document(name: string, language: LanguageService): Promise<Record<string, string>> {
  const found = await language.inspect(name, name.length);
  return found?.data ?? { "text/plain": `no documentation is known for \`${name}\`` };
}

function expressionContent(result: ExpressionResult): Content {
  if (result.status === "ok") return { ...result };
  const { name, value, traceback } = result;
  return { status: "error", ename: name, evalue: value, traceback };
}

function textValues(value: unknown): Record<string, string> {
  const entries = Object.entries(typeof value === "object" && value !== null ? value : {});
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}
