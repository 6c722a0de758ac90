from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops


def test_python_numbers_get_the_default_dtype_and_arrays_keep_theirs() -> None:
    assert mg.tensor(1.5).dtype == np.float32
    assert mg.tensor([1, 2]).dtype == np.float32
    assert mg.tensor(np.arange(2)).dtype == np.arange(2).dtype
    assert mg.tensor(np.float64(1)).dtype == np.float64
    assert mg.tensor([1, 2], dtype=np.float64).dtype == np.float64
    mg.set_default_dtype(np.float64)
    try:
        assert mg.tensor(1.5).dtype == mg.get_default_dtype() == np.float64
    finally:
        mg.set_default_dtype(np.float32)


def test_the_default_dtype_is_floating() -> None:
    with pytest.raises(TypeError, match="floating dtype is needed, found int64"):
        mg.set_default_dtype(np.int64)
    assert mg.get_default_dtype() == np.float32


@pytest.mark.parametrize("scalar", [2.5, 2, np.float64(2.5), np.int64(2), True])
def test_scalars_never_widen(scalar: object) -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    for y in (
        x * scalar,
        scalar * x,
        x + scalar,
        scalar - x,
        x / scalar,
        x**scalar,
        np.multiply(x, scalar),
    ):
        assert y.dtype == np.float32
        (dx,) = mg.grad(y, x, np.ones(2))
        assert dx is not None
        assert dx.dtype == np.float32


def test_numbers_that_are_joined_with_a_tensor_do_not_widen_it() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    for joined in (
        np.stack([x[0], 2.0]),
        mg.stack([x[0], np.float64(2), 1]),
        mg.concatenate([x, [3.0]]),
    ):
        assert joined.dtype == np.float32
        assert joined.requires_grad


@pytest.mark.parametrize("data", [np.arange(3), np.array([True]), np.arange(2, dtype=np.int8)])
def test_requiring_grad_of_a_non_float_raises(data: np.ndarray) -> None:
    with pytest.raises(TypeError, match=f"found dtype {data.dtype}"):
        mg.tensor(data, requires_grad=True)
    t = mg.tensor(data)
    with pytest.raises(TypeError, match="only floating tensors"):
        t.requires_grad = True
    assert not t.requires_grad


@pytest.mark.parametrize("data", ["text", None, 1j, np.array([1j]), [object()]])
def test_only_real_numbers_become_tensors(data: object) -> None:
    with pytest.raises(TypeError, match="a tensor holds real numbers"):
        mg.tensor(data)


def test_a_tensor_copies_its_data() -> None:
    array = np.zeros(3)
    t = mg.tensor(array)
    array[0] = 7
    assert t.data[0] == 0
    array.setflags(write=False)
    t = mg.tensor(array)
    array.setflags(write=True)
    array[0] = 8
    assert t.data[0] == 7


def test_an_operand_that_the_user_may_change_is_copied() -> None:
    array = np.array([2.0, 3.0])
    x = mg.tensor([1.0, 1.0], dtype=np.float64, requires_grad=True)
    y = x * array
    array[:] = 0
    (dx,) = mg.grad(y, x, np.ones(2))
    np.testing.assert_array_equal(dx.data, [2, 3])


def test_a_read_only_view_of_a_changing_array_is_copied() -> None:
    base = np.array([2.0, 3.0])
    view = base[:]
    view.setflags(write=False)
    t = mg.tensor(view)
    base[0] = 9
    assert t.data[0] == 2


@pytest.mark.parametrize(
    "make", [lambda x: x, lambda x: x * 2, lambda x: x[1:], lambda x: x.reshape(2, 2), np.tanh]
)
def test_arrays_are_read_only_for_life(make: object) -> None:
    y = make(mg.tensor(np.ones(4), requires_grad=True))  # type: ignore[operator]
    with pytest.raises(ValueError, match="read-only"):
        y.data[0] = 5
    with pytest.raises(ValueError, match="read-only"):
        y.numpy()[...] = 5


