"""Over shapes drawn by Hypothesis: values are NumPy's, broadcasting is undone exactly, gradients are linear."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg

FLOATS = st.floats(-3, 3).map(lambda v: round(v, 3))
BINARY = [
    np.add,
    np.subtract,
    np.multiply,
    np.maximum,
    np.minimum,
    np.hypot,
    np.arctan2,
    np.logaddexp,
]
REDUCTIONS = [np.sum, np.mean, np.max, np.min, np.prod, np.var]
two_shapes = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3)
limited = settings(max_examples=60, deadline=None, derandomize=True)


def array(data, shape):
    return data.draw(hnp.arrays(np.float64, shape, elements=FLOATS))


@limited
@given(st.data(), two_shapes, st.sampled_from(BINARY))
def test_broadcasting_is_undone_for_both_inputs(data, shapes, f):
    a, b = (array(data, shape) for shape in shapes.input_shapes)
    x, z = mg.tensor(a, requires_grad=True), mg.tensor(b, requires_grad=True)
    y = f(x, z)
    np.testing.assert_array_equal(y.data, f(a, b))
    dy = array(data, shapes.result_shape)
    dx, dz = mg.grad(y, (x, z), dy)
    assert (dx.shape, dz.shape) == shapes.input_shapes
    wide = [
        mg.tensor(np.broadcast_to(v, shapes.result_shape).copy(), requires_grad=True)
        for v in (a, b)
    ]
    for small, large in zip((dx, dz), mg.grad(f(*wide), wide, dy), strict=True):
        extra = tuple(range(large.ndim - small.ndim))
        summed = large.data.sum(extra, keepdims=False) if extra else large.data
        stretched = tuple(
            k for k, (m, n) in enumerate(zip(small.shape, summed.shape, strict=True)) if m != n
        )
        np.testing.assert_allclose(
            small.data, summed.sum(stretched, keepdims=True), rtol=1e-12, atol=1e-12
        )


@limited
@given(
    st.data(),
    hnp.array_shapes(min_dims=0, max_dims=4, max_side=3),
    st.sampled_from(REDUCTIONS),
    st.booleans(),
)
def test_reductions_over_any_axes(data, shape, f, keepdims):
    a = array(data, shape)
    axis = data.draw(st.none() | hnp.valid_tuple_axes(a.ndim)) if a.ndim else None
    x = mg.tensor(a, requires_grad=True)
    y = f(x, axis=axis, keepdims=keepdims)
    expected = f(a, axis=axis, keepdims=keepdims)
    np.testing.assert_array_equal(y.data, expected)
    dy = array(data, expected.shape)
    (dx,) = mg.grad(y, x, dy)
    eps, v = 1e-6, array(data, shape)
    if f in (np.max, np.min):  # at a tie there is no slope to compare with, but all of dy arrives
        np.testing.assert_allclose(dx.data.sum(), dy.sum(), rtol=1e-9, atol=1e-9)
        return
    ahead, behind = (f(a + s * eps * v, axis=axis, keepdims=keepdims) for s in (1, -1))
    np.testing.assert_allclose(
        (dx.data * v).sum(), ((ahead - behind) * dy).sum() / (2 * eps), rtol=1e-5, atol=1e-5
    )


@limited
@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
def test_an_index_and_its_gradient(data, shape):
    a = array(data, shape)
    index = data.draw(
        hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True)
        | hnp.integer_array_indices(shape)
    )
    x = mg.tensor(a, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.data, a[index])
    (dx,) = mg.grad(y, x, np.ones(y.shape))
    count = np.zeros(shape)
    np.add.at(count, index, 1)
    np.testing.assert_array_equal(dx.data, count)


@limited
@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
def test_taking_apart_and_joining_is_the_identity(data, shape):
    a = array(data, shape)
    axis = data.draw(st.integers(-a.ndim, a.ndim - 1))
    x = mg.tensor(a, requires_grad=True)
    cuts = sorted(data.draw(st.lists(st.integers(0, shape[axis]), max_size=3)))
    dy = array(data, shape)
    for y in (np.concatenate(np.split(x, cuts, axis), axis), np.stack(mg.unstack(x, axis), axis)):
        np.testing.assert_array_equal(y.data, a)
        np.testing.assert_array_equal(mg.grad(y, x, dy)[0].data, dy)


@limited
@given(
    st.data(),
    hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3),
)
def test_matmul_of_any_shapes(data, shapes):
    a, b = (array(data, shape) for shape in shapes.input_shapes)
    x, z = mg.tensor(a, requires_grad=True), mg.tensor(b, requires_grad=True)
    y = x @ z
    np.testing.assert_allclose(y.data, a @ b)
    dy, va, vb = array(data, y.shape), array(data, a.shape), array(data, b.shape)
    dx, dz = mg.grad(y, (x, z), dy)
    directional = (dy * (va @ b + a @ vb)).sum()  # the product rule itself
    np.testing.assert_allclose(
        (dx.data * va).sum() + (dz.data * vb).sum(), directional, rtol=1e-9, atol=1e-9
    )


@limited
@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
def test_a_gradient_is_linear_in_what_arrives(data, shape):
    x = mg.tensor(array(data, shape), requires_grad=True)
    y = mg.softmax(np.tanh(x) * mg.sigmoid(x) + np.sort(x, 0), axis=-1)
    u, v = array(data, shape), array(data, shape)
    du, dv, both = (mg.grad(y, x, seed)[0].data for seed in (u, v, 2 * u - 3 * v))
    np.testing.assert_allclose(both, 2 * du - 3 * dv, rtol=1e-9, atol=1e-9)
