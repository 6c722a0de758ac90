"""What a cell prepares once for a sequence: derived weights, memories, hoisted products."""

import numpy as np
import pytest

import minigrad as mg
import nn

RNG = np.random.default_rng(0)
XS = RNG.standard_normal((5, 2, 3)).astype(np.float32)


class Attentive(nn.Cell):
    """h = tanh(x W + h_prev U + context), context from a memory that is projected once"""

    def __init__(self, D=3, H=4, M=2):
        self.input_size, self.state_size = D, H
        self.W = nn.Parameter(nn.init.glorot(D, H))
        self.U = nn.Parameter(nn.init.orthogonal(H, H))
        self.V = nn.Parameter(nn.init.glorot(M, H))
        self.calls = []

    def prepare(self, xs, memory):
        self.calls.append(None if xs is None else xs.shape)
        return memory @ self.V

    def forward(self, x, h_prev, keys):
        scores = (h_prev * keys).sum(axis=-1)
        weights = mg.softmax(scores, axis=0)
        h = np.tanh(x @ self.W + h_prev @ self.U + (weights[..., None] * keys).sum(axis=0))
        return h, h


class Scaled(nn.Cell):
    """h = tanh(x W + h_prev U / ‖U‖), the norm computed once"""

    def __init__(self, D=3, H=4):
        self.input_size, self.state_size = D, H
        self.W = nn.Parameter(nn.init.glorot(D, H))
        self.U = nn.Parameter(nn.init.orthogonal(H, H))

    def prepare(self, xs):
        return self.U / np.linalg.norm(self.U)

    def forward(self, x, h_prev, U):
        h = np.tanh(x @ self.W + h_prev @ U)
        return h, h


MEMORY = RNG.standard_normal((6, 2, 2)).astype(np.float32)


def test_it_runs_once_outside_of_time():
    cell = Attentive()
    y, _ = nn.Unroll(cell)(XS, memory=MEMORY)
    assert cell.calls == [(5, 2, 3)]
    graph = mg.Graph(y.sum())
    projections = [n for n in graph.find(op="matmul") if n.time is None]
    assert len(projections) == 1
    assert len(graph.users[projections[0]]) >= 5
    assert projections[0].scope == "Unroll.cell"
    assert len(graph.find(op="matmul")) == 1 + 2 * 5


def test_a_list_of_steps_and_no_context_are_the_same():
    cell = Scaled()
    y, _ = nn.Unroll(cell)(XS)
    np.testing.assert_array_equal(nn.Unroll(cell)(list(XS))[0].data, y.data)
    h = cell.initial_state(2)
    for x in XS:
        _, h = cell(x, h)
    np.testing.assert_allclose(h.data, y.data[-1], atol=1e-6)
    h = cell.initial_state(2)
    context = cell.prepare(None)
    for x in XS:
        _, h = cell(x, h, context)
    np.testing.assert_allclose(h.data, y.data[-1], atol=1e-6)


def test_each_step_gets_its_own_part_in_both_directions():
    class Hoisted(nn.Cell):
        def __init__(self):
            self.input_size, self.state_size = 3, 4
            self.W = nn.Parameter(nn.init.glorot(3, 4))
            self.U = nn.Parameter(nn.init.orthogonal(4, 4))

        def prepare(self, xs):
            return {"a": nn.each_step(xs @ self.W), "U": self.U * 1}

        def forward(self, x, h_prev, context):
            h = np.tanh(context["a"] + h_prev @ context["U"])
            return h, h

    cell, plain = Hoisted(), nn.RNNCell(3, 4, bias=False)
    plain.W_xh.data, plain.W_hh.data = cell.W.data, cell.U.data
    for options in ({}, {"reverse": True}, {"lengths": [5, 2]}):
        y, h = nn.Unroll(cell)(XS, **options)
        z, k = nn.Unroll(plain)(XS, **options)
        np.testing.assert_allclose(y.data, z.data, atol=1e-6)
        np.testing.assert_allclose(h.data, k.data, atol=1e-6)
    windows = [w.y.data for w in nn.tbptt(nn.Unroll(cell), XS, k1=2)]
    np.testing.assert_allclose(np.concatenate(windows), nn.Unroll(plain)(XS)[0].data, atol=1e-6)
    np.testing.assert_allclose(cell(XS[0])[0].data, plain(XS[0])[0].data, atol=1e-6)


