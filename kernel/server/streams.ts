/** Joins what the cells print into few stream messages, each of one cell and one stream. */
import type { StreamName } from "../protocol/worker-channel.ts";

export interface Streams {
  add(id: string, name: StreamName, text: string): void;
  /** Sends what is held; anything else that is published must come after it. */
  flush(): void;
}

const FLUSH_MS = 30;
const FLUSH_CHARACTERS = 32_768;

export function createStreams(publish: (id: string, name: StreamName, text: string) => void): Streams {
  let held: { id: string; name: StreamName; parts: string[]; length: number } | undefined;
  let timer: NodeJS.Timeout | undefined;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    const sent = held;
    held = undefined;
    if (sent) publish(sent.id, sent.name, sent.parts.join(""));
  }

  return {
    add: (id, name, text) => {
      if (held && (held.id !== id || held.name !== name)) flush();
      held ??= { id, name, parts: [], length: 0 };
      held.parts.push(text);
      held.length += text.length;
      if (held.length >= FLUSH_CHARACTERS) flush();
      else timer ??= setTimeout(flush, FLUSH_MS);
    },
    flush,
  };
}
