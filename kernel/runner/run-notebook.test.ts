import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { isCode, type Notebook } from "./notebook.ts";
import { type NotebookResult, type RunOptions, runNotebook } from "./run-notebook.ts";
import { notebookOf, temporaryFolder } from "./testing.test-helper.ts";
import { formatNotebook } from "./write-notebook.ts";

interface Run {
  result: NotebookResult;
  notebook: Notebook;
  /** What was handed over for saving, as it was then. */
  saved: Notebook[];
  plain: (number: number) => string;
}

async function run(t: TestContext, cells: string[], options: Partial<RunOptions> = {}): Promise<Run> {
  const notebook = notebookOf(...cells);
  const saved: Notebook[] = [];
  const path = join(temporaryFolder(t), "x.ipynb");
  const save = (each: Notebook) => void saved.push(JSON.parse(formatNotebook(each)));
  const result = await runNotebook(notebook, { path, save, ...options });
  const plain = (number: number) =>
    (notebook.cells.filter(isCode)[number - 1]?.outputs ?? [])
      .map(({ text, data, evalue }) => text ?? evalue ?? (data as Record<string, unknown>)["text/plain"])
      .join("|");
  return { result, notebook, saved, plain };
}

const recorded = (notebook: Notebook | undefined, index: number) =>
  (notebook as Notebook).cells[index]?.metadata.prunelab as Record<string, unknown>;
const statuses = ({ result }: Run) => result.cells.map(({ status }) => status);

describe("runNotebook", () => {
  it("runs cells in order, and saves after each, with times and memory", async (t) => {
    const ran = await run(t, ["const a = 20", "# text", "console.log(a); a + 1", "__filename"]);
    assert.deepEqual(statuses(ran), ["passed", "passed", "passed"]);
    assert.equal(ran.result.failure, undefined);
    assert.equal(ran.plain(2), "20\n|21");
    assert.match(ran.plain(3), /x\.ipynb'$/);
    assert.equal(ran.saved.length, 3);
    assert.deepEqual(
      ran.saved.map(({ cells }) => cells.filter(isCode).map((cell) => cell.execution_count)),
      [
        [1, null, null],
        [1, 2, null],
        [1, 2, 3],
      ],
    );
    const { status, origin, started, durationMs, peakMemoryBytes } = recorded(ran.notebook, 2);
    assert.deepEqual([status, origin], ["passed", "run"]);
    assert.ok(Date.parse(String(started)) > 0 && Number(durationMs) >= 0);
    if (process.platform === "linux") assert.ok(Number(peakMemoryBytes) > 50e6);
    assert.equal((ran.notebook.metadata.language_info as { name: string }).name, "typescript");
  });

  it("stops at the first cell that fails, and leaves no old outputs behind it", async (t) => {
    const notebook = notebookOf("1", "throw new RangeError('no')", "3");
    const last = notebook.cells.filter(isCode)[2];
    Object.assign(last as object, {
      outputs: [{ output_type: "stream", name: "stdout", text: "old" }],
      execution_count: 9,
    });
    const saved: Notebook[] = [];
    const path = join(temporaryFolder(t), "x.ipynb");
    const result = await runNotebook(notebook, { path, save: (each) => void saved.push(structuredClone(each)) });
    assert.equal(result.failure, "failed");
    assert.deepEqual(
      result.cells.map(({ status }) => status),
      ["passed", "failed", "not run"],
    );
    assert.equal(result.cells[1]?.error?.name, "RangeError");
    assert.deepEqual(saved.at(-1)?.cells.filter(isCode)[2]?.outputs, []);
    assert.equal(saved.at(-1)?.cells.filter(isCode)[2]?.execution_count, null);
    assert.equal(saved.at(-1)?.cells.filter(isCode)[1]?.outputs[0]?.ename, "RangeError");
  });

  it("takes errors of types and of syntax for failures", async (t) => {
    const ran = await run(t, ["const n: number = 'x'"]);
    assert.deepEqual([statuses(ran), ran.result.cells[0]?.error?.name], [["failed"], "TypeScriptError"]);
    assert.equal((await run(t, ["const = 1"])).result.cells[0]?.error?.name, "SyntaxError");
  });

  it("knows the tags raises-exception, which must raise, and skip-execution", async (t) => {
    const ran = await run(t, ["raises-exception|throw 1", "skip-execution|never", "2", "raises-exception|3", "4"]);
    assert.deepEqual(statuses(ran), ["passed", "skipped", "passed", "failed", "not run"]);
    assert.match(ran.plain(4), /^3\|the cell is tagged raises-exception, but raised none$/);
    assert.equal(ran.result.failure, "failed");
  });

  it("stops a cell that runs too long, whether it waits or never yields, and tells that from a failure", async (t) => {
    for (const endless of ["await new Promise(() => {})", "for (;;) ;"]) {
      const ran = await run(t, ["console.log('before')", endless, "3"], { timeoutMs: 1500 });
      assert.deepEqual([statuses(ran), ran.result.failure], [["passed", "timeout", "not run"], "timeout"], endless);
      assert.match(ran.plain(2), /the cell ran longer than 1\.5 s and was stopped$/);
      assert.equal(ran.saved.length, 2);
    }
  });

  it("tells a process that died from a failure, keeping what it printed", async (t) => {
    for (const [end, reason] of [
      ["process.exit(3)", /exit code 3/],
      ["process.kill(process.pid, 'SIGKILL'); await new Promise(() => {})", /SIGKILL/],
      ["process.kill(process.ppid, 'SIGKILL'); await new Promise(() => {})", /SIGKILL/],
    ] as const) {
      const ran = await run(t, [
        "1",
        `console.log('last words'); await new Promise((go) => setTimeout(go, 300)); ${end}`,
        "3",
      ]);
      assert.deepEqual([statuses(ran), ran.result.failure], [["passed", "lost", "not run"], "kernel"], end);
      assert.match(ran.plain(2), /^last words\n\|/);
      assert.match(ran.plain(2), reason);
    }
  });

  it("gives late output to the cell that made it, and counts a late error against it", async (t) => {
    const wait = "await new Promise((go) => setTimeout(go, 400))";
    const ends: string[] = [];
    const ran = await run(
      t,
      [
        "setTimeout(() => console.log('late'), 50)",
        wait,
        "setTimeout(() => { throw new Error('late') }, 50); 0",
        wait,
        "5",
      ],
      { onEnd: ({ number, status }) => void ends.push(`${number} ${status}`) },
    );
    assert.deepEqual(ends, ["1 passed", "2 passed", "3 passed", "4 passed", "3 failed"]);
    assert.match(ran.plain(1), /late\n$/);
    assert.deepEqual(statuses(ran), ["passed", "passed", "failed", "passed", "not run"]);
    assert.equal(recorded(ran.saved.at(-1), 2).status, "failed");
  });

  it("stops when told to, and saves", async (t) => {
    const stop = new AbortController();
    const onOutput = () => stop.abort("SIGTERM");
    const ran = await run(t, ["console.log('go'); await new Promise(() => {})", "2"], {
      signal: stop.signal,
      onOutput,
    });
    assert.deepEqual([statuses(ran), ran.result.failure], [["stopped", "not run"], "stopped"]);
    assert.match(ran.plain(1), /^go\n\|.*the run was stopped by SIGTERM in this cell$/);
    assert.equal(ran.saved.length, 1);
  });
});
