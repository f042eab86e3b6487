/** Asks the Hub by HTTP with time limits, and turns every refusal into a sentence. */
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, PrunelabError } from "../errors.ts";
import { hubEndpoint } from "./settings.ts";

/** Why the Hub gave nothing: nobody answers there, it is not to be asked, it does not give this to us, it has no such thing, or it failed. */
export type HubFailure = "unreachable" | "offline" | "denied" | "missing" | "failed";

/** The Hub did not give what was asked; another source may. */
export class HubError extends PrunelabError {
  readonly failure: HubFailure;
  constructor(failure: HubFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}

/** What requests are for, as errors name it. */
export interface RequestSubject {
  readonly type: "model" | "dataset";
  readonly name: string;
  readonly revision: string;
}

/** From the first byte sent to the answer's headers. Connecting has a limit of its own, undici's 10 s. */
const answerTimeoutMs = 30_000;
/** Too many requests, and failures that are said to pass. */
const passingStatuses = [429, 500, 502, 503, 504];
const retries = 2;

/**
 * A `fetch` for one repository that returns only successful answers. Failures that pass are tried again, twice.
 *
 * @throws HubError on everything else.
 */
export function hubFetch(
  subject: RequestSubject,
  { retryWaitMs = 1_000 }: { retryWaitMs?: number } = {},
): typeof fetch {
  return async (input, init) => {
    for (let attempt = 0; ; attempt++) {
      const response = await answer(input, init);
      if (response.ok) return response;
      if (attempt === retries || !passingStatuses.includes(response.status))
        throw await refusal(response, init, subject);
      await response.body?.cancel();
      await sleep(retryWaitMs * (attempt + 1));
    }
  };
}

async function answer(input: string | URL | Request, init: RequestInit | undefined): Promise<Response> {
  const timeout = new AbortController();
  const timer = setTimeout(
    () => timeout.abort(new Error(`no answer within ${answerTimeoutMs / 1000} s`)),
    answerTimeoutMs,
  );
  const signals = init?.signal ? [init.signal, timeout.signal] : [timeout.signal];
  try {
    return await fetch(input, { ...init, signal: AbortSignal.any(signals) });
  } catch (error) {
    const host = new URL(input instanceof Request ? input.url : input).host;
    throw new HubError("unreachable", `cannot reach ${host}: ${networkMessage(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** fetch's own message is "fetch failed"; what happened is in its cause, and of a host with several addresses in the causes within. */
export function networkMessage(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const first = cause instanceof AggregateError && cause.errors.length > 0 ? cause.errors[0] : cause;
  const code = (first as { code?: unknown } | null)?.code;
  return messageOf(first) || String(code ?? "unknown failure");
}

/** The Hub names its reason in X-Error-Code (huggingface_hub's hf_raise_for_status reads the same). */
async function refusal(response: Response, init: RequestInit | undefined, subject: RequestSubject): Promise<HubError> {
  await response.body?.cancel();
  const { type, name, revision } = subject;
  const page = `${hubEndpoint()}/${type === "dataset" ? "datasets/" : ""}${name}`;
  const reason = response.headers.get("x-error-code") ?? "";
  const detail = response.headers.get("x-error-message") ?? "";
  const hasToken = new Headers(init?.headers).has("authorization");
  const { status } = response;
  if (reason === "GatedRepo" || (status === 403 && reason === ""))
    return new HubError(
      "denied",
      hasToken
        ? `${name} is gated and the token has no access to it; ask for access at ${page}`
        : `${name} is gated and there is no token; accept its terms at ${page} and set HF_TOKEN`,
    );
  if (reason === "RevisionNotFound")
    return new HubError("missing", `no such revision of ${name}: ${revision}; ${page} lists its branches and tags`);
  if (reason === "EntryNotFound")
    return new HubError("missing", `no such file of ${name}: ${new URL(response.url).pathname}`);
  if (status === 401 && hasToken && /credential|token/i.test(detail))
    return new HubError("denied", `the Hub does not accept the token; renew HF_TOKEN or log in again: ${name}`);
  // Without a token the Hub says 401 also of what does not exist.
  if (reason === "RepoNotFound" || status === 401 || status === 404)
    return new HubError(
      "missing",
      `no such ${type === "dataset" ? "data set" : "model"} on the Hub, or it is private: ${name}; check the id${hasToken ? "" : ", or set HF_TOKEN"}`,
    );
  return new HubError(
    "failed",
    `the Hub answered ${status} for ${name}${detail ? ` (${detail})` : ""}; try again later`,
  );
}
