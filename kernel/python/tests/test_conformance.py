"""Jupyter's own conformance suite on this kernel. Needs an empty history: an earlier match breaks the search for one."""
import unittest

import jupyter_kernel_test


class ConformanceTests(jupyter_kernel_test.KernelTests):
    kernel_name = "prunelab"
    language_name = "typescript"
    file_extension = ".ts"
    code_hello_world = 'console.log("hello, world");'
    code_stderr = 'process.stderr.write("to stderr\\n");'
    code_page_something = "?JSON.stringify"
    code_generate_error = 'const fail = (): never => { throw new TypeError("on purpose"); };\nfail();'
    code_inspect_sample = "parseInt"
    code_clear_output = "clearOutput({ wait: true });"
    code_display_data = [
        {"code": "display(html`<i>${1}</i>`);", "mime": "text/html"},
        {"code": 'display(md`# title`, { id: "title" });', "mime": "text/markdown"},
        {"code": "display({ data: [{ y: [1, 2] }], layout: {} });", "mime": "image/svg+xml"},
    ]
    code_execute_result = [
        {"code": "[1, 2].map((x) => x * 2)", "result": "[ 2, 4 ]"},
        {"code": "await Promise.resolve(6 * 7)", "result": "42"},
        {"code": "new Map([[1, 2]])", "mime": "text/plain", "result": "Map(1) { 1 => 2 }"},
    ]
    completion_samples = [
        {"text": '"x".padSt', "matches": ["padStart"]},
        {"text": "clearOut", "matches": ["clearOutput"]},
        {"text": 'import { readFile } from "node:fs/pro', "matches": ["node:fs/promises"]},
    ]
    complete_code_samples = ["let x = 1", "class A { f() { return 1 } }", "?Math.max", "for (const x of []) {}"]
    incomplete_code_samples = ["[1,", "while (true) {", "const text = `a", "f(1, /* open", "const x =", "async () => {\n  await 1"]
    invalid_code_samples = ["let let let", "} else {", "const 3 = 4", "a b"]
    code_history_pattern = "?1, 2?.map*"
    supported_history_operations = ("tail", "range", "search")


class WelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "prunelab"
    support_iopub_welcome = True


# The suite's own classes name no kernel of ours.
del jupyter_kernel_test

if __name__ == "__main__":
    unittest.main()
