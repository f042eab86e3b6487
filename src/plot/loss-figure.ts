/** The loss of training, step by step, with the losses on held-out windows. */
import { axis, captionOf, escapeText, type Figure, type FigureText, makeFigure, seriesColors } from "./figure.ts";

/** A point of a training report's curve. */
interface Point {
  readonly step: number;
  readonly loss?: number;
  readonly heldOut?: number;
}

export interface LossFigureOptions extends FigureText {
  /** Runs by name; of a run under way, the points so far. */
  readonly curves: Readonly<Record<string, readonly Point[]>>;
}

/**
 * A thin line for each run's loss, and a thick one with markers for its held-out loss, in nats a token. To draw a loss as it falls, show the figure
 * again under one name: `onStep: (point) => { points.push(point); display(lossFigure({ curves: { run: points } }), { id: "loss", update: points.length > 1 }); }`.
 */
export function lossFigure({ curves, title = "Loss", source }: LossFigureOptions): Figure {
  const data = Object.entries(curves).flatMap(([name, points], index) => {
    const color = seriesColors[index % seriesColors.length];
    const line = (kind: "loss" | "heldOut", label: string, style: object) => {
      const own = points.filter((point) => point[kind] !== undefined);
      if (own.length === 0) return [];
      const trace = {
        ...{
          type: "scatter",
          name: escapeText(label),
          x: own.map(({ step }) => step),
          y: own.map((point) => point[kind]!),
        },
        hovertemplate: `step %{x}: %{y:.3f}<extra>${escapeText(label)}</extra>`,
      };
      return [{ ...trace, ...style }];
    };
    return [
      ...line("loss", `${name}, training`, { mode: "lines", opacity: 0.6, line: { color, width: 1 } }),
      ...line("heldOut", `${name}, held out`, {
        ...{ mode: "lines+markers", line: { color, width: 2.5 } },
        marker: { color, size: 8 },
      }),
    ];
  });
  const last = Math.max(1, ...Object.values(curves).flatMap((points) => points.map(({ step }) => step)));
  return makeFigure({
    title,
    caption: captionOf(
      "Nats a token; step 0 is before training",
      "Training: each step's own loss, with the teacher's share where there is one; held out: cross-entropy on windows that are not trained on",
      source && `Source: ${source}`,
    ),
    data,
    plotHeight: 260,
    left: 76,
    xTitle: "step",
    yTitle: "loss (lower is better)",
    layout: { xaxis: axis({ range: [0, last], zeroline: false }), yaxis: axis() },
  });
}