def test_assigning_to_an_element_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"write x = np\.where"):
        mg.tensor([1.0, 2.0])[0] = 3.0


def test_data_rebinds_with_shape_and_dtype_checked() -> None:
    w = mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    w.data = np.array([3.0, 4.0], np.float64)
    assert w.dtype == np.float32
    np.testing.assert_array_equal(w.data, [3, 4])
    with pytest.raises(ValueError, match=r"data of w: shape \(2,\) is needed, found \(3,\)"):
        w.data = np.zeros(3)
    np.testing.assert_array_equal(w.data, [3, 4])
    with pytest.raises(TypeError, match="real numbers"):
        w.data = np.array([1j, 2])
    with pytest.raises(ValueError, match=r"output of multiply; write t = t\.detach"):
        (w * 2).data = np.zeros(2)


def test_a_backward_after_an_optimiser_step_is_exact() -> None:
    w = mg.tensor(3.0, requires_grad=True)
    loss = w * w
    w.data = np.array(10.0)
    loss.backward()
    assert w.grad.item() == 6


def test_create_graph_through_a_rebound_input_raises_and_names_it() -> None:
    w = mg.tensor(3.0, requires_grad=True, name="W_hh")
    loss = w * w
    w.data = np.array(10.0)
    with pytest.raises(RuntimeError, match=r"input 'a' of multiply.*W_hh.*was rebound"):
        loss.backward(create_graph=True)
    assert w.grad is None


def test_updating_a_leaf_in_place_needs_no_grad() -> None:
    w = mg.tensor([1.0], requires_grad=True, name="W")
    (w * 3).sum().backward()
    with pytest.raises(ValueError, match=r"W -= .*write `with mg\.no_grad\(\): W -= \.\.\.`"):
        w -= 0.1 * w.grad
    same = w
    with mg.no_grad():
        w -= 0.1 * w.grad
    assert w is same
    np.testing.assert_allclose(w.data, [0.7], rtol=1e-6)
    with mg.no_grad():
        w += 1
        w *= 2
        w /= 4
    np.testing.assert_allclose(same.data, [0.85], rtol=1e-6)


def test_updating_anything_else_in_place_makes_a_new_tensor() -> None:
    x = mg.tensor([1.0], requires_grad=True)
    h = before = x * 2
    h += x
    assert h is not before
    assert before.item() == 2
    (dx,) = mg.grad(h, x)
    assert dx.item() == 3


def test_grad_is_assignable_from_an_array_and_checked() -> None:
    w = mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    w.grad = np.array([1.0, 2.0])
    assert isinstance(w.grad, mg.Tensor)
    assert w.grad.dtype == np.float32
    with pytest.raises(ValueError, match=r"grad of w: shape \(2,\) is needed, found \(3,\)"):
        w.grad = np.zeros(3)
    w.grad = mg.tensor(np.ones(2))
    assert w.grad.dtype == np.float32
    w.grad = None
    assert w.grad is None


def test_requires_grad_of_an_output_cannot_be_changed() -> None:
    y = mg.tensor(1.0, requires_grad=True) * 2
    with pytest.raises(ValueError, match=r"output of multiply cannot be changed; use t\.detach"):
        y.requires_grad = False


def test_asarray_works_only_where_nothing_is_lost() -> None:
    np.testing.assert_array_equal(np.asarray(mg.tensor([1.0, 2.0])), [1, 2])
    assert np.asarray(mg.tensor([1.0]), np.float64).dtype == np.float64
    with pytest.raises(
        TypeError,
        match=r"drop out of the graph unnoticed; write np\.stack.*; t\.detach\(\) or t\.data",
    ):
        np.asarray(mg.tensor([1.0], requires_grad=True))


def test_a_masked_array_does_not_take_a_tensor_out_of_the_graph() -> None:
    x = mg.tensor(np.ones((2, 2)), requires_grad=True)
    masked = np.ma.array(np.ones((2, 2)), mask=[[1, 0], [0, 1]])
    with pytest.raises(TypeError, match="drop out of the graph unnoticed"):
        masked * x


