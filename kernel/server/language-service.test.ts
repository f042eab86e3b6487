import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { builtFile } from "../../src/base/package-root.ts";
import { snapshotPath } from "../language/snapshot-file.ts";
import { type LanguageService, startLanguageService } from "./language-service.ts";

const folder = mkdtempSync(join(tmpdir(), "prunelab-language-"));
const usual = process.env.PRUNELAB_CACHE;

before(() => {
  process.env.PRUNELAB_CACHE = folder;
});

after(() => {
  if (usual === undefined) delete process.env.PRUNELAB_CACHE;
  else process.env.PRUNELAB_CACHE = usual;
  rmSync(folder, { recursive: true });
});

async function withService<Result>(use: (language: LanguageService) => Promise<Result>): Promise<Result> {
  const language = startLanguageService({ check: true });
  try {
    return await use(language);
  } finally {
    language.close();
  }
}

async function answers({ plan, commit, inspect }: LanguageService) {
  const wrong = await plan("const n: string = [1].map((x) => x + 1)", "cell-1.ts", true);
  const right = await plan('import { readFileSync } from "node:fs"; class Box<T> { #value?: T }', "cell-2.ts", true);
  commit();
  const later = await plan("new Box<number>().nothing", "cell-3.ts", true);
  const shown = await inspect("[1].map", 7);
  return { wrong, right, later, shown };
}

describe("the start-up snapshot", () => {
  it("changes no answer", async () => {
    execFileSync(process.execPath, [builtFile("kernel/language/build-snapshot.js"), snapshotPath()]);
    assert.ok(existsSync(snapshotPath()));
    const snapshot = await withService(answers);
    assert.ok(existsSync(snapshotPath()), "it was of use");
    rmSync(snapshotPath());
    const plain = await withService(answers);
    assert.deepEqual(snapshot, plain);
    assert.match(JSON.stringify(plain.wrong), /TS2322: Type 'number\[\]' is not assignable to type 'string'/);
    assert.match(JSON.stringify(plain.later), /TS2339/);
    // Comments of packages are read when asked for.
    assert.match(plain.shown?.data["text/plain"] ?? "", /Calls a defined callback function on each element/);
  });

  it("is left out where Node does not take it", async () => {
    mkdirSync(dirname(snapshotPath()), { recursive: true });
    writeFileSync(snapshotPath(), "no snapshot");
    const { wrong } = await withService(answers);
    assert.match(JSON.stringify(wrong), /TS2322/);
    assert.ok(!existsSync(snapshotPath()));
  });
});
