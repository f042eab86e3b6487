/** Scores of our own beside published ones. */
import type { ScoreRow } from "../evaluate/score-rows.ts";
import { type BarSeries, barFigure } from "../plot/bar-figure.ts";
import type { Figure, FigureText } from "../plot/figure.ts";
import type { PublishedTable } from "./published.ts";

/** A published score in percent, and ours where we have measured one under the same number of examples. */
export interface BesidePublishedRow {
  readonly benchmark: string;
  readonly shots: string;
  readonly published: number;
  /** lm-eval's metric; tables do not say which one was published. */
  readonly metric: string | null;
  readonly measured: number | null;
  readonly low: number | null;
  readonly high: number | null;
  /** Documents measured. */
  readonly n: number | null;
  /** measured less published, in points. */
  readonly difference: number | null;
  /** Whether the published score lies within our 95 % interval. */
  readonly within: "yes" | "no" | null;
  readonly note: string;
}

/** A row for each benchmark of a table with one model and each metric that we have of it; one without ours where there is none. */
export function besidePublished(table: PublishedTable, scores: readonly ScoreRow[]): BesidePublishedRow[] {
  return table.rows.flatMap(({ benchmark, shots, scores: [published], task, numFewshot }): BesidePublishedRow[] => {
    const base = { benchmark, shots, published: published! };
    const own = scores.filter((score) => score.task === task && score.shots === numFewshot);
    if (own.length === 0) {
      const nothing = { metric: null, measured: null, low: null, high: null, n: null, difference: null, within: null };
      return [{ ...base, ...nothing, note: "not measured" }];
    }
    return own.map(({ metric, score, low, high, n, note }) => {
      const percent = (share: number | null) => (share === null ? null : 100 * share);
      const [from, to] = [percent(low), percent(high)];
      const within = from === null || to === null ? null : published! >= from && published! <= to ? "yes" : "no";
      const numbers = { metric, measured: 100 * score, low: from, high: to, n, difference: 100 * score - published! };
      return { ...base, ...numbers, within, note } as const;
    });
  });
}

/** Published scores and ours as bars; ours with intervals, `acc_norm` apart, and with an asterisk where a note weakens them. */
export function besidePublishedFigure(
  table: PublishedTable,
  rows: readonly BesidePublishedRow[],
  { title = `${table.title}: published and measured`, source }: FigureText = {},
): Figure {
  const weak = rows.filter(({ note }) => note !== "" && note !== "not measured");
  const label = ({ benchmark, shots }: BesidePublishedRow) => {
    const isWeak = weak.some((row) => row.benchmark === benchmark && row.shots === shots);
    return `${benchmark}, ${shots}${isWeak ? " *" : ""}`;
  };
  const firsts = rows.filter((row, index) => rows.findIndex((other) => label(other) === label(row)) === index);
  const measured = (name: string, of: readonly BesidePublishedRow[]): BarSeries[] => {
    const bars = of.map((row) => ({ label: label(row), value: row.measured, low: row.low, high: row.high, n: row.n! }));
    return bars.length > 0 ? [{ name: `measured, ${name}`, bars }] : [];
  };
  const series: BarSeries[] = [
    { name: "published", bars: firsts.map((row) => ({ label: label(row), value: row.published })) },
    ...measured(
      "acc or exact match",
      rows.filter(({ metric }) => metric !== null && metric !== "acc_norm"),
    ),
    ...measured(
      "acc_norm",
      rows.filter(({ metric }) => metric === "acc_norm"),
    ),
  ];
  const notes = [...new Set(weak.map(({ note }) => note))];
  return barFigure({
    title,
    series,
    unit: "score (%)",
    notes: `Whiskers: 95 % intervals (Wilson)${notes.length > 0 ? `. *: ${notes.join("; ")}` : ""}`,
    source: source ?? `${table.source}; measured by lm-evaluation-harness's rules with Prunelab`,
  });
}
