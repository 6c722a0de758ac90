"""Long memory: which cell still learns what was shown T steps ago?

Adding: two of T numbers are marked, what is their sum?  Copying: repeat four symbols after T
blanks.  Digits: name a digit that is read pixel by pixel, 64 steps.  Each cell is trained alike on
each T; beside the result stands what it has learnt to do with a gradient: by how much one step back
multiplies that of the state that keeps most.

--cell module:Class adds the row of your own cell, made as Class(D, H).  --seeds N repeats all with
N seeds, --jobs N runs so many at once, --dask ADDRESS on a cluster.  A run is a plain function of
plain arguments: `experiment`.
"""

import statistics
from typing import NamedTuple

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.sweep import OPTIONS, Failed, chosen_map, grid, sweep
from demos.tasks import TASKS, Task, digits, load_cell
from demos.training import descend

HIDDEN, BATCH = 32, 32
CELLS = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}
STEPS = {"adding": [10, 40], "copying": [5, 20], "digits": [64]}
CHANCE = {
    "adding": "always the mean: MSE 0.167",
    "copying": "guessing: 12 % right",
    "digits": "guessing: 10 % right",
}


class Net(nn.Module):
    """A line from the outputs that count of a cell that is unrolled."""

    def __init__(self, cell: nn.Cell, outputs: int) -> None:
        self.unroll, self.head = nn.Unroll(cell), nn.Linear(HIDDEN, outputs)

    def forward(self, xs, counts):
        """xs (T, B, D) -> (steps that count, B, outputs)."""
        return self.head(self.unroll(xs)[0][counts])


class Row(NamedTuple):
    """What one run has found.

    state, ratio, verdict: what one step back does to the gradient of the state that keeps most.
    score: the mean squared error, or the part of the answers that is right.  weights: the trained
    parameters by name.
    """

    state: str
    ratio: float
    verdict: str
    score: float
    weights: dict[str, np.ndarray]


def digit_task(rng: np.random.Generator) -> tuple[Task, tuple]:
    """Digits as a task for training, and the 360 of the test."""
    xs, labels = digits()
    last = slice(63, 64)

    def batch(T, B, rng):
        chosen = rng.choice(np.arange(360, 1797), B, replace=False)
        return xs[:, chosen], labels[None, chosen], last

    task = Task("name a digit read pixel by pixel", 1, 10, np.log(10), batch)
    return task, (xs[:, :360], labels[None, :360], last)


def setting(task: str, T: int, seed: int) -> tuple[Task, tuple, np.random.Generator]:
    """A task, the sample that it is tested on, and the generator of its batches."""
    rng = np.random.default_rng(seed)
    if task == "digits":
        return *digit_task(rng), rng
    return TASKS[task], TASKS[task].batch(T, 400, rng), rng


def network(task: Task, cell: str) -> Net:
    """An untrained network around one of the cells, or one of the user's (module:Class)."""
    sizes = task.inputs, HIDDEN
    return Net(CELLS[cell](*sizes) if cell in CELLS else load_cell(cell, sizes), task.outputs)


def experiment(task: str, T: int, cell: str, seed: int, updates: int, show: bool = False) -> Row:
    """Train one cell on one task of T steps; the same arguments give the same row everywhere."""
    mg.seed(seed)
    chosen, sample, rng = setting(task, T, seed)
    net = network(chosen, cell)

    def loss():
        xs, targets, counts = chosen.batch(T, BATCH, rng)
        return chosen.loss(net(xs, counts), targets)

    descend(net, loss, updates, 0.005, f"{cell}, T = {T}" if show else "")
    weights = {name: np.array(value) for name, value in net.state_dict().items()}
    return Row(*flow(net, chosen, sample), score(net, chosen, sample), weights)


def flow(net: Net, task: Task, sample: tuple) -> tuple[str, float, str]:
    """What a step back does to the gradient of the state that keeps most of it."""
    xs, targets, counts = sample
    graph = mg.Graph(task.loss(net(xs[:, :4], counts), targets[:, :4]))
    paths = graph.gradient_flow(jacobians=False).paths
    best = max(paths, key=lambda path: path.mean_ratio if path.mean_ratio < 1.1 else 0)
    return best.state, float(best.mean_ratio), best.verdict


def score(net: Net, task: Task, sample: tuple) -> float:
    """The mean squared error of the sample; of classes, the part that is right."""
    xs, targets, counts = sample
    with mg.no_grad():
        o = net(xs, counts)
    if targets.dtype.kind == "f":
        return task.loss(o, targets).item()
    return float(np.mean(o.data.argmax(axis=-1) == targets))


def cells_of(rows: list[Row], task: str) -> list[str]:
    """What the table says of the runs of one cell and T: medians, and extremes in brackets."""
    first = rows[0]
    flows = spread([row.ratio for row in rows], "×{:.2f}")
    verdicts = "/".join(dict.fromkeys(row.verdict for row in rows))
    if task == "adding":
        scores = spread([row.score for row in rows], "{:.3f}", "MSE ")
    else:
        scores = spread([100 * row.score for row in rows], "{:.0f}") + " % right"
    return [f"{first.state} {flows}, {verdicts}", scores]


def spread(values: list[float], form: str, before: str = "") -> str:
    """The median of some values, and least and greatest if there are several."""
    text = before + form.format(statistics.median(values))
    if len(values) == 1:
        return text
    return f"{text} ({form.format(min(values))} … {form.format(max(values))})"


def main(args) -> None:
    names = [*CELLS, *([args.cell] if args.cell else [])]
    steps = args.T or ([5] if args.quick else STEPS[args.task])
    steps = [64] if args.task == "digits" else steps
    if args.cell:
        network(TASKS["adding"], args.cell)  # a wrong name is said before anything is trained
    points = grid(
        task=[args.task],
        T=steps,
        cell=names,
        seed=range(args.seed, args.seed + args.seeds),
        updates=[args.updates or (5 if args.quick else 600)],
        show=[args.jobs == 1 and args.dask is None],
    )
    with chosen_map(args.jobs, args.dask) as map:
        results = sweep(experiment, points, map)
    rows = []
    for k in range(0, len(points), args.seeds):
        found = [row for row in results[k : k + args.seeds] if not isinstance(row, Failed)]
        title = f"{points[k]['cell'].rpartition(':')[2]}, T = {points[k]['T']}"
        rows.append([title, *(cells_of(found, args.task) if found else ["failed", ""])])
    task, sample, _ = setting(args.task, steps[-1], args.seed)
    header = [f"{args.task}: {task.about}", "one step back, after training", CHANCE[args.task]]
    cli.table(header, rows)
    for result in results:
        if isinstance(result, Failed):
            print(result)
    xs, targets, counts = sample
    net = network(task, names[-1])
    if not isinstance(results[-1], Failed):
        net.load_state_dict(results[-1].weights)
    graph = mg.Graph(task.loss(net(xs[:, :1], counts), targets[:, :1]))
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
    cli.run(main, "long_memory", __doc__, task, steps, updates, cell, *OPTIONS)
