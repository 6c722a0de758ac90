"""The checkup of a graph: each suspicious thing is found, and its healthy twin is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.checkup import checkup
from minigrad.survey import Checkup

T, B, D, H = 7, 3, 2, 4
Pair = tuple[Callable[[], Checkup], Callable[[], Checkup]]


def data(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def loss_of(y: mg.Tensor) -> mg.Graph:
    return mg.Graph((y**2).mean())


class SeqToSeq(nn.Module):
    def __init__(self) -> None:
        self.encoder, self.decoder = nn.GRU(D, H), nn.Unroll(nn.GRUCell(D, H))

    def forward(self, x: np.ndarray, cut: bool) -> mg.Tensor:
        _, state = self.encoder(x)
        h = state[0].detach() if cut else state[0]
        return self.decoder(x, h)[0]


def reached(cut: bool) -> Checkup:
    net = SeqToSeq()
    return loss_of(net(data(T, B, D), cut)).checkup(net)


def gate(bias: float) -> Checkup:
    net = nn.LSTM(D, H)
    b = net.l0.b_h.data.copy()
    b[H : 2 * H] = bias
    net.l0.b_h.data = b
    return loss_of(net(data(T, B, D))[0]).checkup()


def relu(bias: float) -> Checkup:
    net = nn.RNN(D, H, nonlinearity="relu")
    net.l0.b_h.data = net.l0.b_h.data + bias
    return loss_of(net(data(T, B, D))[0][-1] + 1.0).checkup()


def steps(read: slice) -> Checkup:
    y, _ = nn.GRU(D, H)(data(T, B, D))
    return loss_of(y[read]).checkup()


def layers(tied: bool) -> Checkup:
    cells = [nn.RNNCell(H, H)] * 3 if tied else [nn.RNNCell(H, H) for _ in range(3)]
    return loss_of(nn.Unroll(nn.Stacked(cells))(data(T, B, H))[0]).checkup()


def directions(tied: bool) -> Checkup:
    one = nn.GRUCell(D, H)
    other = one if tied else nn.GRUCell(D, H)
    return loss_of(nn.Bidirectional(one, other)(data(T, B, D))[0]).checkup()


def softmax(axis: int) -> Checkup:
    head = nn.Linear(H, 5)
    y, _ = nn.GRU(D, H)(data(T, B, D))
    p = mg.softmax(head(y[-1]), axis=axis)
    return mg.Graph(-np.log(p[:, 0]).mean()).checkup()


def log_softmax(axis: int) -> Checkup:
    head = nn.Linear(H, 5)
    y, _ = nn.GRU(D, H)(data(T, B, D))
    return mg.Graph(-mg.log_softmax(head(y), axis=axis)[..., 0].mean()).checkup()


def padding(reads_last: bool) -> Checkup:
    lengths = [T, 3, 4]
    y, h = nn.GRU(D, H)(data(T, B, D), lengths=lengths)
    return loss_of(y[-1] + 1.0 if reads_last else h).checkup()


@mg.primitive
def bent(x):
    return x / (1 + np.abs(x))


@bent.gradient
def bent_dx(dy, y, x):
    return dy / (1 + np.abs(x)) ** 2


@mg.primitive
def wrong(x):
    return 1 / (1 + np.exp(-x))


@wrong.gradient
def wrong_dx(dy, y, x):
    return -dy * y * (1 - y)


def rule(function: Callable[[mg.Tensor], mg.Tensor], at: float) -> Checkup:
    x = mg.tensor(np.full(3, at), requires_grad=True)
    return mg.Graph(function(x).sum()).checkup()


def windows(detached: bool) -> Checkup:
    net = nn.GRU(D, H)
    y, state = net(data(T, B, D))
    (y**2).mean().backward()
    y, _ = net(data(T, B, D), nn.detach_state(state) if detached else state)
    return loss_of(y).checkup()


def dtypes(dtype: type) -> Checkup:
    w = mg.tensor(np.eye(H, dtype=np.float32), requires_grad=True, name="w")
    h = mg.tensor(np.arange(B * H).reshape(B, H).astype(dtype), requires_grad=True, name="h_init")
    for t in range(3):
        with mg.time_step(t):
            h = np.tanh(h @ w)
    return loss_of(h).checkup()


def finite(x: float) -> Checkup:
    w = mg.tensor([x, 1.0], requires_grad=True, name="w")
    with np.errstate(all="ignore"):
        return mg.Graph((np.log(w * 2) * 0.5).sum()).checkup()


PAIRS: dict[str, tuple[str, Callable[[], Checkup], str, Callable[[], Checkup]]] = {
    "a cut": (
        "not reached",
        lambda: reached(True),
        "no gradient reaches encoder.*; cut at minigrad/test_checkup.py:33  "
        "h = state[0].detach() if cut else state[0]",
        lambda: reached(False),
    ),
    "a shut gate": (
        "saturated",
        lambda: gate(-10),
        "f of LSTM.l0 is shut (< 0.01) in 100 %",
        lambda: gate(1),
    ),
    "dead units": (
        "saturated",
        lambda: relu(-50),
        "h of RNN.l0 is dead (0) in 100 %",
        lambda: relu(0.5),
    ),
    "a gradient that dies": (
        "gradient dies",
        lambda: relu(-50),
        "the gradient dies at t = 6 of axis l0 in relu",
        lambda: relu(0.5),
    ),
    "steps that are ignored": (
        "ignored",
        lambda: steps(slice(None, -3)),
        "the loss ignores t = 4 … 6 of axis l0",
        lambda: steps(slice(3, None)),
    ),
    "one cell for three layers": (
        "shared",
        lambda: layers(True),
        "used by 3 layers in each time step",
        lambda: layers(False),
    ),
    "one cell for two directions": (
        "shared",
        lambda: directions(True),
        "used on the axes",
        lambda: directions(False),
    ),
    "a softmax over the batch": (
        "softmax",
        lambda: softmax(0),
        "softmax over axis 0, which is the batch, of shape (3, 5)",
        lambda: softmax(-1),
    ),
    "a softmax over time": (
        "softmax",
        lambda: log_softmax(0),
        "softmax over axis 0, which is time, of shape (7, 3, 5)",
        lambda: log_softmax(-1),
    ),
    "padding": (
        "padding",
        lambda: padding(True),
        "reads padding, behind the length, of rows 1, 2 of the batch",
        lambda: padding(False),
    ),
    "a wrong rule": (
        "wrong rule",
        lambda: rule(wrong, 1.0),
        "wrong_dx DISAGREES",
        lambda: rule(bent, 1.0),
    ),
    "a wrong rule where it is flat": (
        "wrong rule",
        lambda: rule(wrong, 40.0),
        "wrong_dx DISAGREES",
        lambda: rule(bent, 1e6),
    ),
    "history of another loss": (
        "history",
        lambda: windows(False),
        "still carries the history of an earlier loss",
        lambda: windows(True),
    ),
    "two dtypes": (
        "two dtypes",
        lambda: dtypes(np.float64),
        "h_init (float64) and w (float32) meet in h @ w, which is float64",
        lambda: dtypes(np.float32),
    ),
    "a NaN": (
        "not finite",
        lambda: finite(-1.0),
        "the loss is NaN: first so is np.log(w * 2), of w * 2 in [-2, 2]",
        lambda: finite(1.0),
    ),
    "a zero under a logarithm": (
        "not finite",
        lambda: finite(0.0),
        "the loss is infinite: first so is np.log(w * 2), of w * 2 in [0, 2], 1 of 2 are 0",
        lambda: finite(2.0),
    ),
}


@pytest.mark.filterwarnings("ignore:this backward pass walks again")
@pytest.mark.parametrize("name", PAIRS)
def test_what_is_suspicious_is_found_with_its_evidence(name: str) -> None:
    mg.seed(0)
    kind, bad, text, _ = PAIRS[name]
    found = bad().of(kind)
    assert len(found) == 1, bad()
    assert text in found[0].text
    assert "test_checkup.py" in str(found[0]) or kind == "shared"


@pytest.mark.parametrize("name", PAIRS)
def test_where_all_is_well_nothing_is_found(name: str) -> None:
    mg.seed(0)
    good = PAIRS[name][3]()
    assert good == ()
    assert str(good) == "nothing suspicious was found"


def test_parameters_are_those_of_the_callers_variables() -> None:
    net = SeqToSeq()
    graph = loss_of(net(data(T, B, D), True))
    assert graph.checkup().of("not reached")
    other = nn.Linear(2, 2)  # not reached at all: another network
    assert len(graph.checkup().of("not reached")) == 1
    assert other is not None


def test_an_optimiser_says_which_parameters_there_are() -> None:
    encoder, head = nn.GRU(D, H), nn.Linear(H, 1)
    y, _ = encoder(data(T, B, D))
    opt = nn.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
    found = mg.Graph((head(y.detach()) ** 2).mean()).checkup(opt).of("not reached")
    assert len(found) == 1
    assert "l0." in found[0].text


def test_a_cell_that_calls_one_function_several_times_in_a_step_is_well() -> None:
    class RungeKutta(nn.Cell):
        def __init__(self) -> None:
            self.state_size = H
            self.W = nn.Parameter(nn.init.orthogonal(H, H))
            self.U = nn.Parameter(nn.init.glorot(D, H))

        def slope(self, x: mg.Tensor, h: mg.Tensor) -> mg.Tensor:
            return np.tanh(x @ self.U + h @ self.W)

        def forward(self, x: mg.Tensor, h_prev: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
            k1 = self.slope(x, h_prev)
            k2 = self.slope(x, h_prev + 0.5 * k1)
            h = h_prev + 0.2 * k2
            return h, h

    net = nn.Unroll(nn.Stacked([RungeKutta(), nn.RNNCell(H, H)]))
    assert loss_of(net(data(T, B, D))[0]).checkup() == ()


def test_pooling_over_time_and_masked_attention_are_well() -> None:
    net, score = nn.GRU(D, H), nn.Linear(H, 1)
    y, _ = net(data(T, B, D), lengths=[T, 3, 4])
    weights = mg.softmax(score(y), axis=0)
    assert loss_of((weights * y).sum(axis=0)).checkup() == ()
    assert loss_of(y.sum(axis=0)).checkup() == ()


def test_hooks_are_run_once_and_no_gradient_is_written() -> None:
    calls = []
    w = mg.tensor(2.0, requires_grad=True, name="w")
    y = w * 3
    y.register_hook(calls.append)
    assert mg.Graph(y * y).checkup() == ()
    assert len(calls) == 1
    assert checkup(mg.Graph(y * y), careful=True) == ()
    assert len(calls) == 1
    assert w.grad is None


def test_a_rule_that_raises_is_told() -> None:
    @mg.primitive
    def brittle(x):
        return x * 1

    @brittle.gradient
    def brittle_dx(dy, y, x):
        return dy[5, 5]

    w = mg.tensor(1.0, requires_grad=True)
    found = mg.Graph(brittle(w * 2)).checkup()
    assert "the backward pass raises IndexError" in str(found)