def test_a_tensor_of_a_tensor_does_not_lose_a_history_unnoticed() -> None:
    x = mg.tensor([1.0], requires_grad=True)
    assert mg.tensor(x.detach()).item() == 1
    for data in (x, x * 2, [x]):
        with pytest.raises(TypeError, match=r"write np\.stack\(list\).*t\.detach"):
            mg.tensor(data)


def test_detach_is_a_leaf_on_the_same_array() -> None:
    h = mg.tensor([1.0], requires_grad=True) * 2
    d = h.detach()
    assert d.is_leaf
    assert not d.requires_grad
    assert d._array is h._array


def test_comparisons_and_integers_have_no_history() -> None:
    x = mg.tensor([1.0, -1.0], requires_grad=True)
    for y in (
        x > 0,
        x <= 0,
        x == 1,
        x != 1,
        np.argmax(x),
        x.argmin(),
        np.isfinite(x),
        ~(x > 0),
        (x > 0) & (x < 1),
    ):
        assert isinstance(y, mg.Tensor | np.ndarray | np.generic)
        if isinstance(y, mg.Tensor):
            assert y.is_leaf
            assert not y.requires_grad


def test_python_protocols() -> None:
    t = mg.tensor([1.0, 2.0, 3.0])
    assert len(t) == 3
    assert [x.item() for x in t] == [1, 2, 3]
    assert float(t[1]) == 2.0
    assert int(t[2]) == 3
    assert bool(t[0] > 0)
    assert f"{t[1]:.3f}" == "2.000"
    assert t.tolist() == [1, 2, 3]
    assert list(range(5))[mg.tensor(np.array(2))] == 2
    assert {t: 1}[t] == 1
    with pytest.raises(TypeError, match="0-d"):
        len(t[0])
    with pytest.raises(TypeError, match="0-d"):
        iter(t[0])
    with pytest.raises(AttributeError, match="no attribute 'sume'"):
        t.sume()


def test_every_method_that_an_array_has_too_is_a_method_of_tensors() -> None:
    x = mg.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    only_raises = {"ptp"}  # in NumPy 2.0, and gone later
    in_place_or_else = {"compress", "partition", "resize", "sort"}
    named_alike = {name for name in ops.differentiable if hasattr(np.ndarray, name)}
    assert set(dir(mg.Tensor)) >= named_alike - in_place_or_else - only_raises
    assert x.sum(axis=0, keepdims=True).shape == (1, 3)
    assert (x.T.shape, x.reshape(3, 2).shape, x.mean(1).shape) == ((3, 2), (3, 2), (2,))


def test_attributes_are_slots_and_nothing_slows_them_down() -> None:
    assert not hasattr(
        mg.Tensor, "__getattr__"
    )  # with one, Python looks every attribute up the long way
    assert not hasattr(mg.tensor(1.0), "__dict__")


def test_a_tensor_keeps_the_digits_that_its_dtype_holds() -> None:
    w = mg.tensor(np.array([1.0, 2.0]), requires_grad=True)
    w.data = [0.1, 0.2]
    w.grad = [0.1, 0.2]
    assert w.data.tolist() == w.grad.tolist() == [0.1, 0.2]


def test_repr_is_short() -> None:
    assert repr(mg.tensor(0.108)) == "tensor(0.108)"
    assert (
        repr(mg.tensor(np.ones((50, 16, 32))))
        == "tensor(shape=(50, 16, 32), norm=160, dtype=float64)"
    )
    w = mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    assert repr(w) == "tensor([1., 2.], name='w', requires_grad=True)"
    assert repr(mg.tensor(np.array(123456789))) == "tensor(123456789, dtype=int64)"
    assert repr(mg.tensor(np.array(True))) == "tensor(True, dtype=bool)"
    assert repr(w * 2) == "tensor([2., 4.], op=multiply)"


