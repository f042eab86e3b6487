/** Prunes on the device that the caller wants, and on the CPU where that fails. */
import { messageOf } from "../errors.ts";
import { type Gpu, openGpu } from "./gpu.ts";
import type { PruneOptions, PruningDevice } from "./options.ts";

/** Open for as long as there is something to prune. */
export interface Device {
  /** Runs the first on the GPU, or the second, which must come to the same, where there is none or it fails. */
  run(onGpu: (gpu: Gpu) => Promise<void>, onCpu: () => void | Promise<void>): Promise<void>;
  close(): void;
}

/** Says in one line why it falls back, and from then on stays with the CPU. */
export async function openDevice(
  wanted: PruningDevice,
  { onNotice }: Pick<PruneOptions, "onNotice">,
  open: typeof openGpu = openGpu,
): Promise<Device> {
  let gpu: Gpu | null = null;
  try {
    if (wanted !== "cpu") gpu = await open({ allowSoftware: wanted === "webgpu" });
    if (!gpu && wanted === "webgpu") onNotice?.("pruning on the CPU, since no WebGPU device was found");
  } catch (error) {
    onNotice?.(`pruning on the CPU, since the GPU failed: ${messageOf(error)}`);
  }
  const close = () => {
    gpu?.device.destroy();
    gpu = null;
  };
  return {
    async run(onGpu, onCpu) {
      if (!gpu) return await onCpu();
      try {
        return await onGpu(gpu);
      } catch (error) {
        onNotice?.(`pruning goes on on the CPU, since the GPU failed: ${messageOf(error) || "device lost"}`);
        close();
      }
      await onCpu();
    },
    close,
  };
}
