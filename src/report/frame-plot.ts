/** Gives danfojs' frames their `plot` outside a browser: each of its charts comes back as a plotly figure, which a kernel shows. */
import { createRequire } from "node:module";

/** plotly's `data` and `layout`. */
export interface PlotlyFigure {
  readonly data: readonly object[];
  readonly layout: Readonly<Record<string, unknown>>;
}

interface PlotConfig {
  readonly layout?: object;
  readonly config?: object;
}

type Draw = (frame: unknown, place: string, config: Required<PlotConfig>, plotly: object) => void;

const charts = ["line", "bar", "scatter", "hist", "pie", "box", "violin", "table"] as const;

/** Replaces the `plot` of frames and series, which throws in Node; `df.plot("").bar({ layout })` is then a figure. */
export function installPlot(prototypes: readonly object[]): void {
  const draw = createRequire(import.meta.url)("danfojs-node/dist/danfojs-base/plotting/plotly") as Record<string, Draw>;
  function plot(this: unknown, place = ""): Record<string, (config?: PlotConfig) => PlotlyFigure> {
    const entries = charts.map((chart) => [
      chart,
      ({ layout = {}, config = {} }: PlotConfig = {}) => {
        let figure: PlotlyFigure = { data: [], layout: {} };
        // What danfojs hands to plotly is the figure.
        const newPlot = (_place: string, data: object[], given: Record<string, unknown> = {}) => {
          figure = { data, layout: given };
        };
        draw[`${chart}Plot`]!(this, place, { layout, config }, { newPlot });
        return figure;
      },
    ]);
    return Object.fromEntries(entries);
  }
  for (const prototype of prototypes) Object.defineProperty(prototype, "plot", { value: plot, configurable: true });
}