def test_upper_layers_get_the_extras_but_no_sequence():
    cells = [Attentive(), nn.GRUCell(4, 4), Attentive(4, 4), Scaled(4, 2)]
    y, _ = nn.Unroll(nn.Stacked(cells))(XS, memory=MEMORY)
    assert y.shape == (5, 2, 2)
    assert (cells[0].calls, cells[2].calls) == ([(5, 2, 3)], [None])
    both, _ = nn.Bidirectional(Attentive(), nn.GRUCell(3, 4))(XS, memory=MEMORY)
    assert both.shape == (5, 2, 8)
    layers = nn.Stacked([nn.Unroll(Attentive()), nn.Unroll(nn.GRUCell(4, 4))])
    assert layers(XS, memory=MEMORY, lengths=[5, 3])[0].shape == (5, 2, 4)
    windows = list(nn.tbptt(nn.Unroll(Attentive()), XS, k1=2, memory=MEMORY))
    assert len(windows) == 3


@pytest.mark.parametrize(
    "wrap",
    [nn.Zoneout, nn.RecurrentDropout, nn.LearnedInitialState, lambda c: nn.Stacked([c])],
)
def test_wrappers_hand_the_context_on(wrap):
    cell = Attentive()
    wrapped = wrap(cell).eval()
    y, _ = nn.Unroll(wrapped)(XS, memory=MEMORY)
    if wrap is not nn.Zoneout:
        np.testing.assert_array_equal(y.data, nn.Unroll(cell)(XS, memory=MEMORY)[0].data)
    assert y.shape == (5, 2, 4)
    assert nn.Unroll(nn.Residual(Scaled(3, 3)))(XS)[0].shape == (5, 2, 3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: nn.Unroll(nn.RNNCell(3, 4))(XS, memory=1), "RNNCell has no prepare.xs, ...., so"),
        (lambda: nn.Unroll(Scaled())(XS, memory=1), "Scaled.prepare takes no 'memory'"),
        (
            lambda: nn.Unroll(Attentive())(XS, memory=MEMORY, menory=1),
            "Attentive.prepare takes no 'menory'; its signature names memory",
        ),
        (
            lambda: nn.Unroll(nn.Stacked([nn.RNNCell(3, 4), Scaled(4, 4)]))(XS, memory=1),
            "takes no 'memory'",
        ),
        (
            lambda: nn.Bidirectional(nn.RNNCell(3, 4), nn.RNNCell(3, 4))(XS, memory=1),
            "no cell's prepare takes 'memory'",
        ),
        (
            lambda: nn.Stacked([nn.Unroll(Scaled())])(XS, memory=1),
            "no cell's prepare takes 'memory'",
        ),
        (lambda: nn.Unroll(Attentive())(XS), "missing 1 required positional argument: 'memory'"),
    ],
)
def test_an_unknown_extra_is_refused(call, text):
    with pytest.raises(TypeError, match=text):
        call()


def test_gradients_flow_through_what_is_prepared():
    mg.set_default_dtype(np.float64)
    try:
        cell = Attentive()
        memory = mg.tensor(RNG.standard_normal((3, 2, 2)), requires_grad=True)
        xs = RNG.standard_normal((3, 2, 3))
        mg.gradcheck(lambda *_: nn.Unroll(cell)(xs, memory=memory)[0], [memory, cell.V, cell.U])
    finally:
        mg.set_default_dtype(np.float32)
