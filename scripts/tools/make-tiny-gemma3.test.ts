import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { AutoTokenizer, env } from "@huggingface/transformers";
import fc from "fast-check";
import { tinyModel } from "../../src/base/testing.test-helper.ts";

test("the committed files are what the script makes, and small", async () => {
  const folder = await mkdtemp(join(tmpdir(), "prunelab-tiny-"));
  try {
    await promisify(execFile)(process.execPath, ["--import", "tsx", "scripts/tools/make-tiny-gemma3.ts", folder]);
    const files = await readdir(folder);
    assert.deepEqual(files.sort(), (await readdir(tinyModel)).sort());
    let bytes = 0;
    for (const file of files) {
      assert.ok((await readFile(join(folder, file))).equals(await readFile(join(tinyModel, file))), file);
      bytes += (await stat(join(tinyModel, file))).size;
    }
    assert.ok(bytes < 600_000);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("its tokenizer loads in transformers.js and brings any text back", async () => {
  env.allowRemoteModels = false;
  const tokenizer = await AutoTokenizer.from_pretrained(tinyModel);
  assert.deepEqual(tokenizer.encode("the of"), [2, ...tokenizer.encode("the of", { add_special_tokens: false })]);
  assert.ok(tokenizer.encode("the and").length < 8, "words are put together from pieces");
  const some = { minLength: 1 };
  const text = fc.oneof(
    fc.string({ unit: "binary", ...some }),
    fc.string({ unit: "grapheme", ...some }),
    fc.string(some),
  );
  fc.assert(
    fc.property(text, (text) => {
      // Stands for a space inside.
      fc.pre(!text.includes("▁"));
      const ids = tokenizer.encode(text, { add_special_tokens: false });
      assert.ok(ids.every((id) => id < 512));
      assert.equal(tokenizer.decode(ids, { skip_special_tokens: false, clean_up_tokenization_spaces: false }), text);
    }),
    { numRuns: 300 },
  );
});
