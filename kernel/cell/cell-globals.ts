/** What a cell finds besides Node's own globals. The checker has types and comments from here; worker.ts makes the values. */

import type { Comm, CommsApi } from "../display/comms.ts";
import type { DisplayApi, DisplayOptions } from "../display/display-api.ts";
import type { Markup, MarkupTag } from "../display/markup.ts";
import type { Progress, ProgressBar, ProgressOptions } from "../display/progress.ts";
import type { Button, Widget, WidgetsApi } from "../display/widgets.ts";
import type { StdinApi } from "./stdin.ts";

/** Types that cells know by name. */
export type { Button, Comm, DisplayOptions, Markup, MarkupTag, ProgressBar, ProgressOptions, Widget };

export interface CellGlobals {
  /** Shows a value below the cell; its methods show text or bytes of one MIME type. An object says how it looks by a method named `Symbol.for("Jupyter.display")` that returns MIME types with their data. */
  display: DisplayApi["display"];
  /** Removes the outputs of the cell; with `wait`, as soon as a new one comes. */
  clearOutput: DisplayApi["clearOutput"];
  /** HTML that shows itself; inserted values are escaped, but for the results of `html` and `svg`. */
  html: MarkupTag;
  /** SVG that shows itself; inserted values are escaped. */
  svg: MarkupTag;
  /** Markdown that shows itself. */
  md: MarkupTag;
  /** A progress bar that updates in place, or values that show how far a loop over them is. */
  progress: Progress;
  /** Asks for a line of text and waits for it. */
  prompt: StdinApi["prompt"];
  /** Asks for yes or no and waits for it. */
  confirm: StdinApi["confirm"];
  /** Asks for a password, which is not shown, and waits for it. */
  promptPassword: StdinApi["promptPassword"];
  /** Channels to widgets in the front end. */
  comms: CommsApi;
  /** Aborts when the user stops the cell; hand it to what takes a signal, such as fetch. */
  interrupted: AbortSignal;
  /** A slider that shows itself where ipywidgets is installed. */
  slider: WidgetsApi["slider"];
  /** A list to choose one of. */
  dropdown: WidgetsApi["dropdown"];
  /** A box to check. */
  checkbox: WidgetsApi["checkbox"];
  /** A button that calls back. */
  button: WidgetsApi["button"];
}
