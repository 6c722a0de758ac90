"""Vanilla RNN: how widely will a share trade tomorrow?

A vanilla RNN reads 40 days of IBM and forecasts the next day's range, log(log(high/low) + 0.001).
It is trained by gradients that come out of an explicit graph of the unrolled network: no code here
or in `nn` does backpropagation through time, the one backward loop does it by walking that graph.
The demo draws the graph of a short window, forward and backward.

The last 20 % of the days are the test.  The range can be forecast: it clusters.  The RNN beats
"same as today" by a third and about ties a linear regression on ten days.  The price cannot:
--target price shows that nobody in the table beats "same as today" there by as much as a hundredth.

Does it forget distant days?  A second table says by how much the forecast moves when one day of the
window is exchanged for another, and beside it the weight that a linear regression on all 40 days
gives to that day: what there is to remember.  It does: the tenth day back counts half of what
the regression gives it, the fortieth less than half.  For this series that costs little, since the
regression gains nothing by those days either; `long_memory` has tasks where it costs everything.
"""

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say

WINDOW, HIDDEN, BATCH, RATE, MAX_NORM = 40, 16, 32, 0.003, 1.0
DAYS = (1, 2, 3, 5, 10, 20, 40)


class Forecaster(nn.Module):
    """A vanilla RNN over the window, and a line from its last state:  o = h W_hq + b_q."""

    def __init__(self) -> None:
        self.rnn = nn.RNN(1, HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)
        for W in (self.rnn.l0.W_xh, self.head.W):
            W.data = 0.4 * W.data  # one column or row alone: better so in validation

    def forward(self, xs):
        """xs (T, B, 1) -> forecast (B, 1)."""
        ys, _ = self.rnn(xs)
        return self.head(ys[-1])


def series(target: str) -> np.ndarray:
    """One number a day: the log range, or the log return of the adjusted close."""
    days = np.array(
        [line.split(",")[1:] for line in cli.text("ibm-daily-2000-2013.csv.gz").split()[1:]], float
    )
    _, high, low, _, _, adjusted = days.T
    return np.log(np.log(high / low) + 0.001) if target == "range" else np.diff(np.log(adjusted))


def regression(X: np.ndarray, y: np.ndarray, cut: int, days: int) -> tuple[np.ndarray, np.ndarray]:
    """A line through the last `days` of each window: forecasts of the test days, and its weights."""
    A = np.column_stack([X[:, -days:], np.ones(len(X))])
    weights = np.linalg.lstsq(A[:cut], y[:cut], rcond=None)[0]
    return A[cut:] @ weights, weights[:-1]


def baselines(X: np.ndarray, y: np.ndarray, cut: int, target: str) -> dict[str, np.ndarray]:
    """Forecasts of the test days that cost nothing.  X (days, 40), y (days,)."""
    same = np.zeros(len(y) - cut)  # the same price: a return of 0
    if target == "range":
        same = X[cut:, -1]
    drift = say("training mean") if target == "range" else say("training mean (drift)")
    lines = {1: say("line through today"), 10: say("linear, 10 days"), 40: say("linear, 40 days")}
    found = {say("same as today"): same, drift: np.full(len(y) - cut, y[:cut].mean())}
    return found | {name: regression(X, y, cut, days)[0] for days, name in lines.items()}


def loss_fn(net, xs, targets):
    """The mean squared error of the forecasts."""
    return nn.mse_loss(net(xs), targets)


def train(
    net: Forecaster,
    X: np.ndarray,
    y: np.ndarray,
    epochs: int,
    rng: np.random.Generator,
    compiled: bool,
) -> None:
    """Adam on the mean squared error; gradients clipped to a total norm of 1 after each pass."""
    steps = [
        batch
        for _ in range(epochs)
        for batch in np.array_split(rng.permutation(len(X)), len(X) // BATCH + 1)
    ]
    optimizer, step = nn.Adam(net.parameters(), lr=RATE), mg.compile(loss_fn)
    for k, batch in enumerate(cli.progress(steps, say("training"))):
        optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * k / len(steps)))
        xs, targets = X[batch].T[..., None], y[batch, None]
        optimizer.zero_grad()
        if compiled:
            step.backward(net, xs, targets)  # as the next line, by a program
        else:
            loss_fn(net, xs, targets).backward()
        mg.clip_grad_norm_(net, MAX_NORM)
        optimizer.step()


def moved(net: Forecaster, X: np.ndarray) -> list[float]:
    """By how much the forecast moves when the day so many days back is another one: root mean square
    of the move over that of the exchange."""
    moves = []
    with mg.no_grad():
        before = net(X.T[..., None]).data
        for days in DAYS:
            other = X.copy()
            other[:, -days] = np.roll(X[:, -days], 7)
            move = net(other.T[..., None]).data - before
            exchange = other[:, -days] - X[:, -days]
            moves.append(float(np.sqrt(np.mean(move**2) / np.mean(exchange**2))))
    return moves


