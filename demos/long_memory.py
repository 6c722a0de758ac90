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
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say
from demos.sweep import REPETITION, Failed, chosen_map, grid, sweep
from demos.tasks import TASKS, Task, digits, load_cell
from demos.training import follow, stepper

HIDDEN, BATCH = 32, 32
CELLS = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}
STEPS = {"adding": [10, 40], "copying": [5, 20], "digits": [64]}
CHANCE = {
    "adding": "MSE (always the mean: 0.167)",
    "copying": "right (guessing: 12 %)",
    "digits": "right (guessing: 10 %)",
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
    last = slice(-1, None)

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


def experiment(
    task: str,
    T: int,
    cell: str,
    seed: int,
    updates: int,
    show: bool = False,
    compiled: bool = False,
) -> Row:
    """Train one cell on one task of T steps; the same arguments give the same row everywhere."""
    mg.seed(seed)
    chosen, sample, rng = setting(task, T, seed)
    net = network(chosen, cell)

    def loss(net, xs, targets, counts):
        return chosen.loss(net(xs, counts), targets)

    run = stepper(loss, compiled)
    title = f"{cell}, T = {T}" if show else ""
    follow(net, lambda: run(net, *chosen.batch(T, BATCH, rng)), updates, 0.005, title)
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


def judged(rows: Sequence[Row], task: str) -> tuple:
    """What the table says of the runs of one cell and T: of the scores median, least, greatest."""
    ratio = statistics.median(row.ratio for row in rows)
    words = "/".join(dict.fromkeys(say(row.verdict) for row in rows))
    scores = [row.score for row in rows]
    ends = (min(scores), max(scores)) if len(rows) > 1 else ()
    return rows[0].state, ratio, words, statistics.median(scores), *ends


def main(args) -> cli.Table:
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
        compiled=[args.compile is not False],
    )
    with chosen_map(args.jobs, args.dask) as map:
        results = sweep(experiment, points, map)
    form = "{:.3f}" if args.task == "adding" else "{:.0%}"
    columns = {say("state"): "", say("a step back, trained"): "×{:.2f}", "": ""}
    columns |= {say(CHANCE[args.task]): form}
    if args.seeds > 1:
        columns |= {say("least"): form, say("greatest"): form}
    rows = []
    for k in range(0, len(points), args.seeds):
        found = [row for row in results[k : k + args.seeds] if not isinstance(row, Failed)]
        title = f"{points[k]['cell'].rpartition(':')[2]}, T = {points[k]['T']}"
        nothing = (None,) * (len(columns) - 1)
        rows.append((title, *(judged(found, args.task) if found else (say("failed"), *nothing))))
    task, sample, _ = setting(args.task, steps[-1], args.seed)
    table = cli.Table(f"{say(args.task)}: {say(task.about)}", columns, rows)
    print(table)
    for result in results:
        if isinstance(result, Failed):
            print(result)
    xs, targets, counts = sample
    net = network(task, names[-1])
    if not isinstance(results[-1], Failed):
        net.load_state_dict(results[-1].weights)
    graph = mg.Graph(task.loss(net(xs[:, :1], counts), targets[:, :1]))
    ends = "0:5,-5:" if len(graph.time_steps) > 12 else "all"
    args.out.graph(f"{args.task}.svg", graph, view="cells", steps=ends, backward=True)
    return table


TASK = {"choices": ["adding", "copying", "digits"], "default": "adding", "help": "which task"}
STEPS_OF = {"type": cli.length, "nargs": "+", "metavar": "T", "help": "numbers of steps to try"}
CELL = {"metavar": "module:Class", "help": "a cell of yours, made as Class(D, H)"}
OPTIONS = (
    ("--task", TASK),
    ("--T", STEPS_OF),
    cli.updates(600),
    cli.COMPILE,
    ("--cell", CELL),
    *REPETITION,
)

if __name__ == "__main__":
    cli.run(main, "long_memory", __doc__, OPTIONS)
