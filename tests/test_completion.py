"""What an editor offers after a dot: public names and modules, and nothing that was only imported."""

from __future__ import annotations

import inspect
import pydoc
import re
from importlib.util import find_spec
from operator import attrgetter

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.ops import protocol

PROGRAM = """
import minigrad as mg
t = mg.tensor([1.0], requires_grad=True)
graph = mg.Graph(t * t)
"""


def offered(line: str) -> set[str]:
    """What jedi offers at the end of a line, without names of Python's own."""
    jedi = pytest.importorskip("jedi", reason="needs the extra test")
    script = jedi.Script(PROGRAM + line)
    names = {c.name for c in script.complete(PROGRAM.count("\n") + 1, len(line))}
    return {name for name in names if not name.startswith("_")}


def test_after_mg_come_its_names_and_modules() -> None:
    names = offered("mg.")
    assert names >= set(mg.__all__)
    others = names - set(mg.__all__)
    assert {name for name in others if find_spec(f"minigrad.{name}") is None} == set()


def test_what_is_not_among_its_names_is_not_there_and_says_what_to_write() -> None:
    public = {name for name, value in vars(mg).items() if not inspect.ismodule(value)}
    assert {name for name in public if not name.startswith("_")} <= set(mg.__all__)
    for name in ops.differentiable.keys() - set(mg.__all__):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'; write .") as caught:
            getattr(mg, name)
        remedy = str(caught.value).partition("; write ")[2]
        for path in re.findall(r"np\.([\w.]+)", remedy):
            if "later NumPy" not in remedy:
                assert attrgetter(path)(np) in protocol.table, remedy


def test_a_function_of_a_later_numpy_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(np, "matvec", raising=False)
    with pytest.raises(AttributeError, match="write np.matvec, which a later NumPy has"):
        mg.matvec  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "call",
    [
        *("mg.tanh(t)", "mg.sigmoid(t)", "mg.sum(t, 0)", "mg.where(t > 0, t, t)", "mg.gelu(t)"),
        *("mg.matmul(t, t)", "mg.concatenate([t, t])", "mg.std(t)", "mg.einsum('i->', t)"),
        *("mg.split(t, 1)[0]", "mg.unstack(t)[0]", "mg.maximum(t, 0)", "mg.log(t)", "t[0]"),
    ],
)
def test_an_editor_knows_that_operations_give_tensors(call: str) -> None:
    assert offered(f"{call}.") == offered("t.")


def test_after_a_tensor_come_its_attributes_with_their_results() -> None:
    names = offered("t.")
    assert names <= set(dir(mg.Tensor))
    assert names >= {"backward", "data", "detach", "grad", "mean", "reshape", "sum", "T", "tanh"}
    assert offered("(t + t).mean().") == names
    assert offered("t.reshape(1, 1).T.") == names


def test_after_a_graph_come_its_attributes() -> None:
    names = offered("graph.")
    assert names >= {"backward", "clip_edges", "gradient_flow", "nodes", "render", "truncate"}
    graph = mg.Graph(mg.tensor(1.0, requires_grad=True) * 2)
    assert {name for name in names if not hasattr(graph, name)} == set()


def test_dir_fits_a_screen() -> None:
    assert dir(mg) == sorted(mg.__all__)
    assert 80 <= len(dir(mg)) <= 110


@pytest.mark.parametrize("name", mg.__all__)
def test_every_name_is_what_it_says(name: str) -> None:
    value = getattr(mg, name)
    assert getattr(value, "__name__", name) in (name, "absolute")


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (mg.tanh, "tanh(x)"),
        (mg.matmul, "matmul(a, b)"),
        (mg.softmax, "softmax(x, axis=-1)"),
        (mg.sum, "sum(a, axis=None, dtype=None, keepdims=False, initial=None, where=True)"),
        (mg.split, "split(ary, indices_or_sections, axis=0)"),
        (mg.argmax, "argmax(a, axis=None, keepdims=False)"),
        (mg.clip, "clip(a, a_min=None, a_max=None, *, min=None, max=None)"),
    ],
)
def test_help_reads_like_that_of_a_function(function: mg.Primitive, signature: str) -> None:
    text = pydoc.render_doc(function, renderer=pydoc.plaintext).splitlines()
    assert text[2] == signature
    assert text[3].startswith("    ")
    assert len(text[3]) > 20
    assert f"{function.__name__}{inspect.signature(function)}" == signature


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: mg.split(), "split() missing 2 required positional arguments: 'ary'"),
        (lambda t: mg.sum(t, axes=0), "sum() got an unexpected keyword argument 'axes'"),
        (lambda t: mg.tanh(t, t), "tanh: too many positional arguments (2); it takes (x)"),
    ],
)
def test_errors_show_no_inner_name(call, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        call(mg.tensor([1.0]))
    assert str(caught.value).startswith(message)
