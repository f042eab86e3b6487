/** The device that was asked for, or the CPU where it cannot be opened. */
import { messageOf } from "../errors.ts";
import { GraphBuilder } from "./graph.ts";
import { checkDevice, type Device, float32, openSession } from "./session.ts";

/**
 * Tries the device with the smallest of graphs. If it cannot be opened, `onNotice` gets one line and the CPU takes over.
 *
 * @param work What is to run there, as the line begins: `"calibrating"`.
 * @throws PrunelabError if there is no such device.
 */
export async function availableDevice(
  wanted: Device,
  work: string,
  onNotice: ((line: string) => void) | undefined,
): Promise<Device> {
  checkDevice(wanted);
  if (wanted === "cpu") return wanted;
  const graph = new GraphBuilder(new Map(), "");
  const x = graph.input("x", "float32", ["rows", 1]);
  graph.output("y", graph.op("Add", [x, x]), "float32", ["rows", 1]);
  try {
    const session = await openSession(graph.encode("probe"), { device: wanted });
    await session.run({ x: float32(Float32Array.of(1), [1, 1]) });
    await session.release();
    return wanted;
  } catch (error) {
    onNotice?.(`${work} on the CPU: ${messageOf(error).replace(/\s*\n\s*/g, " ")}`);
    return "cpu";
  }
}