def remembered(net: Forecaster, X: np.ndarray, y: np.ndarray, cut: int) -> cli.Table:
    """What the RNN makes of days further and further back, and what a regression does."""
    weights = np.abs(regression(X, y, cut, WINDOW)[1])
    rows = [
        ("RNN", *moved(net, X[cut:].astype(np.float32))),
        (say("linear, 40 days"), *(float(weights[-days]) for days in DAYS)),
    ]
    columns = {say("day −{}", days): "{:.3f}" for days in DAYS}
    return cli.Table(say("the forecast moves by"), columns, rows)


def show(net: Forecaster, X: np.ndarray, y: np.ndarray, out: cli.Out) -> None:
    """Draw the graph of five days of one window, and the gradient over all 40."""
    short = mg.Graph(nn.mse_loss(net(X[:1, -5:].T[..., None]), y[:1, None]))
    print(f"\n{short}")
    for view in ("ops", "cells"):
        out.graph(f"{view}.svg", short, view=view)
        out.graph(f"{view}-backward.svg", short, view=view, backward=True)
    whole = mg.Graph(nn.mse_loss(net(X[:1].T[..., None]), y[:1, None]))
    title = say("{} days back from a forecast", WINDOW)
    out.graph("page.html", whole, title=title)
    graph = mg.Graph(nn.mse_loss(net(X[:BATCH].T[..., None]), y[:BATCH, None]))
    path = graph.gradient_flow(jacobians=False).paths[0]
    norms = path.total
    ends = f"{norms[0]:.1e} … {norms[-1]:.1e}"
    print(f"\n‖∂loss/∂h_t‖, t = 0 … {len(norms) - 1}   {cli.bars(norms)}   {ends}")
    left = 100 * norms[0] / norms[-1]
    text = "one step back multiplies it by {:.2f}; {:.2g} % of the last day's reaches the first day"
    print(say(text, path.mean_ratio, left))

    def draw(axes) -> None:
        axes.semilogy(norms, ".-")
        label = say("t (days; the forecast is made after the last)")
        axes.set(xlabel=label, ylabel="‖∂loss/∂h_t‖")
        axes.grid(alpha=0.3)

    out.plot("gradient.png", draw)


def conclusion(errors: dict[str, float], target: str) -> str:
    """What the table says, in a sentence."""
    rival, mine = say("linear, 10 days"), list(errors.values())[-1]
    text = "Against the linear regression on ten days the RNN is {:+.1f} %: {}."
    if target == "price":
        rival, mine = say("same as today"), min(errors.values())
        text = 'Against "tomorrow = today" the best forecast is {:+.1f} %: {}.'
    against = 100 * (mine / errors[rival] - 1)
    how = say("worse") if against > 0 else say("better")
    return say(text, against, say("about a tie") if abs(against) < 5 else how)


def main(args) -> list[cli.Table]:
    values = series(args.target)
    X, y = np.lib.stride_tricks.sliding_window_view(values, WINDOW)[:-1], values[WINDOW:]
    cut = int(0.8 * len(y))
    mean, scale = values[: cut + WINDOW].mean(), values[: cut + WINDOW].std()
    X_unit, y_unit = (X - mean) / scale, (y - mean) / scale
    net = Forecaster()
    epochs = args.epochs or (1 if args.quick else 20)
    rng = np.random.default_rng(args.seed)
    train(net, X_unit[:cut], y_unit[:cut], epochs, rng, args.compile is not False)
    with mg.no_grad():
        ours = net(X_unit[cut:].T[..., None]).data[:, 0] * scale + mean
    name = say("RNN, {} states, {} days", HIDDEN, WINDOW)
    forecasts = baselines(X, y, cut, args.target) | {name: ours}
    errors = {
        name: float(np.mean((forecast - y[cut:]) ** 2)) for name, forecast in forecasts.items()
    }
    unit, what = 1.0, say("log range")
    if args.target == "price":
        unit, what = 1e-4, say("log price, in units of 1e-4")
    persistence = errors[say("same as today")]
    rows = [(name, error / unit, 100 * (error / persistence - 1)) for name, error in errors.items()]
    columns = {"MSE": "{:.3f}", say("against same as today"): "{:+.1f} %"}
    title = say("next day's {}: {} test days", what, len(y) - cut)
    found = cli.Table(title, columns, rows)
    print(found)
    print(f"\n  {conclusion(errors, args.target)}")
    forgotten = remembered(net, X_unit, y_unit, cut)
    print(forgotten)
    show(net, X_unit[cut:], y_unit[cut:], args.out)
    return [found, forgotten]


CHOICES = {"choices": ["range", "price"], "default": "range", "help": "what to forecast"}
EPOCHS = {"type": cli.positive, "metavar": "N", "help": "passes over the training days"}
OPTIONS = (("--target", CHOICES), ("--epochs", EPOCHS | {"usual": 20}), cli.COMPILE)

if __name__ == "__main__":
    cli.run(main, "stock_price", __doc__, OPTIONS)
