"""Feed-forward: what a network without memory cannot do.

The opening argument for recurrence, measured.  A network of two layers that sees one day forecasts the next day's range
of a share about as well as a line through that day; an RNN that reads forty days does better, but so does the two-layer
network once all forty days are laid out before it: a window is a memory, one of fixed length.

Then a task where the window would have to be built first: repeat the coin that was thrown three steps ago, seeing one
throw at a time.  Without memory nobody can do better than guess.
"""

import itertools

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say
from demos.stock_price import Forecaster, series
from demos.tasks import TASKS
from demos.training import descend

WINDOW, HIDDEN, BATCH = 40, 16, 32


class FeedForward(nn.Module):
    """h⁽¹⁾ = tanh(x W⁽¹⁾ + b⁽¹⁾), and h⁽²⁾ = h⁽¹⁾ W⁽²⁾ + b⁽²⁾ is the output.

    Nothing goes from one step to the next.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        sizes = (inputs, HIDDEN, outputs)
        self.layers = [nn.Linear(*pair) for pair in itertools.pairwise(sizes)]

    def forward(self, h):
        for number, layer in zip("¹²", self.layers, strict=True):
            h = layer(h)
            if number == "¹":
                h = np.tanh(h)
            h.name = f"h⁽{number}⁾"
        return h


class Recurrent(nn.Module):
    """A vanilla RNN with an output at every step."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.rnn, self.head = nn.RNN(inputs, HIDDEN), nn.Linear(HIDDEN, outputs)

    def forward(self, xs):
        return self.head(self.rnn(xs)[0])


def forecast(updates: int, rng: np.random.Generator) -> list[tuple]:
    """Rows of the table of share ranges: each network, its mean squared error on the last fifth of the days."""
    values = series("range")
    cut = int(0.8 * (len(values) - WINDOW))
    mean, scale = values[: cut + WINDOW].mean(), values[: cut + WINDOW].std()
    unit = (values - mean) / scale
    X, y = np.lib.stride_tricks.sliding_window_view(unit, WINDOW)[:-1], unit[WINDOW:, None]
    networks = {
        say("two layers, today"): (FeedForward(1, 1), X[:, -1:]),
        say("two layers, 40 days side by side"): (FeedForward(WINDOW, 1), X),
        say("RNN, 40 days one after the other"): (Forecaster(), X.T[..., None]),
    }
    same = float(np.mean((X[cut:, -1:] - y[cut:]) ** 2) * scale**2)
    rows = [(say("same as today"), same)]
    for name, (net, xs) in networks.items():
        days = (lambda xs, k: xs[:, k]) if xs.ndim == 3 else (lambda xs, k: xs[k])

        def loss(net=net, xs=xs, days=days):
            batch = rng.choice(cut, BATCH, replace=False)
            return nn.mse_loss(net(days(xs, batch)), y[batch])

        descend(net, loss, updates, 0.003, name)
        with mg.no_grad():
            error = nn.mse_loss(net(days(xs, slice(cut, None))), y[cut:]).item()
        rows.append((name, float(error * scale**2)))
    return rows


def echo(updates: int, rng: np.random.Generator) -> tuple[list[tuple], mg.Graph, mg.Graph]:
    """Rows of the table of repeated coins, and the graphs of both networks on four throws."""
    task, rows, graphs = TASKS["echo"], [], []
    for name, net in ((say("two layers"), FeedForward(1, 2)), ("RNN", Recurrent(1, 2))):

        def loss(net=net, T=12, B=BATCH):
            xs, coins, counts = task.batch(T, B, rng)
            return task.loss(net(xs)[counts], coins)

        descend(net, loss, updates, 0.01, name)
        xs, coins, counts = task.batch(12, 500, rng)
        with mg.no_grad():
            right = float(np.mean(net(xs).data[counts].argmax(axis=-1) == coins))
        rows.append((name, right))
        graphs.append(mg.Graph(loss(T=4, B=1)))
    return rows, graphs[0], graphs[1]


def lesson(right: dict[str, float]) -> str:
    """What the second table says, in a sentence."""
    without, recurrent = right[say("two layers")], right["RNN"]
    text = "Neither network has learnt it: {:.0%} and {:.0%} right."
    if recurrent > max(0.9, without + 0.2):
        text = (
            "A state that remembers makes the difference: {:.0%} right without it, {:.0%} with it."
        )
    return say(text, without, recurrent)


def main(args) -> list[cli.Table]:
    rng = np.random.default_rng(args.seed)
    rows = forecast(args.updates or (30 if args.quick else 1500), rng)
    forecasts = cli.Table(say("next day's log range"), {"MSE": "{:.3f}"}, rows)
    print(forecasts)
    rows, without, recurrent = echo(30 if args.quick else 400, rng)
    columns = {say("right"): "{:.1%}"}
    coins = cli.Table(say("the coin of three steps ago"), columns, [(say("guessing"), 0.5), *rows])
    print(coins)
    print("\n  " + lesson(dict(coins.rows)))
    layers = mg.Graph(nn.mse_loss(FeedForward(3, 1)(np.zeros((1, 3))), np.zeros((1, 1))))
    letters = {f"layers.{k}.{p}": f"{p}⁽{n}⁾" for k, n in enumerate("¹²") for p in "Wb"}
    args.out.graph("layers.svg", layers, view="affine", labels=letters)
    args.out.graph("two-layers.svg", without, view="affine")
    args.out.graph("rnn.svg", recurrent, view="ops")
    return [forecasts, coins]


OPTIONS = (cli.updates(1500),)

if __name__ == "__main__":
    cli.run(main, "feed_forward", __doc__, OPTIONS)
