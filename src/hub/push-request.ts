/** Sends to the Hub with time limits and further tries, and turns every refusal into a sentence. */
import { setTimeout as sleep } from "node:timers/promises";
import { HubError, networkMessage } from "./request.ts";
import { hubEndpoint } from "./settings.ts";

/** What is being sent, and to which repository. */
export interface PushSubject {
  readonly name: string;
  readonly token: string;
  /** Hears how many bytes of a file's part are sent; from 0 again where it is sent again. */
  readonly onSent?: (path: string, part: number, bytes: number) => void;
  /** Without a byte sent or an answer for so long, the connection counts as lost. Default 60 s. */
  readonly silenceMs?: number;
  /** Before the second try; the third waits twice as long. Default 1 s. */
  readonly retryWaitMs?: number;
  /** Statuses that are no refusal. */
  readonly accepts?: readonly number[];
}

/** Too many requests, and failures that are said to pass. */
const passingStatuses = [408, 429, 500, 502, 503, 504];
const retries = 2;
const goesOn = "push again: what has arrived is not sent a second time";

/** What @huggingface/hub says of a request beside its init. */
interface Hint {
  readonly progressHint?: { readonly path?: string; readonly part?: number };
}

/**
 * A `fetch` for one push that returns only successful answers. What failed and may pass is tried again, twice; each request can be repeated, since
 * contents are named by their digest and the commit comes last.
 *
 * @throws HubError on everything else; its message holds no token and no signed address.
 */
export function pushFetch(subject: PushSubject): typeof fetch {
  const { name, retryWaitMs = 1_000, accepts = [] } = subject;
  return async (input, init) => {
    const { path } = (init as Hint | undefined)?.progressHint ?? {};
    const what = path === undefined ? name : `${path} of ${name}`;
    for (let attempt = 0; ; attempt++) {
      const isLast = attempt === retries;
      try {
        const response = await send(input, init, subject);
        if (response.ok || accepts.includes(response.status)) return response;
        if (isLast || !passingStatuses.includes(response.status)) throw await refusal(response, what, subject);
        await response.body?.cancel();
      } catch (error) {
        init?.signal?.throwIfAborted();
        if (error instanceof HubError) throw error;
        if (isLast)
          throw new HubError(
            "unreachable",
            `the connection broke while sending ${what}: ${hide(networkMessage(error), subject)}; ${goesOn}`,
          );
      }
      await sleep(retryWaitMs * (attempt + 1), undefined, { ...(init?.signal && { signal: init.signal }) });
    }
  };
}

async function send(
  input: string | URL | Request,
  init: RequestInit | undefined,
  { onSent, silenceMs = 60_000 }: PushSubject,
): Promise<Response> {
  const silence = new AbortController();
  const onSilence = () => silence.abort(new Error(`nothing moved for ${silenceMs / 1000} s`));
  let timer = setTimeout(onSilence, silenceMs);
  const { path, part = 0 } = (init as Hint | undefined)?.progressHint ?? {};
  let sent = 0;
  const onBytes = (bytes: number) => {
    clearTimeout(timer);
    timer = setTimeout(onSilence, silenceMs);
    sent += bytes;
    if (path !== undefined) onSent?.(path, part, sent);
  };
  const body = init?.body instanceof Blob ? new CountedBlob(init.body, onBytes) : init?.body;
  const signals = init?.signal ? [init.signal, silence.signal] : [silence.signal];
  try {
    return await fetch(input, { ...init, ...(body !== undefined && { body }), signal: AbortSignal.any(signals) });
  } finally {
    clearTimeout(timer);
  }
}

/** A blob that tells how much of it was read. A stream would do, but then `fetch` sends no length, which stores of files ask for. */
class CountedBlob extends Blob {
  readonly #blob: Blob;
  readonly #onBytes: (bytes: number) => void;
  constructor(blob: Blob, onBytes: (bytes: number) => void) {
    super([]);
    this.#blob = blob;
    this.#onBytes = onBytes;
    Object.defineProperty(this, "size", { value: blob.size });
  }
  override stream(): ReturnType<Blob["stream"]> {
    const count = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        this.#onBytes(chunk.length);
        controller.enqueue(chunk);
      },
    });
    return this.#blob.stream().pipeThrough(count as never) as ReturnType<Blob["stream"]>;
  }
}

async function refusal(response: Response, what: string, subject: PushSubject): Promise<HubError> {
  const { name } = subject;
  const detail = hide(await reasonOf(response), subject);
  const because = detail ? ` (${detail})` : "";
  const { status } = response;
  const isHub = response.url.startsWith(`${hubEndpoint()}/api/`) || response.url.includes(".git/info/lfs");
  if (isHub && status === 401)
    return new HubError(
      "denied",
      `the Hub does not accept the token${because}: ${name}; renew HF_TOKEN or log in again`,
    );
  if (isHub && status === 403)
    return new HubError(
      "denied",
      `the token may not write to ${name}${because}; take one with write access from ${hubEndpoint()}/settings/tokens, or push under your own name`,
    );
  if (isHub && status === 404)
    return new HubError("missing", `no such repository on the Hub any more: ${name}${because}; push again to make it`);
  if (passingStatuses.includes(status))
    return new HubError("failed", `the Hub answered ${status} while ${what} was sent${because}; ${goesOn}`);
  // An address of the store that was signed a while ago, for one.
  return new HubError("failed", `the Hub refused ${what} with ${status}${because}; ${goesOn}, or say what it asks for`);
}

/** The sentence in an answer, in one line. */
async function reasonOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => "");
  let reason = response.headers.get("x-error-message") ?? "";
  try {
    const { error, message } = JSON.parse(text) as { error?: unknown; message?: unknown };
    reason = String(error ?? message ?? reason);
  } catch {
    // Stores answer in XML or HTML, which says nothing to a user.
  }
  return reason
    .replace(/\s+/g, " ")
    .replace(/[.;: ]+$/, "")
    .slice(0, 200);
}

/** Neither the token nor what signs an address belongs into a message. */
export function hide(text: string, { token }: Pick<PushSubject, "token">): string {
  return text
    .replaceAll(token, "hf_…")
    .replace(/hf_\w{8,}/g, "hf_…")
    .replace(/(https?:\/\/[^\s?]+)\?\S+/g, "$1");
}
