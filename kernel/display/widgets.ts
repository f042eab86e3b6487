/** `slider`, `dropdown`, `checkbox` and `button` for cells: ipywidgets' own controls, drawn by the front end over a comm. */
import type { Comm } from "./comms.ts";
import { displaySymbol } from "./display.ts";

/** Opens a comm of ipywidgets' protocol; https://github.com/jupyter-widgets/ipywidgets/blob/main/packages/schema/messages.md */
type OpenComm = (target: string, data: unknown, metadata: Record<string, unknown>) => Comm;

export interface Widget<Value> {
  /** As the user has set it; setting it moves the control. */
  value: Value;
  /** Calls back after each change by the user; returns a function that ends it. */
  onChange(listener: (value: Value) => void): () => void;
  close(): void;
}

export interface WidgetOptions {
  label?: string;
  disabled?: boolean;
}

export interface SliderOptions extends WidgetOptions {
  /** 0 unless given. */
  min?: number;
  /** 100 unless given. */
  max?: number;
  /** 1 unless given. */
  step?: number;
  /** The smallest unless given. */
  value?: number;
}

export interface Button {
  onClick(listener: () => void): () => void;
  close(): void;
}

export interface WidgetsApi {
  slider(options?: SliderOptions): Widget<number>;
  dropdown<Value>(options: readonly Value[], more?: WidgetOptions & { value?: Value }): Widget<Value>;
  checkbox(label?: string, more?: WidgetOptions & { value?: boolean }): Widget<boolean>;
  button(label: string, onClick?: () => void): Button;
}

type State = Record<string, unknown>;

const PROTOCOL_VERSION = "2.1.0";
const MODULE_VERSION = "2.0.0";
const BASE = "@jupyter-widgets/base";
const CONTROLS = "@jupyter-widgets/controls";

export function createWidgets(open: OpenComm): WidgetsApi {
  function openModel(module: string, name: string, view: string | null, state: State): Comm {
    const model = { _model_module: module, _model_module_version: MODULE_VERSION, _model_name: name };
    const shown = {
      _view_module: view === null && module === CONTROLS ? BASE : module,
      _view_module_version: MODULE_VERSION,
      _view_name: view,
    };
    const data = { state: { ...model, ...shown, ...state }, buffer_paths: [] };
    return open("jupyter.widget", data, { version: PROTOCOL_VERSION });
  }

  /** A control with its layout and style, which are models of their own. */
  function openControl(kind: string, style: string, state: State, onMessage: (data: State) => void) {
    const layout = openModel(BASE, "LayoutModel", "LayoutView", {});
    const look = openModel(CONTROLS, `${style}StyleModel`, "StyleView", {});
    const current: State = { _dom_classes: [], disabled: false, tooltip: null, tabbable: null, ...state };
    const references = { layout: `IPY_MODEL_${layout.id}`, style: `IPY_MODEL_${look.id}` };
    const comm = openModel(CONTROLS, `${kind}Model`, `${kind}View`, { ...current, ...references });
    const sendState = (part: State) => comm.send({ method: "update", state: part, buffer_paths: [] });
    for (const part of [layout, look])
      part.onMessage = () => part.send({ method: "update", state: {}, buffer_paths: [] });
    comm.onMessage = (data: unknown) => {
      const { method, state: changed = {}, content = {} } = data as { method?: string; state?: State; content?: State };
      if (method === "request_state") sendState({ ...current, ...references });
      else if (method === "update") {
        Object.assign(current, changed);
        onMessage(changed);
      } else if (method === "custom") onMessage(content);
    };
    return {
      current,
      bundle: (text: string) => ({
        "application/vnd.jupyter.widget-view+json": { version_major: 2, version_minor: 0, model_id: comm.id },
        "text/plain": text,
      }),
      set: (part: State) => {
        Object.assign(current, part);
        sendState(part);
      },
      close: () => {
        for (const each of [comm, layout, look]) each.close();
      },
    };
  }

  function valueWidget<Value>(
    name: string,
    [kind, style, state]: readonly [string, string, State],
    key: string,
    read: (raw: unknown) => Value,
    write: (value: Value) => unknown,
  ): Widget<Value> {
    const listeners = listenersOf<Value>();
    const control = openControl(kind, style, state, (changed) => {
      if (key in changed) listeners.call(read(changed[key]));
    });
    return Object.defineProperty(
      {
        get value() {
          return read(control.current[key]);
        },
        set value(value: Value) {
          control.set({ [key]: write(value) });
        },
        onChange: listeners.add,
        close: control.close,
      },
      displaySymbol,
      { value: () => control.bundle(`${name}: ${String(read(control.current[key]))}`) },
    );
  }

  return {
    slider: ({ min = 0, max = 100, step = 1, value = min, label = "", disabled = false } = {}) => {
      for (const [name, number] of Object.entries({ min, max, step, value })) {
        if (!Number.isFinite(number)) throw new RangeError(`slider: ${name} must be a finite number: ${number}`);
      }
      if (min > max || step <= 0) throw new RangeError(`slider: needs min ≤ max and step > 0: ${min}, ${max}, ${step}`);
      const digits = Math.min(10, /\.(\d+)/.exec(String(step))?.[1]?.length ?? 0);
      const state = { description: label, min, max, step, value, disabled, orientation: "horizontal", readout: true };
      const more = { readout_format: `.${digits}f`, continuous_update: true, behavior: "drag-tap" };
      return valueWidget("slider", ["FloatSlider", "Slider", { ...state, ...more }], "value", Number, (set) => set);
    },
    dropdown: <Value>(
      options: readonly Value[],
      { label = "", disabled = false, value }: WidgetOptions & { value?: Value } = {},
    ) => {
      if (options.length === 0) throw new RangeError("dropdown: needs at least one option");
      const indexOf = (wanted: Value) => {
        const index = options.indexOf(wanted);
        if (index < 0) throw new RangeError(`dropdown: not among the options: ${String(wanted)}`);
        return index;
      };
      const state = {
        description: label,
        disabled,
        _options_labels: options.map(String),
        index: value === undefined ? 0 : indexOf(value),
      };
      return valueWidget(
        "dropdown",
        ["Dropdown", "Description", state],
        "index",
        (index) => options[Number(index)] as Value,
        indexOf,
      );
    },
    checkbox: (label = "", { value = false, disabled = false } = {}) =>
      valueWidget(
        "checkbox",
        ["Checkbox", "Checkbox", { description: label, value, disabled, indent: false }],
        "value",
        Boolean,
        (set) => set,
      ),
    button: (label, onClick) => {
      const listeners = listenersOf<void>();
      if (onClick) listeners.add(onClick);
      const state = { description: label, icon: "", button_style: "" };
      const control = openControl("Button", "Button", state, ({ event }) => {
        if (event === "click") listeners.call();
      });
      const made = { onClick: listeners.add, close: control.close };
      return Object.defineProperty(made, displaySymbol, { value: () => control.bundle(`button: ${label}`) });
    },
  };
}

function listenersOf<Value>() {
  const all = new Set<(value: Value) => void>();
  return {
    add: (listener: (value: Value) => void) => {
      all.add(listener);
      return () => void all.delete(listener);
    },
    call: (value: Value) => {
      for (const listener of [...all]) listener(value);
    },
  };
}
