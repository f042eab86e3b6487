import assert from "node:assert/strict";
import { cp, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyModel } from "../base/testing.test-helper.ts";
import { openCheckpointFile } from "../checkpoint/open.ts";
import { gemmaTables } from "./published.ts";
import { scorePublished } from "./score-published.ts";

const chats = gemmaTables.find(({ id }) => id === "270m-it")!;

test("a table of chat models is scored by the model's chat template, which a base model lacks", async () => {
  const folder = await mkdtemp(join(tmpdir(), "prunelab-chat-"));
  await cp(tinyModel, folder, { recursive: true });
  const base = await openCheckpointFile(folder);
  await assert.rejects(scorePublished(base, chats, { limit: 2 }), /^PrunelabError: no chat template: /);
  await writeFile(
    join(folder, "chat_template.jinja"),
    "{{ bos_token }}{% for message in messages %}[{{ message.role }}]{{ message.content }}{% endfor %}[answer]",
  );
  const rows = await scorePublished(await openCheckpointFile(folder), chats, { limit: 2 });
  assert.deepEqual([...new Set(rows.map(({ task }) => task))], ["hellaswag", "piqa", "arc_challenge", "winogrande"]);
  assert.ok(rows.every(({ n }) => n === 2));
});
