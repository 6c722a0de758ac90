"""What an editor offers after a dot: public names and modules, and nothing that was only imported."""

from __future__ import annotations

import inspect
import pydoc
from importlib.util import find_spec

import pytest

import minigrad as mg

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
