/** Holds a session on one of the two graphs at a time, since each session packs the weights into a copy of its own. */
import type { Gemma3Config } from "../checkpoint/config.ts";
import { type Device, openSession, type Session } from "../onnx/session.ts";
import { buildGemma3 } from "./gemma3.ts";

type Kind = "score" | "generate";

export interface GraphSession {
  /** Runs `work` with a session on that graph, after all work before it. Another graph than the last one's takes a second or two to open. */
  use<Result>(kind: Kind, work: (session: Session) => Promise<Result>): Promise<Result>;
  release(): Promise<void>;
}

/** Opens the scoring graph. `folder` holds the weights file. */
export async function openGraphSession(config: Gemma3Config, folder: string, device: Device): Promise<GraphSession> {
  const open = async (kind: Kind) => ({
    kind,
    session: await openSession(buildGemma3(config, kind), { folder, device }),
  });
  let current: Awaited<ReturnType<typeof open>> | undefined = await open("score");
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  };
  const close = async () => {
    const closing = current;
    current = undefined;
    await closing?.session.release();
  };
  return {
    use: (kind, work) =>
      inTurn(async () => {
        if (current?.kind !== kind) {
          await close();
          current = await open(kind);
        }
        return await work(current.session);
      }),
    release: () => inTurn(close),
  };
}
