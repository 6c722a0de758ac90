"""Long memory: which cell still learns what was shown T steps ago?

Adding: two of T numbers are marked, what is their sum?  Copying: repeat four symbols after T blanks.  Digits: name a
digit that is read pixel by pixel, 64 steps.  Each cell is trained alike on each T; beside the result stands what it has
learnt to do with a gradient: by how much one step back multiplies that of the state that keeps most.

--cell module:Class adds the row of your own cell, made as Class(D, H).
"""

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.tasks import TASKS, Task, digits, load_cell
from demos.training import descend

HIDDEN, BATCH = 32, 32


class Net(nn.Module):
    """A line from the outputs that count of a cell that is unrolled."""

    def __init__(self, cell: nn.Cell, outputs: int) -> None:
        self.unroll, self.head = nn.Unroll(cell), nn.Linear(HIDDEN, outputs)

    def forward(self, xs, counts):
        """xs (T, B, D) -> (steps that count, B, outputs)."""
        return self.head(self.unroll(xs)[0][counts])


def cells(inputs: int, own: str | None) -> dict[str, nn.Cell]:
    """The contestants by name."""
    kinds = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}
    table = {name: kind(inputs, HIDDEN) for name, kind in kinds.items()}
    return table | ({own.rpartition(":")[2]: load_cell(own, (inputs, HIDDEN))} if own else {})


def digit_task(rng: np.random.Generator) -> tuple[Task, tuple]:
    """Digits as a task for training, and the 360 of the test."""
    xs, labels = digits()
    last = slice(63, 64)

    def batch(T, B, rng):
        chosen = rng.choice(np.arange(360, 1797), B, replace=False)
        return xs[:, chosen], labels[None, chosen], last

    return Task("name a digit read pixel by pixel", 1, 10, np.log(10), batch), (
        xs[:, :360],
        labels[None, :360],
        last,
    )


def flow(net: Net, task: Task, sample: tuple) -> str:
    """What a step back does to the gradient of the state that keeps most of it."""
    xs, targets, counts = sample
    paths = (
        mg.Graph(task.loss(net(xs[:, :4], counts), targets[:, :4]))
        .gradient_flow(jacobians=False)
        .paths
    )
    best = max(paths, key=lambda path: path.mean_ratio if path.mean_ratio < 1.1 else 0)
    return f"{best.state} ×{best.mean_ratio:.2f}, {best.verdict}"


def score(net: Net, task: Task, sample: tuple) -> str:
    """The loss as a part of that of ignorance; of digits, how many are right."""
    xs, targets, counts = sample
    with mg.no_grad():
        o = net(xs, counts)
    if targets.dtype.kind == "f":
        return f"MSE {task.loss(o, targets).item():.3f}"
    return f"{100 * np.mean(o.data.argmax(axis=-1) == targets):.0f} % right"


def main(args) -> None:
    rng = np.random.default_rng(args.seed)
    steps = args.T or (
        [5] if args.quick else {"adding": [10, 40], "copying": [5, 20], "digits": [64]}[args.task]
    )
    chance = {
        "adding": "always the mean: MSE 0.167",
        "copying": "guessing: 12 % right",
        "digits": "guessing: 10 % right",
    }
    rows = []
    for T in steps if args.task != "digits" else [64]:
        task, sample = digit_task(rng) if args.task == "digits" else (TASKS[args.task], None)
        sample = sample or task.batch(T, 400, rng)
        for name, cell in cells(task.inputs, args.cell).items():
            net = Net(cell, task.outputs)
            updates = args.updates or (5 if args.quick else 600)

            def loss(net=net, task=task, T=T):
                xs, targets, counts = task.batch(T, BATCH, rng)
                return task.loss(net(xs, counts), targets)

            descend(net, loss, updates, 0.005, f"{name}, T = {T}")
            rows.append([f"{name}, T = {T}", flow(net, task, sample), score(net, task, sample)])
    cli.table(
        [f"{args.task}: {task.about}", "one step back, after training", chance[args.task]], rows
    )
    graph = mg.Graph(task.loss(net(sample[0][:, :1], sample[2]), sample[1][:, :1]))
    args.out.graph(f"{args.task}.svg", graph, view="cells", backward=True)


if __name__ == "__main__":
    task = (
        "--task",
        {"choices": ["adding", "copying", "digits"], "default": "adding", "help": "default adding"},
    )
    steps = (
        "--T",
        {"type": cli.positive, "nargs": "+", "metavar": "T", "help": "numbers of steps to try"},
    )
    updates = (
        "--updates",
        {"type": cli.positive, "metavar": "N", "help": "steps of training (default 600)"},
    )
    cell = ("--cell", {"metavar": "module:Class", "help": "a cell of yours, made as Class(D, H)"})
    cli.run(main, "long_memory", __doc__, task, steps, updates, cell)
