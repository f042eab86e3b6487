"""The tools that run notebooks without a person, each on this kernel as it comes."""
import json
import pathlib
import subprocess
import sys

import nbclient
import nbformat
import papermill
import pytest


def notebook(*cells, tags=None):
    """A notebook of these sources; `tags` maps a position to the tags of that cell."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    for position, names in (tags or {}).items():
        made.cells[position].metadata["tags"] = names
    made.metadata["kernelspec"] = {"name": "prunelab", "display_name": "TypeScript", "language": "typescript"}
    return made


def text(cell):
    return "".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream")


def write(folder, made):
    path = folder / "notebook.ipynb"
    nbformat.write(made, path)
    return str(path)


def run(*command, **options):
    return subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, **options)


def test_nbclient_keeps_every_line_and_the_result():
    made = notebook("for (let i = 0; i < 20000; i++) console.log(i);", "const x: number = 20; x + 1")
    nbclient.NotebookClient(made, kernel_name="prunelab").execute()
    assert text(made.cells[0]).split() == [str(i) for i in range(20000)]
    assert made.cells[1].outputs[0].data["text/plain"] == "21"


@pytest.mark.parametrize("source", ["throw new Error('x')", "const n: number = 'x'", "Promise.reject(1)", "process.exit(0)"])
def test_nbclient_stops_at_a_failing_cell(source):
    made = notebook(source, "console.log('never')")
    with pytest.raises(nbclient.exceptions.CellExecutionError):
        nbclient.NotebookClient(made, kernel_name="prunelab").execute()
    assert text(made.cells[1]) == ""


def test_a_cell_that_may_raise_lets_the_next_ones_run():
    made = notebook("throw 1", "console.log('a')", "console.log('b')", tags={0: ["raises-exception"]})
    nbclient.NotebookClient(made, kernel_name="prunelab").execute()
    assert [text(cell) for cell in made.cells[1:]] == ["a\n", "b\n"]


def test_papermill_passes_parameters(tmp_path):
    path = write(tmp_path, notebook("const limit = 3; const names = ['x'];", "console.log(limit, names, more)", tags={0: ["parameters"]}))
    given = {"limit": 5, "names": ["a", 'q"'], "more": {"deep": [1.5, None, True], "nan": float("nan")}}
    done = papermill.execute_notebook(path, str(tmp_path / "out.ipynb"), parameters=given, progress_bar=False)
    assert text(done.cells[2]) == """5 [ 'a', 'q"' ] { deep: [ 1.5, null, true ], nan: NaN }\n"""
    assert done.cells[1].metadata.tags == ["injected-parameters"]


def test_papermill_tells_of_the_parameters(tmp_path):
    path = write(tmp_path, notebook("const limit: number = 3; // how many\nlet name = 'x'", tags={0: ["parameters"]}))
    found = papermill.inspect_notebook(path)
    assert found["limit"] == {"name": "limit", "inferred_type_name": "number", "default": "3", "help": "how many"}
    assert found["name"]["default"] == "'x'"


def test_papermill_fails_with_the_cell(tmp_path):
    path = write(tmp_path, notebook("1", "throw new RangeError('too far')", "2"))
    with pytest.raises(papermill.PapermillExecutionError, match="too far"):
        papermill.execute_notebook(path, str(tmp_path / "out.ipynb"), progress_bar=False)


def test_nbmake_passes_and_fails(tmp_path):
    path = write(tmp_path, notebook("const a = 1", "if (a !== 1) throw new Error('no')"))
    assert run("pytest", "--nbmake", path).returncode == 0
    path = write(tmp_path, notebook("const a = 1", "throw new Error('yes')"))
    failed = run("pytest", "--nbmake", path)
    assert failed.returncode == 1 and "Error: yes" in failed.stdout


def test_nbval_compares_outputs(tmp_path):
    made = notebook("const a = [1, 2]\na", "console.log('x')")
    nbclient.NotebookClient(made, kernel_name="prunelab").execute()
    path = write(tmp_path, made)
    passed = run("pytest", "--nbval", path)
    assert passed.returncode == 0, passed.stdout
    pathlib.Path(path).write_text(json.dumps(made).replace("x\\\\n", "y\\\\n").replace('"x\\n"', '"y\\n"'))
    assert run("pytest", "--nbval", path).returncode == 1


def test_jupyter_execute_from_the_command_line(tmp_path):
    path = write(tmp_path, notebook("console.log(1 + 1)"))
    assert run("jupyter", "execute", "--inplace", path).returncode == 0
    assert text(nbformat.read(path, 4).cells[0]) == "2\n"


def test_jupyter_run_runs_a_script(tmp_path):
    script = tmp_path / "a.ts"
    script.write_text("const answer: number = 41;\nconsole.log(answer + 1);\n")
    ran = run("jupyter", "run", "--kernel=prunelab", str(script))
    assert ran.returncode == 0, ran.stderr
    assert "42" in ran.stdout
    script.write_text("throw new Error('gone wrong');\n")
    failed = run("jupyter", "run", "--kernel=prunelab", str(script))
    assert "gone wrong" in failed.stdout + failed.stderr


def test_jupyter_console_shows_values_and_mistakes_and_leaves_at_exit():
    words = '20 + 22\nconst x: number = "a";\nexit\n1 + 4320\n'
    ran = run("jupyter", "console", "--kernel=prunelab", "--simple-prompt", input=words)
    assert ran.returncode == 0, ran.stderr
    assert "42" in ran.stdout and "TS2322" in ran.stderr and "4321" not in ran.stdout


def test_jupytext_takes_a_notebook_to_text_and_runs_it_again(tmp_path):
    made = notebook("const limit: number = 2;", "[1, 2, 3].slice(0, limit)", tags={0: ["parameters"]})
    path = write(tmp_path, made)
    to_text = run("jupytext", "--to", "ts:percent", path)
    assert to_text.returncode == 0, to_text.stderr
    script = tmp_path / "notebook.ts"
    assert '// %% tags=["parameters"]\nconst limit: number = 2;' in script.read_text()
    pathlib.Path(path).unlink()
    executed = run("jupytext", "--to", "ipynb", "--execute", str(script))
    assert executed.returncode == 0, executed.stderr
    cells = nbformat.read(path, 4).cells
    assert cells[0].metadata.tags == ["parameters"]
    assert cells[1].outputs[0].data["text/plain"] == "[ 1, 2 ]"
