/** What the environment says about the Hub, in the variables of Python's huggingface_hub. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { PrunelabError } from "../errors.ts";

const require = createRequire(import.meta.url);

/** Hugging Face's own library, loaded when it is first used. */
export const huggingFaceHub = (): typeof import("@huggingface/hub") => require("@huggingface/hub");

// https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables

/** The Hub's address, without a slash at its end: HF_ENDPOINT, or the public Hub. */
export function hubEndpoint(): string {
  const named = process.env.HF_ENDPOINT?.trim().replace(/\/+$/, "");
  if (!named) return huggingFaceHub().HUB_URL;
  if (!/^https?:\/\//.test(named) || !URL.canParse(named))
    throw new PrunelabError(`HF_ENDPOINT is not an http or https address: ${named}; correct or unset it`);
  return named;
}

/** Whether HF_HUB_OFFLINE forbids asking the Hub. */
export function hubIsOffline(): boolean {
  return isYes(process.env.HF_HUB_OFFLINE);
}

/** Whether PRUNELAB_REFRESH asks to look at the sources again instead of taking what is cached. */
export function wantsRefresh(): boolean {
  return isYes(process.env.PRUNELAB_REFRESH);
}

/**
 * The user's access token: HF_TOKEN, else the file that `hf auth login` writes (HF_TOKEN_PATH, or `token` in HF_HOME, or in
 * `~/.cache/huggingface`).
 *
 * @throws PrunelabError when it is not of the form `hf_…`.
 */
export async function hubToken(): Promise<string | undefined> {
  const { HF_TOKEN, HF_TOKEN_PATH, HF_HOME, XDG_CACHE_HOME } = process.env;
  const home = HF_HOME || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface");
  const file = HF_TOKEN_PATH || join(home, "token");
  const token = HF_TOKEN?.trim() || (await readFile(file, "utf8").catch(() => "")).trim();
  if (!token) return undefined;
  // @huggingface/hub refuses any other; a header cannot hold line breaks. The token itself is never shown.
  if (!/^hf_[\x21-\x7e]+$/.test(token))
    throw new PrunelabError(
      `not an access token of the Hub (hf_…): the value of ${HF_TOKEN?.trim() ? "HF_TOKEN" : file}; correct or remove it`,
    );
  return token;
}

function isYes(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value?.trim() ?? "");
}
