/** Prunes on the device that the caller wants, and on the CPU where that fails. */
import { messageOf } from "../errors.ts";
import { openGpu, pruneOnGpu } from "./gpu.ts";
import type { PruneOptions, PruningPlan } from "./options.ts";
import type { SharedWeights } from "./shared-weights.ts";

/** Prunes the weights in place; which ones go does not depend on the device. Says in one line why it fell back. */
export async function pruneOnDevice(
  weights: SharedWeights,
  plan: PruningPlan,
  { onNotice }: Pick<PruneOptions, "onNotice">,
  open: typeof openGpu = openGpu,
): Promise<void> {
  if (plan.device !== "cpu") {
    const gpu = await open({ allowSoftware: plan.device === "webgpu" });
    if (gpu) {
      try {
        return await pruneOnGpu(gpu, weights.tensors, plan);
      } catch (error) {
        onNotice?.(`pruning goes on on the CPU, since the GPU failed: ${messageOf(error) || "device lost"}`);
      } finally {
        gpu.device.destroy();
      }
    } else if (plan.device === "webgpu") onNotice?.("pruning on the CPU, since no WebGPU device was found");
  }
  await weights.prune(plan);
}
