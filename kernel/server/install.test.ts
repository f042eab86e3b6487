import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { runInstall, runUninstall } from "./install.ts";

const prefix = mkdtempSync(join(tmpdir(), "prunelab-install-"));
after(() => rmSync(prefix, { recursive: true }));
const spec = (name: string) => join(prefix, "share", "jupyter", "kernels", name, "kernel.json");

describe("install", () => {
  it("writes a kernelspec that starts the built kernel, and uninstall removes it", () => {
    runInstall(["--prefix", prefix]);
    const { argv, language, interrupt_mode } = JSON.parse(readFileSync(spec("prunelab"), "utf8"));
    assert.equal(argv[0], process.execPath);
    assert.match(argv[1], /dist\/kernel\/server\/main\.js$/);
    assert.deepEqual(argv.slice(2), ["run", "{connection_file}"]);
    assert.deepEqual([language, interrupt_mode], ["typescript", "message"]);
    runUninstall(["--prefix", prefix]);
    assert.equal(existsSync(spec("prunelab")), false);
  });

  it("takes a name, a title and --no-check, and the active environment", () => {
    runInstall(["--prefix", prefix, "--name", "loose", "--display-name", "Loose", "--no-check"]);
    const { argv, display_name } = JSON.parse(readFileSync(spec("loose"), "utf8"));
    assert.equal(display_name, "Loose");
    assert.ok(argv.includes("--no-check"));
    const { VIRTUAL_ENV, CONDA_PREFIX } = process.env;
    process.env.VIRTUAL_ENV = prefix;
    runInstall(["--sys-prefix", "--name", "inside"]);
    assert.ok(existsSync(spec("inside")));
    delete process.env.VIRTUAL_ENV;
    delete process.env.CONDA_PREFIX;
    assert.throws(() => runInstall(["--sys-prefix"]), /needs an active environment/);
    Object.assign(process.env, VIRTUAL_ENV && { VIRTUAL_ENV }, CONDA_PREFIX && { CONDA_PREFIX });
  });

  it("refuses what it cannot do in one sentence", () => {
    assert.throws(() => runInstall(["--nonsense"]), /^KernelError: .*--nonsense/);
    assert.throws(() => runInstall(["--name", "../evil"]), /invalid --name/);
    assert.throws(() => runInstall(["--user", "--prefix", prefix]), /choose one of/);
    assert.throws(() => runUninstall(["--prefix", prefix, "--name", "absent"]), /no kernel absent is installed/);
    const file = join(prefix, "file");
    writeFileSync(file, "");
    assert.throws(() => runInstall(["--prefix", file]), /cannot install the kernel/);
  });

  it("warns if Jupyter finds another kernel of the name first", (t) => {
    const inFront = join(prefix, "front");
    mkdirSync(join(inFront, "kernels", "PRUNELAB"), { recursive: true });
    writeFileSync(join(inFront, "kernels", "PRUNELAB", "kernel.json"), "{}");
    const warnings: string[] = [];
    t.mock.method(process.stderr, "write", (text: string) => warnings.push(text) > 0);
    const before = { ...process.env };
    process.env.JUPYTER_PATH = inFront;
    process.env.JUPYTER_DATA_DIR = join(prefix, "user");
    try {
      runInstall(["--user"]);
      assert.match(warnings.join(""), /^warning: Jupyter finds another kernel prunelab first: .*PRUNELAB; /);
      warnings.length = 0;
      runInstall(["--user", "--name", "other"]);
      delete process.env.JUPYTER_PATH;
      runInstall(["--user"]);
      assert.deepEqual(warnings, []);
    } finally {
      process.env = before;
    }
  });
});
