"""NumPy's own functions called on tensors: found by name, refused by name, nothing drops out of the graph."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops import protocol
from minigrad.ops.protocol import table


def leaf(*shape, dtype=np.float64):
    return mg.tensor(
        np.arange(1.0, np.prod(shape) + 1).reshape(shape).astype(dtype), requires_grad=True
    )


def test_aliases_of_numpy_find_the_same_function():
    for a, b in [
        ("abs", "absolute"),
        ("concat", "concatenate"),
        ("pow", "power"),
        ("acos", "arccos"),
        ("amax", "max"),
    ]:
        assert table[getattr(np, a)] is table[getattr(np, b)]
    x = leaf(2, 3)
    np.testing.assert_array_equal(np.amax(x, axis=1).data, [3, 6])
    assert table[np.linalg.vecdot] is table[np.vecdot]
    assert table[np.linalg.trace] is not table[np.trace]  # it takes other axes
    assert np.linalg.matrix_rank(x) == 2
    assert np.imag(x).sum() == 0
    np.testing.assert_array_equal(np.permute_dims(x, (1, 0)).data, x.data.T)


def test_arguments_may_come_by_position_or_by_name_as_numpy_has_them():
    x = leaf(2, 3)
    assert np.sum(a=x, axis=0).shape == (3,)
    assert np.sum(x, 0, None, None, True).shape == (1, 3)
    assert np.sum(x, 0, np.float32).dtype == np.float32
    assert np.mean(x, axis=1, dtype=np.float32, keepdims=True).dtype == np.float32
    assert np.reshape(x, (3, 2), "C").shape == (3, 2)
    assert np.clip(x, 2, 4).data.max() == 4
    assert np.clip(x, a_min=None, a_max=2).data.max() == 2
    assert np.einsum("ij->i", x, optimize=True).shape == (2,)
    assert np.concatenate((x, x), 1).shape == (2, 6)
    assert np.take(x, mg.tensor([0, 2], dtype=np.int64), 1).shape == (2, 2)
    assert [part.shape for part in np.split(x, np.int64(3), 1)] == [(2, 1)] * 3
    assert np.tile(x, np.int64(2)).shape == (2, 6)
    assert np.transpose(x, axes=(1, 0)).shape == (3, 2)


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.1.0", reason="new in NumPy 2.1")
def test_names_that_numpy_gave_to_parameters_later():
    x = leaf(2, 3)
    assert np.clip(x, max=2).data.max() == 2
    assert np.reshape(x, shape=(3, 2)).shape == (3, 2)


def test_methods_of_arrays_are_methods_of_tensors():
    x = leaf(2, 3)
    assert x.sum(axis=0).shape == (3,)
    assert x.sum(0).shape == (3,)
    assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == (3, 2)
    assert x.transpose(1, 0).shape == x.transpose().shape == (3, 2)
    assert x.astype(np.float32).dtype == np.float32
    assert x.astype(int).requires_grad is False
    assert x.argmax(axis=1).data.tolist() == [2, 2]
    assert x.flatten().shape == (6,)
    assert x.copy().requires_grad
    assert not hasattr(x, "sort")  # an array's sort is in place
    assert x.round(1).shape == (2, 3)
    assert x.var(axis=1, ddof=1).data.tolist() == [1.0, 1.0]
    assert x.swapaxes(0, 1).ravel().clip(2, 3).max().item() == 3


def test_results_without_a_derivative_have_no_history():
    x = leaf(2, 3)
    for y in (
        x > 2,
        np.isfinite(x),
        np.argmax(x, 0),
        np.argsort(x),
        x == x,
        np.any(x > 5),
        np.searchsorted(x[0], x[1]),
    ):
        assert isinstance(y, mg.Tensor)
        assert not y.requires_grad
        assert y.is_leaf
    assert np.shape(x) == (2, 3)
    assert np.ndim(x) == 2
    assert np.size(x) == 6
    assert np.allclose(x, x.data)
    assert np.array_equal(x, x)
    assert isinstance(np.zeros_like(x), np.ndarray)
    assert np.full_like(x, 0.5).tolist() == [[0.5] * 3] * 2
    assert np.count_nonzero(x > 2) == 4


def test_an_array_on_the_left_gives_a_tensor():
    x = leaf(3)
    a = np.ones(3)
    for y in (
        a + x,
        a * x,
        a @ x,
        a - x,
        a / x,
        a**x,
        np.float64(2) * x,
        np.outer(a, x),
        np.dot([1.0, 2.0, 3.0], x),
    ):
        assert isinstance(y, mg.Tensor)
        assert y.requires_grad


def test_a_number_beyond_the_default_dtype_keeps_its_value():
    assert (leaf(1) * 1e300).item() == 1e300
    assert np.where(leaf(2) > 1, leaf(2), -np.inf).data.tolist() == [-np.inf, 2]


def test_a_list_neither_widens_nor_loses_digits():
    assert np.add(leaf(2, dtype=np.float32), [0.1, 0.2]).dtype == np.float32
    assert (leaf(2) * [0.1, 0.2]).data.tolist() == [0.1, 0.4]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda x: np.fft.fft(x),
            ["np.fft.fft", "float64 (2, 3)", "no gradient rule", "mg.primitive", "t.data"],
        ),
        (lambda x: np.linalg.eig(x.T @ x), ["np.linalg.eig", "(3, 3)", "np.linalg.eigh(t)"]),
        (lambda x: np.lib.stride_tricks.as_strided(x), ["sliding_window_view"]),
        (lambda x: np.linalg.svd(x, hermitian=True), ["np.linalg.svd", "hermitian"]),
        (lambda x: np.subtract.reduce(x), ["np.subtract.reduce", "no gradient rule"]),
        (lambda x: np.hypot.accumulate(x), ["np.hypot.accumulate", "no gradient rule"]),
        (lambda x: np.add.accumulate(x, dtype=float), ["np.add.accumulate", "dtype", "axis"]),
        (lambda x: np.add.reduce(x, out=np.zeros(3)), ["np.add.reduce", "out="]),
        (lambda x: np.add.at(x, [0], 1.0), ["np.add.at", "np.stack"]),
        (lambda x: np.arctan2.outer(x, x, where=True), ["np.arctan2.outer"]),
        (lambda x: np.apply_along_axis(np.sum, 0, x), ["np.apply_along_axis"]),
        (lambda x: np.nextafter(x, x), ["np.nextafter", "float64 (2, 3), float64 (2, 3)"]),
        (lambda x: np.add.reduceat(x, [0]), ["np.add.reduceat"]),
        (lambda x: np.sum(x, out=np.zeros(())), ["np.sum", "out=", "use the result"]),
        (lambda x: np.add(x, 1, out=np.zeros((2, 3))), ["np.add", "out=", "a = a + t"]),
        (lambda x: np.zeros((2, 3)).__iadd__(x), ["np.add", "out="]),
        (lambda x: np.add(x, 1, where=x.data > 1), ["np.add", "where"]),
        (lambda x: np.tanh(x, dtype=np.float32), ["np.tanh", "dtype"]),
        (lambda x: np.reshape(x, (3, 2), order="F"), ["np.reshape", "order", "supported", "shape"]),
        (lambda x: mg.mean(x, ddof=1), ["mean", "ddof"]),
        (lambda x: mg.mean(x, ddof=1, where=x > 1), ["mean", "ddof"]),
        (lambda x: np.take_along_axis(x, x, 0), ["requires grad"]),
        (lambda x: np.repeat(x, x.sum()), ["requires grad"]),
        (lambda x: np.linalg.norm(x, 0), ["norm", "ord=0"]),
        (lambda x: np.einsum(x, x), ["einsum", "'ij,jk->ik'", "[0, 1]"]),
        (lambda x: x * (1 + 2j), ["multiply", "complex", "real"]),
        (lambda x: np.add(x, "a"), ["add", "str"]),
        (lambda x: x.astype(complex), ["complex"]),
    ],
)
def test_refusals_say_what_was_found_and_what_to_do(call, words):
    x = leaf(2, 3)
    before = x.data.copy()
    with pytest.raises(TypeError) as caught:
        call(x)
    for word in words:
        assert word in str(caught.value)
    np.testing.assert_array_equal(x.data, before)


def test_a_refusal_names_the_line_that_called():
    with pytest.raises(TypeError, match=r"test_protocol\.py:\d+"):
        np.fft.fft(leaf(3))


def test_shape_errors_name_the_operation_and_the_shapes():
    with pytest.raises(ValueError, match="matmul") as caught:
        leaf(2, 3) @ leaf(2, 3)
    assert "in matmul(a (2, 3), b (2, 3))" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="array_split"):
        np.split(leaf(5), 2)
    with pytest.raises(ValueError, match="2 terms for 1 operands"):
        np.einsum("ij,jk", leaf(2, 2))
    with pytest.raises(ValueError, match="length 3"):
        np.cross(leaf(2, 2), leaf(2, 2))


def test_work_of_split_and_unstack_is_one_rule_call_for_all_outputs():
    for parts in (lambda x: mg.unstack(x), lambda x: np.split(x, 50)):
        x = leaf(50, 2)
        total = sum(part.sum() for part in parts(x))
        steps = [
            step
            for step in mg.Graph(total).backward_steps()
            if step.node.op.name in ("unstack", "split")
        ]
        assert len(steps) == 50
        assert sum(any(dx is not None for dx in step.input_grads) for step in steps) == 1


def test_names_of_operations_are_those_of_numpy():
    x = leaf(2, 3)
    made = {
        "clip": np.clip(x, 0, 1),
        "split": np.split(x, 2)[0],
        "pad": np.pad(x, 1),
        "astype": x.astype(np.float32),
        "einsum": np.einsum("ij->j", x),
        "concatenate": np.concatenate([x, x]),
        "norm": np.linalg.norm(x),
        "sum": np.sum(x),
        "reshape": x.reshape(-1),
    }
    assert {name: y.op.name for name, y in made.items()} == {name: name for name in made}


def test_functions_whose_parameters_an_older_numpy_does_not_tell(monkeypatch):
    known = protocol.parameters

    def untold(function):
        return {} if function is np.concatenate else known(function)

    monkeypatch.setattr(protocol, "parameters", untold)
    monkeypatch.setattr(protocol, "direct_calls", set())
    protocol.agreement.cache_clear()
    x = leaf(2, 3)
    assert np.concatenate([x, x], 1).shape == (2, 6)
    assert np.concatenate([x, x], axis=-1).shape == (2, 6)
    with pytest.raises(TypeError, match="out= would change"):
        np.concatenate([x, x], axis=1, out=np.zeros((2, 6)))
    protocol.agreement.cache_clear()
