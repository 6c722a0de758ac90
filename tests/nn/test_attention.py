"""Attention of three kinds against NumPy, masks, gradients, bad input."""

import numpy as np
import pytest

import minigrad as mg
import nn

RNG = np.random.default_rng(0)
S, B, Q, K, V = 5, 3, 4, 6, 2
KEYS, VALUES, QUERY = (
    RNG.standard_normal((S, B, K)),
    RNG.standard_normal((S, B, V)),
    RNG.standard_normal((B, Q)),
)


def kinds():
    return {
        "dot": (nn.DotAttention(), lambda m, q, k: (q * k[..., :Q]).sum(-1) / 2),
        "plain dot": (nn.DotAttention(scaled=False), lambda m, q, k: (q * k[..., :Q]).sum(-1)),
        "general": (nn.GeneralAttention(Q, K, rng=0), lambda m, q, k: ((q @ m.W.data) * k).sum(-1)),
        "additive": (
            nn.AdditiveAttention(Q, K, 7, rng=0),
            lambda m, q, k: np.tanh(q @ m.W.data + k @ m.U.data) @ m.v.data,
        ),
    }


def keys_for(name):
    return KEYS[..., :Q] if "dot" in name else KEYS


@pytest.mark.parametrize("name", kinds())
def test_the_scores_are_the_formula_and_the_weights_their_softmax(name):
    mg.set_default_dtype(np.float64)
    module, formula = kinds()[name]
    context, weights = module(QUERY, keys_for(name), VALUES)
    e = formula(module, QUERY, KEYS)
    wanted = np.exp(e) / np.exp(e).sum(axis=0)
    np.testing.assert_allclose(weights.data, wanted, atol=1e-12)
    np.testing.assert_allclose(context.data, (wanted[..., None] * VALUES).sum(axis=0), atol=1e-12)
    own, _ = module(QUERY, keys_for(name))
    assert own.shape == (B, keys_for(name).shape[-1])


@pytest.mark.parametrize("name", kinds())
def test_many_queries_at_once_are_each_alone(name):
    mg.set_default_dtype(np.float64)
    module, _ = kinds()[name]
    queries = RNG.standard_normal((4, B, Q))
    mask = nn.lengths_mask([5, 1, 3], S)
    context, weights = module(queries, keys_for(name), VALUES, mask=mask)
    assert context.shape, weights.shape == ((4, B, V), (4, S, B))
    for t in range(4):
        one, w = module(queries[t], keys_for(name), VALUES, mask=mask)
        np.testing.assert_allclose(context.data[t], one.data, atol=1e-12)
        np.testing.assert_allclose(weights.data[t], w.data, atol=1e-12)


@pytest.mark.parametrize("name", kinds())
def test_what_is_masked_has_no_weight_and_gradients_are_right(name):
    module, _ = kinds()[name]
    mask = nn.lengths_mask([5, 1, 3], S)
    _, weights = module(QUERY, keys_for(name), VALUES, mask=mask)
    assert not weights.data[~mask].any()
    np.testing.assert_allclose(weights.data.sum(axis=0), 1, atol=1e-6)
    assert mg.gradcheck(lambda q, k, v: module(q, k, v, mask=mask), (QUERY, keys_for(name), VALUES))
    if module.parameters():
        q, k, v = (mg.tensor(a) for a in (QUERY, keys_for(name), VALUES))
        assert mg.gradcheck(lambda: module(q, k, v, mask=mask), module)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m: m(QUERY, KEYS), "same size"),
        (lambda m: m(QUERY[:2], KEYS), r"found \(2, 4\) and \(5, 3, 6\)"),
        (lambda m: m(QUERY, KEYS[..., :Q], VALUES[:4]), "differ in S or B"),
        (
            lambda m: m(QUERY, KEYS[..., :Q], mask=np.ones((B, S), bool)),
            r"bool of shape \(S, B\) = \(5, 3\)",
        ),
        (lambda m: m(QUERY, KEYS[..., :Q], mask=np.ones((S, B))), "found float64"),
        (
            lambda m: m(QUERY, KEYS[..., :Q], mask=np.arange(S)[:, None] < [1, 0, 2]),
            "row 1 of the mask allows no step",
        ),
    ],
)
def test_bad_input_is_named(call, text):
    with pytest.raises(ValueError, match=text):
        call(nn.DotAttention())
