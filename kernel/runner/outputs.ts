/** Folds the kernel's messages into the outputs of a notebook's cells. */
import type { Message } from "../protocol/message.ts";
import { type CodeCell, isObject, type Json, type Output } from "./notebook.ts";

/** Display ids reach across cells, so one fold serves a whole notebook. */
export interface OutputFold {
  /** Changes the cell's outputs by a message about it; returns the output that was added or changed. */
  add(cell: CodeCell, type: string, content: Message["content"]): Output | undefined;
}

/** https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-iopub-pub-sub-channel */
export function createOutputFold(): OutputFold {
  const displays = new Map<string, Set<Output>>();
  /** Cells that `clear_output` empties when their next output comes. */
  const clearing = new Set<CodeCell>();

  function clear(cell: CodeCell): void {
    clearing.delete(cell);
    for (const outputs of displays.values()) for (const output of cell.outputs) outputs.delete(output);
    cell.outputs = [];
  }

  function append(cell: CodeCell, output: Output): Output {
    if (clearing.has(cell)) clear(cell);
    cell.outputs.push(output);
    return output;
  }

  function stream(cell: CodeCell, name: string, text: string): Output {
    if (clearing.has(cell)) clear(cell);
    const last = cell.outputs.at(-1);
    if (last?.output_type !== "stream" || last.name !== name) {
      return append(cell, { output_type: "stream", name, text });
    }
    last.text += text;
    return last;
  }

  function display(cell: CodeCell, content: Json): Output {
    // What was shown under that id before shows the same from now on, as in nbclient.
    update(content);
    const output = append(cell, { output_type: "display_data", ...bundle(content) });
    const id = displayId(content);
    if (id !== undefined) displays.set(id, (displays.get(id) ?? new Set()).add(output));
    return output;
  }

  function update(content: Json): Output | undefined {
    let changed: Output | undefined;
    for (const output of displays.get(displayId(content) ?? "") ?? []) {
      changed = Object.assign(output, bundle(content));
    }
    return changed;
  }

  return {
    add: (cell, type, content) => {
      switch (type) {
        case "stream":
          return stream(cell, String(content.name), String(content.text));
        case "display_data":
          return display(cell, content);
        case "update_display_data":
          return update(content);
        case "execute_result": {
          const count = (content.execution_count as number | undefined) ?? null;
          return append(cell, { output_type: "execute_result", ...bundle(content), execution_count: count });
        }
        case "error": {
          const { ename, evalue, traceback } = content;
          return append(cell, errorOutput(String(ename), String(evalue), (traceback as string[] | undefined) ?? []));
        }
        case "clear_output":
          if (content.wait === true) clearing.add(cell);
          else clear(cell);
          return undefined;
        default:
          return undefined;
      }
    },
  };
}

export function errorOutput(ename: string, evalue: string, traceback: string[]): Output {
  return { output_type: "error", ename, evalue, traceback };
}

function bundle({ data, metadata }: Json): { data: Json; metadata: Json } {
  return { data: isObject(data) ? data : {}, metadata: isObject(metadata) ? metadata : {} };
}

function displayId({ transient }: Json): string | undefined {
  return isObject(transient) && typeof transient.display_id === "string" ? transient.display_id : undefined;
}
