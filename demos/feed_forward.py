"""Feed-forward: what a network without memory cannot do.

The opening argument for recurrence, measured.  A network of two layers that sees one day forecasts the next day's range
of a share about as well as a line through that day; an RNN that reads forty days does better, but so does the two-layer
network once all forty days are laid out before it: a window is a memory, one of fixed length.

Then a task where the window would have to be built first: repeat the coin that was thrown three steps ago, seeing one
throw at a time.  Without memory nobody can do better than guess.
"""

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.stock_price import Forecaster, series
from demos.tasks import TASKS
from demos.training import descend

WINDOW, HIDDEN, BATCH = 40, 16, 32


def feed_forward(inputs: int, outputs: int) -> nn.Module:
    """Two layers:  o = tanh(x W + b) W + b.  Nothing goes from one step to the next."""
    return nn.Sequential(nn.Linear(inputs, HIDDEN), np.tanh, nn.Linear(HIDDEN, outputs))


class Recurrent(nn.Module):
    """A vanilla RNN with an output at every step."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.rnn, self.head = nn.RNN(inputs, HIDDEN), nn.Linear(HIDDEN, outputs)

    def forward(self, xs):
        return self.head(self.rnn(xs)[0])


def forecast(updates: int, rng: np.random.Generator) -> list[list]:
    """Rows of the table of share ranges: each network, its mean squared error on the last fifth of the days."""
    values = series("range")
    cut = int(0.8 * (len(values) - WINDOW))
    mean, scale = values[: cut + WINDOW].mean(), values[: cut + WINDOW].std()
    unit = (values - mean) / scale
    X, y = np.lib.stride_tricks.sliding_window_view(unit, WINDOW)[:-1], unit[WINDOW:, None]
    networks = {
        "two layers, today": (feed_forward(1, 1), X[:, -1:]),
        "two layers, 40 days side by side": (feed_forward(WINDOW, 1), X),
        "RNN, 40 days one after the other": (Forecaster(), X.T[..., None]),
    }
    rows = [["same as today", float(np.mean((X[cut:, -1:] - y[cut:]) ** 2)) * scale**2]]
    for name, (net, xs) in networks.items():
        days = (lambda xs, k: xs[:, k]) if xs.ndim == 3 else (lambda xs, k: xs[k])

        def loss(net=net, xs=xs, days=days):
            batch = rng.choice(cut, BATCH, replace=False)
            return nn.mse_loss(net(days(xs, batch)), y[batch])

        descend(net, loss, updates, 0.003, name)
        with mg.no_grad():
            rows.append(
                [name, nn.mse_loss(net(days(xs, slice(cut, None))), y[cut:]).item() * scale**2]
            )
    return rows


def echo(updates: int, rng: np.random.Generator) -> tuple[list[list], mg.Graph, mg.Graph]:
    """Rows of the table of repeated coins, and the graphs of both networks on four throws."""
    task, rows, graphs = TASKS["echo"], [], []
    for name, net in (("two layers", feed_forward(1, 2)), ("RNN", Recurrent(1, 2))):

        def loss(net=net, T=12, B=BATCH):
            xs, coins, counts = task.batch(T, B, rng)
            return task.loss(net(xs)[counts], coins)

        descend(net, loss, updates, 0.01, name)
        xs, coins, counts = task.batch(12, 500, rng)
        with mg.no_grad():
            right = np.mean(net(xs).data[counts].argmax(axis=-1) == coins)
        rows.append([name, f"{100 * right:.1f} %"])
        graphs.append(mg.Graph(loss(T=4, B=1)))
    return rows, graphs[0], graphs[1]


def main(args) -> None:
    rng = np.random.default_rng(args.seed)
    cli.table(["next day's log range", "MSE"], forecast(30 if args.quick else 1500, rng))
    rows, without, recurrent = echo(30 if args.quick else 400, rng)
    cli.table(["the coin of three steps ago", "right"], [["guessing", "50.0 %"], *rows])
    print(
        "\n  Where the past matters and is not laid out in a window, a network needs a state: memory."
    )
    args.out.graph("two-layers.svg", without, view="ops")
    args.out.graph("rnn.svg", recurrent, view="ops")


if __name__ == "__main__":
    cli.run(main, "feed_forward", __doc__)
