"""check_cell: good cells of every kind pass, and each broken promise is found and named."""

import numpy as np
import pytest

import minigrad as mg
import nn


class LeakyCell(nn.Cell):
    """a = σ(x W_xa + h_prev W_ha + b_a);  n = tanh(x W_xn + h_prev W_hn + b_n);  h = (1 − a) h_prev
    + a n
    """

    def __init__(self, D, H):
        self.state_size = H
        self.W_xa, self.W_ha = (
            nn.Parameter(nn.init.glorot(D, H)),
            nn.Parameter(nn.init.orthogonal(H, H)),
        )
        self.W_xn, self.W_hn = (
            nn.Parameter(nn.init.glorot(D, H)),
            nn.Parameter(nn.init.orthogonal(H, H)),
        )
        self.b_a, self.b_n = nn.Parameter(nn.init.zeros(H)), nn.Parameter(nn.init.zeros(H))

    def forward(self, x, h_prev):
        a = mg.sigmoid(x @ self.W_xa + h_prev @ self.W_ha + self.b_a)
        n = np.tanh(x @ self.W_xn + h_prev @ self.W_hn + self.b_n)
        h = (1 - a) * h_prev + a * n
        return h, h


CELLS = {
    "a user's": lambda: LeakyCell(3, 8),
    "RNN": lambda: nn.RNNCell(3, 4),
    "relu": lambda: nn.RNNCell(3, 4, nonlinearity="relu"),
    "LSTM": lambda: nn.LSTMCell(3, 4),
    "GRU": lambda: nn.GRUCell(3, 4),
    "stacked": lambda: nn.Stacked([LeakyCell(3, 4), nn.LSTMCell(4, 2)], dropout=0.5),
    "zoneout": lambda: nn.Zoneout(nn.LSTMCell(3, 4), 0.3),
    "dropout": lambda: nn.RecurrentDropout(nn.LSTMCell(3, 4), 0.3),
    "residual": lambda: nn.Residual(LeakyCell(4, 4)),
    "learned": lambda: nn.LearnedInitialState(LeakyCell(3, 4)),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_good_cell_passes(name):
    cell = CELLS[name]()
    before = cell.state_dict()
    report = nn.check_cell(cell)
    assert report.ok, repr(report)
    assert all(value.base is before[key].base for key, value in cell.state_dict().items())
    assert cell.training
    assert "worst" in repr(report)


@pytest.mark.parametrize("name", CELLS)
def test_everything_works_on_every_cell(name):
    """Unrolling, lengths, both directions, stacking, drawing-ready labels: on a user's cell as on
    the LSTM.
    """
    cell = CELLS[name]()
    size = 4 if name == "residual" else 3
    xs = np.random.default_rng(0).standard_normal((5, 2, size))
    y, _ = nn.Unroll(cell)(xs, lengths=[5, 2])
    assert not y.data[2:, 1].any()
    both, _ = nn.Bidirectional(CELLS[name](), CELLS[name]())(xs)
    (both * both).sum().backward()
    graph = mg.Graph(y.sum())
    assert graph.time_steps == (0, 1, 2, 3, 4)
    assert graph.crossings


def test_the_researchers_journey():
    cell = LeakyCell(3, 8)
    assert repr(nn.check_cell(cell)).startswith(
        "state out = state in: ok | rows of a batch independent: ok | nothing kept"
    )
    xs = np.random.default_rng(0).standard_normal((6, 2, 3))
    y, _ = nn.Unroll(nn.Stacked([LeakyCell(3, 8), LeakyCell(8, 8)]))(xs)
    graph = mg.Graph(nn.mse_loss(y[-1], np.zeros((2, 8))))
    assert len(graph.find(name="a")) == 12
    assert len(graph.find(name="n", scope="Unroll.cell.l1")) == 6
    assert "a = σ(x W_xa" in repr(cell)


class KeepsState(LeakyCell):
    def forward(self, x, h_prev):
        self.last = h_prev
        return super().forward(x, h_prev)


class MixesRows(LeakyCell):
    def forward(self, x, h_prev):
        y, h = super().forward(x, h_prev)
        return y, h - h.mean(axis=0)


class Wraps(LeakyCell):
    def forward(self, x, h_prev):
        y, h = super().forward(x, h_prev)
        return y, (h,)


class Grows(LeakyCell):
    def forward(self, x, h_prev):
        y, h = super().forward(x, h_prev)
        return y, mg.concatenate([h, h], axis=-1)


class Random(LeakyCell):
    def forward(self, x, h_prev):
        y, h = super().forward(x, h_prev)
        return y, h + np.random.default_rng().random()


class Lists(LeakyCell):
    def __init__(self, D, H):
        super().__init__(D, H)
        self.seen = []

    def forward(self, x, h_prev):
        self.seen.append(x)
        return super().forward(x, h_prev)


@mg.primitive
def wrong(x):
    return x * x


@wrong.gradient
def wrong_dx(dy, y, x):
    return dy * x


class WrongRule(LeakyCell):
    def forward(self, x, h_prev):
        y, h = super().forward(x, h_prev)
        return y, wrong(h)


@pytest.mark.parametrize(
    ("kind", "check", "text"),
    [
        (
            KeepsState,
            "nothing kept on self",
            "forward changes self.last; return it as a part of the state",
        ),
        (Lists, "nothing kept on self", "forward changes self.seen"),
        (MixesRows, "rows of a batch independent", "another input in row 0 changes"),
        (
            Wraps,
            "state out = state in",
            r"state that forward returns must be a tensor \(3, 4\), found tuple",
        ),
        (
            Grows,
            "state out = state in",
            r"state that forward returns \(3, 4\) is needed, found \(3, 8\)",
        ),
        (Random, "gradients (float64 copy, T = 4)", "not deterministic"),
        (
            WrongRule,
            "gradients (float64 copy, T = 4)",
            r"disagree with central differences, worst .* at ",
        ),
    ],
)
def test_a_broken_promise_is_named(kind, check, text):
    report = nn.check_cell(kind(3, 4))
    assert not report.ok
    assert "FAILED" in report[check]
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(report[check])
    assert "FAILED" in repr(report)


def test_what_is_not_a_cell_and_what_takes_no_input():
    with pytest.raises(TypeError, match="an nn.Cell is needed, found Linear"):
        nn.check_cell(nn.Linear(3, 4))

    class Strange(nn.Cell):
        state_size = 2

        def forward(self, x, h_prev):
            raise ValueError("never")

    with pytest.raises(ValueError, match="takes no input .* pass x=: never"):
        nn.check_cell(Strange())


def test_a_cell_that_takes_tokens_is_given_an_example():
    class Embedded(nn.Cell):
        def __init__(self):
            self.embed, self.cell, self.state_size = nn.Embedding(5, 3), nn.GRUCell(3, 4), 4

        def forward(self, x, h_prev):
            return self.cell(self.embed(x), h_prev)

    report = nn.check_cell(Embedded(), x=np.array([1, 2, 3]))
    assert report.ok, repr(report)


class Plain(LeakyCell):
    def __init__(self, D, H):
        super().__init__(D, H)
        self.parts = {"gain": mg.tensor(np.ones(H, np.float32), requires_grad=True)}

    def forward(self, x, h_prev):
        y, h = super().forward(x, h_prev)
        return y, h * self.parts["gain"]


class Computed(LeakyCell):
    def __init__(self, D, H):
        super().__init__(D, H)
        self.W = self.W_ha / np.linalg.norm(self.W_ha)


class OtherDtype(LeakyCell):
    def __init__(self, D, H):
        super().__init__(D, H)
        self.b_n = nn.Parameter(np.zeros(H))


class WideBuffer(LeakyCell):
    def __init__(self, D, H):
        super().__init__(D, H)
        self.A = nn.Buffer(np.eye(H))

    def forward(self, x, h_prev):
        y, h = super().forward(x, h_prev)
        return y, h @ self.A


class NotFinite(LeakyCell):
    def forward(self, x, h_prev):
        y, h = super().forward(x, h_prev)
        return y, np.sqrt(h - 5)


class Unseeded(LeakyCell):
    def forward(self, x, h_prev):
        y, h = super().forward(x, h_prev)
        return y, h + 0.1 * np.random.default_rng().standard_normal(h.shape)


class CountsInPlace(LeakyCell):
    def __init__(self, D, H):
        super().__init__(D, H)
        self.seen = np.zeros(1)

    def forward(self, x, h_prev):
        self.seen += 1
        return super().forward(x, h_prev)


@pytest.mark.parametrize(
    ("kind", "check", "text"),
    [
        (Plain, "parameters", r"self.parts requires grad but is no nn.Parameter"),
        (Computed, "parameters", "self.W was computed once, when the cell was made"),
        (OtherDtype, "parameters", "parameter b_n is float64, and W_xa is float32"),
        (
            WideBuffer,
            "state out = state in",
            r"h goes in as float32 and comes out as float64 \(buffer A is float64\)",
        ),
        (NotFinite, "finite", "sqrt made nan out of finite inputs .* at t = 0"),
        (Unseeded, "random numbers", "another y; draw random numbers from mg.generator"),
        (Unseeded, "rows of a batch independent", "cannot be told, because two runs"),
        (CountsInPlace, "nothing kept on self", "forward changes self.seen"),
    ],
)
def test_what_is_wrong_is_told_as_what_it_is(kind, check, text):
    report = nn.check_cell(kind(3, 4))
    assert not report.ok
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(report[check])
    assert not any("rows" in found for found in report.values() if "cannot" not in found)


@pytest.mark.parametrize("own", [False, True])
def test_random_numbers_of_a_seeded_generator_are_no_fault(own):
    class Noisy(LeakyCell):
        rng = None

        def forward(self, x, h_prev):
            y, h = super().forward(x, h_prev)
            noise = nn.init.generator(self.rng).standard_normal(h.shape)
            return y, h + 0.1 * noise.astype(h.dtype)

    cell = Noisy(3, 4)
    if own:
        cell.rng = np.random.default_rng(7)
    report = nn.check_cell(cell)
    assert report.ok, repr(report)


def test_states_are_those_that_a_run_reaches():
    class Positive(nn.Cell):
        """s = s_prev + x²;  y = log s, which no negative state has"""

        state_size, input_size = 1, 1

        def initial_state(self, batch_size=None):
            return mg.tensor(np.ones((batch_size, 1), np.float32))

        def forward(self, x, s_prev):
            s = s_prev + x * x
            return np.log(s), s

    assert nn.check_cell(Positive()).ok


def test_a_counter_is_not_differentiated():
    class Clocked(LeakyCell):
        def __init__(self, D, H):
            super().__init__(D, H)
            self.state_size = (H, 1)

        def forward(self, x, state):
            h_prev, t = state
            _y, h = super().forward(x, h_prev)
            h = np.where(t.data % 2 == 0, h, h_prev)
            return h, (h, t + 1)

    report = nn.check_cell(Clocked(3, 4))
    assert report.ok, repr(report)


def test_numbers_that_are_large_are_compared_relatively():
    class Large(LeakyCell):
        def forward(self, x, h_prev):
            y, h = super().forward(x, h_prev)
            return 1e6 * y, h

    report = nn.check_cell(Large(3, 4))
    assert report["rows of a batch independent"] == "ok"


def test_the_effort_is_bounded_and_the_sample_is_told():
    cell = nn.Stacked([LeakyCell(8, 16), LeakyCell(16, 16), LeakyCell(16, 16)])
    runs = 0

    class Counted(nn.Wrapper):
        def forward(self, x, state):
            nonlocal runs
            runs += 1
            return super().forward(x, state)

    report = nn.check_cell(Counted(cell), effort=20_000)
    assert report.ok
    assert "of 22 parameters and inputs sampled" in report["second order"]
    assert "sampled" in report["gradients (float64 copy, T = 4)"]
    assert runs < 4 * 200
    assert nn.check_cell(Counted(cell), effort=20_000) == report  # the same sample again


def test_an_example_may_be_a_structure_around_which_inputs_are_drawn():
    class Timed(LeakyCell):
        """h = h_prev + log(dt) n"""

        def forward(self, x, h_prev):
            y, h = super().forward(x["x"], h_prev)
            return y, h_prev + np.log(x["dt"]) * (h - h_prev)

    x = {"x": np.ones((3, 3), np.float32), "dt": np.full((3, 1), 2.0, np.float32)}
    report = nn.check_cell(Timed(3, 4), x=x)
    assert report.ok, repr(report)