def test_numpy_functions_and_mixed_operands_give_tensors() -> None:
    x = mg.tensor(np.array([[1.0, 2.0]]), requires_grad=True)
    a = np.array([[3.0], [4.0]])
    for y in (
        np.tanh(x),
        np.concatenate([x, x]),
        x @ a,
        a @ x,
        a + x,
        np.add(a, x),
        np.sum(x),
        np.stack([x, x], 1),
    ):
        assert isinstance(y, mg.Tensor)
        assert y.requires_grad


def test_a_numpy_function_without_a_rule_names_itself() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="fft"):
        np.fft.fft(x)
    with pytest.raises(TypeError, match=r"linalg\.eig"):
        np.linalg.eig(np.outer(x, x))


def test_hooks_see_and_replace_the_complete_gradient() -> None:
    x = mg.tensor(2.0, requires_grad=True)
    h = x * 3
    seen: list[float] = []
    first = h.register_hook(lambda g: seen.append(float(g)))
    second = h.register_hook(lambda g: g * 10)
    (h + h).backward()
    assert seen == [2.0]
    assert x.grad.item() == 60
    first.remove()
    second.remove()
    second.remove()
    x.grad = None
    (h + h).backward()
    assert seen == [2.0]
    assert x.grad.item() == 6


def test_hooks_of_leaves_and_their_errors() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    x.register_hook(lambda g: g * 2)
    x.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [2, 2])
    with pytest.raises(ValueError, match="does not require grad"):
        mg.tensor(1.0).register_hook(print)
    x.register_hook(lambda g: np.zeros(3))
    with pytest.raises(
        ValueError,
        match=r"gradient of shape \(2,\) is needed, found \(3,\), for a leaf, made in .*py:\d",
    ):
        x.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [2, 2])


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_of_a_wrong_shape_names_its_tensor_the_operation_the_step_and_the_line(
    create_graph: bool,
) -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with mg.time_step(3):
        h = np.tanh(x * 2)
    h.register_hook(lambda g: g[:1])
    with pytest.raises(
        ValueError, match=r"gradient of shape \(2,\) is needed, found \(1,\)"
    ) as caught:
        h.sum().backward(create_graph=create_graph)
    for part in (
        "for tanh((2,)) -> (2,) at t = 3 of axis time",
        "test_tensor.py:",
        "h = np.tanh(x * 2)",
    ):
        assert part in str(caught.value)
    assert x.grad is None


@pytest.mark.parametrize("kind", [np.array, list, mg.tensor, lambda i: (mg.tensor(i),)])
def test_an_index_may_be_array_list_or_tensor_and_is_kept_as_it_was(kind: object) -> None:
    x = mg.tensor(np.arange(3.0), requires_grad=True)
    index = np.array([0, 0, 1])
    y = x[kind(index)]  # type: ignore[operator]
    z = x[index]
    index[:] = 2
    for picked in (y, z):
        (dx,) = mg.grad(picked, x, np.array([1.0, 2.0, 3.0]))
        np.testing.assert_array_equal(dx.data, [3, 3, 0])


def test_a_notebook_shows_the_short_text() -> None:
    shown = mg.tensor(np.ones((50, 50)))._repr_mimebundle_(None, None)
    assert list(shown) == ["text/plain"]
    assert len(shown["text/plain"]) < 80


@pytest.mark.parametrize(
    ("dtype", "number"), [(np.int8, 300), (np.uint8, -1), (np.int64, np.nan), (np.int64, 1e30)]
)
def test_whole_numbers_out_of_range_are_refused(dtype, number):
    with pytest.raises(ValueError, match="does not have the number"):
        mg.tensor(number, dtype=dtype)
    x = mg.tensor(1, dtype=dtype)
    with pytest.raises(ValueError, match="data of tensor: .*int.* does not have the number"):
        x.data = number
    assert x.item() == 1


def test_data_of_whole_numbers_is_not_cut_off():
    x = mg.tensor(1, dtype=np.int64)
    with pytest.raises(ValueError, match=r"does not have the number 2\.7"):
        x.data = 2.7
    x.data = 2**53 + 1
    assert x.item() == 2**53 + 1
    assert mg.tensor(2.7, dtype=np.int64).item() == 2  # as NumPy does
