/** Holds what one kind of work runs on, to score or to generate, one at a time, since each packs the weights into a copy of its own. */
import type { ModelConfig } from "../checkpoint/config.ts";
import { type Device, openSession, type Session } from "../onnx/session.ts";
import { buildGraph } from "./graphs.ts";
import { openScorer, releaseScorer, type Scorer } from "./score.ts";

export interface GraphSession {
  /** Runs `work`, after all work before it. Another kind of work than the last takes a second or two to open. */
  score<Result>(work: (scorer: Scorer) => Promise<Result>): Promise<Result>;
  generate<Result>(work: (session: Session) => Promise<Result>): Promise<Result>;
  release(): Promise<void>;
}

export interface GraphOptions {
  /** Gives the folder that holds the weights file. Asked at every opening, since the cache may have dropped it for other models. */
  readonly folder: () => Promise<string>;
  readonly device: Device;
}

/** Opens the scoring graphs. */
export async function openGraphSession(config: ModelConfig, options: GraphOptions): Promise<GraphSession> {
  const { device } = options;
  const openScoring = async () => await openScorer(config, { device, folder: await options.folder() });
  // On the CPU only when something is asked: all answers may come from a journal. Another device may not be there, which is said at once.
  let scorer: Scorer | undefined = device === "cpu" ? undefined : await openScoring();
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
          scorer = await openScoring();
        }
        return await work(scorer);
      }),
    generate: (work) =>
      inTurn(async () => {
        if (!generator) {
          await close();
          const folder = await options.folder();
          generator = await openSession(buildGraph(config, "generate"), { folder, device });
        }
        return await work(generator);
      }),
    release: () => inTurn(close),
  };
}
