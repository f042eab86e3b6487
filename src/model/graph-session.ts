/** Holds what one kind of work runs on, to score or to generate, one at a time, since each packs the weights into a copy of its own. */
import type { Gemma3Config } from "../checkpoint/config.ts";
import { type Device, openSession, type Session } from "../onnx/session.ts";
import { buildGemma3, type Precision } from "./gemma3.ts";
import { openScorer, releaseScorer, type Scorer } from "./score.ts";

export interface GraphSession {
  /** Runs `work`, after all work before it. Another kind of work than the last takes a second or two to open. */
  score<Result>(work: (scorer: Scorer) => Promise<Result>): Promise<Result>;
  generate<Result>(work: (session: Session) => Promise<Result>): Promise<Result>;
  release(): Promise<void>;
}

export interface GraphOptions {
  /** Holds the weights file. */
  readonly folder: string;
  readonly device: Device;
  readonly precision: Precision;
}

/** Opens the scoring graphs. */
export async function openGraphSession(config: Gemma3Config, options: GraphOptions): Promise<GraphSession> {
  const { folder, device, precision } = options;
  let scorer: Scorer | undefined = await openScorer(config, options);
  let generator: Session | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  };
  const close = async () => {
    const closing = { scorer, generator };
    scorer = undefined;
    generator = undefined;
    if (closing.scorer) await releaseScorer(closing.scorer);
    await closing.generator?.release();
  };
  return {
    score: (work) =>
      inTurn(async () => {
        if (!scorer) {
          await close();
          scorer = await openScorer(config, options);
        }
        return await work(scorer);
      }),
    generate: (work) =>
      inTurn(async () => {
        if (!generator) {
          await close();
          generator = await openSession(buildGemma3(config, "generate", precision), { folder, device });
        }
        return await work(generator);
      }),
    release: () => inTurn(close),
  };
}
