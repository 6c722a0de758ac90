"""Clipping: three cures for a gradient that explodes, on a task that one can solve.

An RNN of rectified units whose W_hh starts as the identity (Le, Jaitly, Hinton 2015) learns to add
two marked numbers, 20 steps long, by gradient descent with momentum.  Nothing in it shrinks a
gradient, so now and then one explodes, and one step of the optimiser throws away what was learnt.
The same network is trained with nothing, with every entry of the gradients limited (value), with
the norm of all gradients limited (norm), and with the gradient limited at each crossing from one
step to the next, during the pass (crossing).  Without a limit it ends no better than a constant; by
norm and by crossing it solves the task with each of five seeds, by value with four.

Crossing changes directions, not only lengths: it is a different gradient.  None of them makes a
memory: see `long_memory`.
"""

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say
from demos.tasks import TASKS

HIDDEN, BATCH, RATE, MOMENTUM, T = 32, 32, 0.02, 0.9, 20
LIMITS = {"none": None, "value": 0.03, "norm": 0.5, "crossing": 0.01}
ALWAYS_THE_MEAN = TASKS["adding"].chance


class Adder(nn.Module):
    """An RNN of rectified units that starts as the identity, and a line from its last state."""

    def __init__(self) -> None:
        self.rnn, self.head = nn.RNN(2, HIDDEN, nonlinearity="relu"), nn.Linear(HIDDEN, 1)
        first = self.rnn.l0
        first.W_hh.data, first.W_xh.data = np.eye(HIDDEN), 0.3 * first.W_xh.data
        self.head.W.data = 0.1 * self.head.W.data

    def forward(self, xs):
        """xs (T, B, 2) -> (1, B, 1)."""
        return self.head(self.rnn(xs)[0][-1:])


def backward(net: Adder, loss: mg.Tensor, way: str) -> None:
    """One backward pass, limited in one of the ways."""
    limit = LIMITS[way]
    if way == "crossing":
        mg.Graph(loss).clip_edges(max_norm=limit).backward()
    else:
        loss.backward()
    if way == "value":
        mg.clip_grad_value_(net, limit)
    elif way == "norm":
        mg.clip_grad_norm_(net, limit)


def norm(net: Adder) -> float:
    """The norm of all gradients together."""
    return float(
        np.sqrt(sum(np.sum(np.square(p.grad.data, dtype=np.float64)) for p in net.parameters()))
    )


def train(way: str, updates: int, seed: int) -> tuple[list[float], list[float]]:
    """Gradient descent with momentum: the losses, and the norms of the gradients that were used."""
    mg.seed(seed)
    rng, net, task = np.random.default_rng(seed), Adder(), TASKS["adding"]
    optimizer = nn.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)
    losses, norms = list[float](), list[float]()
    for _ in cli.progress(range(updates), way):
        xs, targets, _ = task.batch(T, BATCH, rng)
        with np.errstate(all="ignore"):  # a network that diverges is what this is about
            loss = task.loss(net(xs), targets)
        losses.append(loss.item())
        if not losses[-1] < 1e6:
            break
        optimizer.zero_grad()
        backward(net, loss, way)
        norms.append(norm(net))
        optimizer.step()
    return losses, norms


def result(losses: list[float]) -> str:
    """What training came to."""
    if not losses[-1] < 1e6:
        return say("diverged after {} updates", len(losses))
    end = float(np.mean(losses[-100:]))
    if end > 0.9 * ALWAYS_THE_MEAN:
        return say("no better than a constant")
    return say("solved") if end < 0.3 * ALWAYS_THE_MEAN else say("learning")


def main(args) -> cli.Table:
    updates = args.updates or (10 if args.quick else 1500)
    runs = {way: train(way, updates, args.seed) for way in LIMITS}
    rows = [
        (say(way), max(norms), max(losses), float(np.mean(losses[-100:])), result(losses))
        for way, (losses, norms) in runs.items()
    ]
    columns = {
        say("largest norm used"): "{:.3g}",
        say("largest loss"): "{:.3g}",
        say("loss at the end (always the mean: {:.3f})", ALWAYS_THE_MEAN): "{:.3f}",
        "": "",
    }
    found = cli.Table(say("clipping"), columns, rows)
    print(found)

    def draw(axes) -> None:
        for way, (losses, _) in runs.items():
            axes.semilogy(np.minimum(losses, 1e6), label=say(way), alpha=0.8)
        axes.axhline(ALWAYS_THE_MEAN, color="black", lw=0.8, ls=":")
        axes.set(xlabel=say("step of training"), ylabel=say("loss"))
        axes.legend()

    args.out.plot("loss.png", draw)
    mg.seed(args.seed)
    xs, targets, _ = TASKS["adding"].batch(4, 1, np.random.default_rng(args.seed))
    graph = mg.Graph(TASKS["adding"].loss(Adder()(xs), targets))
    args.out.graph(
        "crossing.svg", graph.clip_edges(max_norm=LIMITS["crossing"]), view="cells", backward=True
    )
    return found


OPTIONS = (cli.updates(1500),)

if __name__ == "__main__":
    cli.run(main, "clipping", __doc__, OPTIONS)
