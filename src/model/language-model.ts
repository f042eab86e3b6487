/** The narrow waist: what scoring asks of a model. */
import type { SpecialTokens } from "../checkpoint/checkpoint.ts";
import type { OnProgress } from "../progress.ts";

/** One question to a model: how likely is `continuation` after `context`? Spaces at the border belong to the continuation. */
export interface LoglikelihoodRequest {
  readonly context: string;
  readonly continuation: string;
}

/** The answer: the natural-log probability of the whole continuation, and whether greedy decoding would have written it. */
export interface Loglikelihood {
  readonly sum: number;
  readonly isGreedy: boolean;
}

/** A text to go on with: greedily, until the first of the strings in `until`, which is left out, or the end of the text. */
export interface GenerationRequest {
  readonly context: string;
  readonly until: readonly string[];
  /** 256 unless given. */
  readonly maxNewTokens?: number;
}

/** Where the answers of finished batches are kept, so that a stopped run goes on. Keys are digests of a batch's token ids. */
export interface Journal<Answer> {
  get(key: string): readonly Answer[] | undefined;
  add(key: string, answers: readonly Answer[]): Promise<void>;
}

export interface AskOptions<Answer> {
  readonly journal?: Journal<Answer>;
  readonly onProgress?: OnProgress;
}

/** lm-evaluation-harness's contract of a model (its `api/model.py`): strings in, numbers out, answers in the order of the requests. */
export interface LanguageModel {
  readonly name: string;
  /** Digest of the weights. */
  readonly digest: string;
  /** ONNX Runtime's name of what it runs on. */
  readonly device: string;
  readonly parameterCount: number;
  /** Longest input in tokens. */
  readonly maxLength: number;
  readonly specialTokens: SpecialTokens;
  /** Absent where the tokenizer has none, as with base models. */
  readonly chatTemplate?: ChatTemplate;
  /** Token ids of a text, without BOS. */
  encode(text: string): number[];
  loglikelihood(
    requests: readonly LoglikelihoodRequest[],
    options?: AskOptions<Loglikelihood>,
  ): Promise<Loglikelihood[]>;
  /** Natural-log probability of each whole text, window by window where it is longer than the model sees. */
  loglikelihoodRolling(texts: readonly string[], options?: AskOptions<Loglikelihood>): Promise<number[]>;
  generateUntil(requests: readonly GenerationRequest[], options?: AskOptions<string>): Promise<string[]>;
  /** For each window of token ids, the natural-log probability of all of them after the first. Our own, for perplexity on fixed windows. */
  loglikelihoodTokens(
    windows: readonly (readonly number[])[],
    options?: { readonly onProgress?: OnProgress },
  ): Promise<number[]>;
  release(): Promise<void>;
}

/** A turn of a chat. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** How a chat model wants its messages. */
export interface ChatTemplate {
  /** In Jinja's language. */
  readonly text: string;
  /** The messages as one text, up to where the assistant's answer begins. */
  render(messages: readonly ChatMessage[]): string;
}
