"""Kernels side by side: start, latency, completion, flood, memory, loops, interrupts. Usage: bench.py KERNEL... (in a notebook's folder)

Prints a Markdown table, one column a kernel; times are medians where there is more than one. `prunelab-unchecked` is
this kernel installed with --no-check. Kernels that have no such thing as an import of npm packages leave those rows out."""
import json
import queue
import statistics
import sys
import time

import psutil
from jupyter_client import KernelManager

TYPED = {"ts": "const typed: number = 1 + 1; typed", "py": "typed: int = 1 + 1; typed"}
TRIVIAL = {"ts": "let x{0} = {0};", "py": "x{0} = {0}"}
FLOOD = {"ts": "for (let i = 0; i < 20000; i++) console.log('line', i)", "py": "for i in range(20000): print('line', i)"}
LOOP = {"ts": "let count = 0; for (let i = 0; i < 2e7; i++) count += i; count", "py": None}
FOREVER = {
    "sync loop": {"ts": "while (true) {}", "py": "while True: pass"},
    "pending await": {"ts": "await new Promise((r) => setTimeout(r, 600000))", "py": "import time; time.sleep(600)"},
    "loop after an await": {"ts": "await 1; while (true) {}", "py": None},
    "microtask loop": {"ts": "const f = async () => { while (true) await 1 }; await f()", "py": None},
}
IMPORTS = [
    'import { openCheckpoint } from "prunelab"; typeof openCheckpoint',
    'import { AutoTokenizer } from "@huggingface/transformers"; typeof AutoTokenizer',
    'import * as dfd from "danfojs-node"; typeof dfd.DataFrame',
]


class Kernel:
    def __init__(self, name):
        self.language = "py" if name == "python3" else "ts"
        self.comment = "#" if self.language == "py" else "//"
        began = time.time()
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.ready = time.time() - began
        self.run(TYPED[self.language])
        self.first = time.time() - began

    def run(self, code, timeout=60):
        """Seconds until both the reply and idle are in, the reply's status, and the messages on iopub."""
        began = time.time()
        request = self.client.execute(code)
        messages, status, idle = [], None, False
        while status is None or not idle:
            if time.time() - began > timeout:
                return time.time() - began, status or "no reply", messages
            if not idle:
                try:
                    message = self.client.get_iopub_msg(timeout=0.2 if status is None else 1)
                    if message["parent_header"].get("msg_id") == request:
                        messages.append(message)
                        idle = message["content"].get("execution_state") == "idle"
                        if not idle:
                            continue
                except queue.Empty:
                    pass
            try:
                reply = self.client.get_shell_msg(timeout=0.001 if not idle else 1)
                if reply["parent_header"].get("msg_id") == request:
                    status = reply["content"]["status"]
            except queue.Empty:
                pass
        return time.time() - began, status, messages

    def trivial(self, start, count=30):
        return statistics.median(self.run(TRIVIAL[self.language].format(start + i))[0] for i in range(count)) * 1000

    def complete(self, code, count=20):
        times = []
        for i in range(count):
            # Another line each time: an unchanged text would be answered from what is in memory.
            changed = f"{self.comment} {i}\n{code}"
            began = time.time()
            request = self.client.complete(changed)
            while self.client.get_shell_msg(timeout=30)["parent_header"].get("msg_id") != request:
                pass
            times.append(time.time() - began)
        return statistics.median(times) * 1000

    def memory(self):
        """Resident MB of the kernel's process and all it started."""
        top = psutil.Process(self.manager.provisioner.pid)
        return sum(p.memory_info().rss for p in [top, *top.children(recursive=True)]) / 2**20

    def interrupt(self, code):
        """Seconds until the reply, or what happened instead."""
        request = self.client.execute(code)
        time.sleep(1)
        began = time.time()
        self.manager.interrupt_kernel()
        while time.time() - began < 8:
            try:
                reply = self.client.get_shell_msg(timeout=0.2)
                if reply["parent_header"].get("msg_id") == request:
                    return f"{time.time() - began:.2f} s, {reply['content'].get('ename', reply['content']['status'])}"
            except queue.Empty:
                if not self.manager.is_alive():
                    return "kernel dead"
        return "no reply in 8 s"

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def measure(name):
    """The rows of one kernel."""
    rows = {}
    starts = [Kernel(name) for _ in range(1)]
    for _ in range(2):
        starts[-1].close()
        starts.append(Kernel(name))
    kernel = starts[-1]
    language = kernel.language
    rows["start to ready, s"] = f"{statistics.median(k.ready for k in starts):.2f}"
    rows["start to first typed result, s"] = f"{statistics.median(k.first for k in starts):.2f}"
    rows["trivial cell, ms"] = f"{kernel.trivial(0):.1f}"
    rows["completion, ms"] = f"{kernel.complete('Math.ab' if language == 'ts' else 'len.__na'):.1f}"
    time.sleep(3)
    rows["idle memory, MB"] = f"{kernel.memory():.0f}"
    seconds, status, messages = kernel.run(FLOOD[language], 90)
    streams = [m for m in messages if m["msg_type"] == "stream"]
    lines = sum(m["content"]["text"].count("\n") for m in streams)
    rows["20,000 lines"] = f"{seconds:.2f} s, {lines} kept, {len(streams)} messages"
    if LOOP[language]:
        rows["top-level loop of 2e7, s"] = f"{kernel.run(LOOP[language], 90)[0]:.2f}"
    if language == "ts":
        outcomes = [kernel.run(code, 120) for code in IMPORTS]
        if all(status == "ok" for _, status, _ in outcomes):
            rows["imports of the library, transformers, danfojs, s"] = " + ".join(f"{s:.1f}" for s, _, _ in outcomes)
            rows["trivial cell after them, ms"] = f"{kernel.trivial(100):.1f}"
            rows["completion after them, ms"] = f"{kernel.complete('AutoTokenizer.from'):.1f}"
            time.sleep(3)
            rows["memory after them, MB"] = f"{kernel.memory():.0f}"
        else:
            rows["imports of the library, transformers, danfojs, s"] = "failed"
    kernel.close()
    for label, codes in FOREVER.items():
        if codes[language]:
            kernel = Kernel(name)
            rows[f"interrupt: {label}"] = kernel.interrupt(codes[language])
            kernel.close()
    return rows


def main(names):
    results = {}
    for name in names:
        results[name] = measure(name)
        print(name, json.dumps(results[name]), file=sys.stderr, flush=True)
    labels = list(dict.fromkeys(label for rows in results.values() for label in rows))
    print("| | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for label in labels:
        print(f"| {label} | " + " | ".join(results[name].get(label, "–") for name in names) + " |")


main(sys.argv[1:])
