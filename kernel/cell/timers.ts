/** Makes the callbacks of a cell's timers stoppable by SIGINT, as the cell itself is. */
import { promisify } from "node:util";

type Guard = (code: () => void) => boolean;
type Timer = (callback: (...args: unknown[]) => void, ...rest: unknown[]) => unknown;

export function installTimers(guard: Guard): void {
  for (const name of ["setTimeout", "setInterval", "setImmediate"] as const) {
    const original = globalThis[name] as unknown as Timer;
    const wrapped: Timer = (callback, ...rest) => {
      if (typeof callback !== "function") return original(callback, ...rest);
      const timer = original(
        (...args) => {
          // An interval that had to be stopped would only get stuck again.
          if (!guard(() => callback(...args))) clearInterval(timer as NodeJS.Timeout);
        },
        ...rest,
      );
      return timer;
    };
    const promised = (original as unknown as Record<symbol, unknown>)[promisify.custom];
    Object.defineProperty(wrapped, promisify.custom, { value: promised });
    Object.defineProperty(globalThis, name, { value: wrapped, writable: true, configurable: true });
  }
}
