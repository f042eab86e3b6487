/** Durations, amounts and rates as people write them. */

/** Seconds, e.g. `4.2 s`, `42 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** A step that counts, seen `seconds` after it began with `offset` already done. */
export interface Advance {
  readonly done: number;
  /** 0 if it is not known. */
  readonly total: number;
  readonly unit: string;
  /** What was there before, such as cached answers, which must not count in the rate. */
  readonly offset: number;
  readonly seconds: number;
}

/** How much is done, how fast and how long it will take, e.g. `120 of 200 documents, 6.1 documents/s, 13 s left`. */
export function advanceText({ done, total, unit, offset, seconds }: Advance): string {
  const rate = seconds > 0 ? (done - offset) / seconds : 0;
  const isBytes = unit === "bytes";
  const number = (value: number) =>
    isBytes ? `${Math.round(value / 1e6)}` : Math.round(value).toLocaleString("en-US");
  const counted = `${total > 0 ? `${number(done)} of ${number(total)}` : number(done)} ${isBytes ? "MB" : unit}`;
  if (total > 0 && done >= total) return `${counted} in ${duration(seconds)}`;
  if (rate <= 0) return counted;
  const speed = isBytes ? `${(rate / 1e6).toFixed(1)} MB/s` : `${rate.toPrecision(2)} ${unit}/s`;
  // Below two seconds a rate says little of what is to come.
  const left = total > 0 && seconds >= 2 ? `, ${duration((total - done) / rate)} left` : "";
  return `${counted}, ${rate >= 100 && !isBytes ? `${Math.round(rate)} ${unit}/s` : speed}${left}`;
}
