"""Writes the notebook with its outputs, without Jupyter: `make pictures`."""

import ast
import contextlib
import io
import json
import linecache
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
TARGET = ROOT / "docs" / "bptt.ipynb"

CELLS = [
    """# Backpropagation through time, seen
A graph draws itself in a notebook.  First the smallest recurrence, `h = w * h`, three times.""",
    """import numpy as np, minigrad as mg, nn

w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9)
for t in range(3):
    with mg.time_step(t):
        h = w * h
mg.Graph(h)""",
    """The backward pass is a loop.  Each step hands a share to `w`, and passes `dh_prev` on to the
step before.""",
    """for step in mg.Graph(h).backward_steps():
    print(step)""",
    """A vanilla RNN over three steps: a box for each operation, a panel for each step, the same
weights in all.""",
    """mg.seed(0)
ys, _ = nn.Unroll(nn.RNNCell(2, 4))(np.random.default_rng(0).standard_normal((3, 1, 2)))
graph = mg.Graph((ys[-1] ** 2).mean())
graph""",
    "The same picture as a `graphviz.Digraph`, with the gradient on the edges.",
    """graph.to_dot(view="cells", backward=True)""",
    "What does a step back do to the gradient?  In words and numbers:",
    """print(graph.gradient_flow())""",
]


def run(source: str, namespace: dict) -> list[dict]:
    """Execute a cell; what it prints and the value of its last expression, as notebooks keep it."""
    name = f"<cell {len(linecache.cache)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    *body, last = ast.parse(source).body
    value, printed = None, io.StringIO()
    with contextlib.redirect_stdout(printed):
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(body, []), name, "exec"), namespace)
            value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
        else:
            exec(compile(source, name, "exec"), namespace)
    text = printed.getvalue().splitlines(keepends=True)
    outputs = [{"output_type": "stream", "name": "stdout", "text": text}] if text else []
    if value is not None:
        data = value._repr_mimebundle_(None, None)
        outputs.append(
            {"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": data}
        )
    return outputs


def notebook() -> dict:
    """The notebook, executed."""
    namespace: dict = {"__name__": "__main__"}
    cells = []
    for k, source in enumerate(CELLS):
        cell = {"id": f"c{k}", "metadata": {}, "source": source.splitlines(keepends=True)}
        if k % 2:
            cell |= {
                "cell_type": "code",
                "execution_count": k // 2 + 1,
                "outputs": run(source, namespace),
            }
        else:
            cell |= {"cell_type": "markdown"}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


if __name__ == "__main__":
    TARGET.write_text(json.dumps(notebook(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(TARGET)
