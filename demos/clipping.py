"""Clipping: four cures for a gradient that explodes, on one problem that explodes.

An RNN whose W_hh stretches every state learns to add two marked numbers.  Its gradient grows on the way back, until one
step of the optimiser throws everything away.  The same network is trained with nothing, with every entry of gradients
limited (value), with the norm of all gradients limited (norm), and with the gradient limited at each crossing from one
step to the next, during the pass (crossing).

The last one changes directions, not only lengths: it is a different gradient.  None of them makes a memory.
"""

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.tasks import TASKS

HIDDEN, BATCH, GAIN, RATE, T = 24, 16, 2.5, 0.1, 24
WAYS = ("none", "value", "norm", "crossing")


class Adder(nn.Module):
    """A vanilla RNN of large W_hh, and a line from its last state."""

    def __init__(self) -> None:
        self.rnn, self.head = nn.RNN(2, HIDDEN), nn.Linear(HIDDEN, 1)
        self.rnn.l0.W_hh.data = GAIN * self.rnn.l0.W_hh.data

    def forward(self, xs):
        """xs (T, B, 2) -> (1, B, 1)."""
        return self.head(self.rnn(xs)[0][-1:])


def backward(net: Adder, loss: mg.Tensor, way: str) -> None:
    """One backward pass, limited in one of the four ways."""
    if way == "crossing":
        mg.Graph(loss).clip_edges(max_norm=0.1).backward()
    else:
        loss.backward()
    if way == "value":
        mg.clip_grad_value_(net, 0.1)
    elif way == "norm":
        mg.clip_grad_norm_(net, 1.0)


def norm(net: Adder) -> float:
    """The norm of all gradients together."""
    return float(
        np.sqrt(sum(np.sum(np.square(p.grad.data, dtype=np.float64)) for p in net.parameters()))
    )


def train(way: str, updates: int, seed: int) -> tuple[list[float], list[float]]:
    """Plain gradient descent: the losses, and the norms of the gradients that were used."""
    mg.seed(seed)
    rng, net, task = np.random.default_rng(seed), Adder(), TASKS["adding"]
    optimizer, losses, norms = nn.SGD(net.parameters(), lr=RATE), [], []
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


def main(args) -> None:
    updates = args.updates or (10 if args.quick else 300)
    runs = {way: train(way, updates, args.seed) for way in WAYS}
    rows = []
    for way, (losses, norms) in runs.items():
        end = (
            f"diverged after {len(losses)}"
            if not losses[-1] < 1e6
            else f"{np.mean(losses[-50:]):.3f}"
        )
        rows.append([way, f"{norms[0]:.3g}", f"{max(norms):.3g}", end])
    cli.table(
        [
            "clipping",
            "first norm used",
            "largest norm used",
            "loss at the end (always the mean: 0.167)",
        ],
        rows,
    )

    def draw(axes) -> None:
        for way, (losses, _) in runs.items():
            axes.semilogy(np.minimum(losses, 1e6), label=way, alpha=0.8)
        axes.axhline(TASKS["adding"].chance, color="black", lw=0.8, ls=":")
        axes.set(xlabel="step of training", ylabel="loss")
        axes.legend()

    args.out.plot("loss.png", draw)
    mg.seed(args.seed)
    xs, targets, _ = TASKS["adding"].batch(4, 1, np.random.default_rng(args.seed))
    graph = mg.Graph(TASKS["adding"].loss(Adder()(xs), targets))
    args.out.graph("crossing.svg", graph.clip_edges(max_norm=0.1), view="cells", backward=True)


if __name__ == "__main__":
    updates = (
        "--updates",
        {"type": cli.positive, "metavar": "N", "help": "steps of training (default 300)"},
    )
    cli.run(main, "clipping", __doc__, updates)
