"""Bidirectional GRU: strings of spoken digits, written down with CTC.

Recordings of single digits are joined into strings of three to five; nobody tells the network where one ends.
Connectionist temporal classification (Graves et al. 2006) sums over all ways to lay the digits along the sound.  Its
forward recursion is itself a cell here, in log space, unrolled by `nn.Unroll`; its gradient is plain backpropagation
through time.  A network that hears both directions is compared with one that hears only the past.

The recordings name no speakers, so those of the test are heard in training too.
"""

from typing import NamedTuple

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say
from demos.training import follow, stepper

HIDDEN, BATCH, STACKED, BLANK = 48, 32, 2, 10
ZERO = -1e30  # log 0, finite so that differences stay numbers


class CTCCell(nn.Cell):
    """
    a_t(s) = log( e^a(s) + e^a(s−1) + skip(s) e^a(s−2) ) + x_t(s)

    Shapes: x (B, S) log-probabilities of the labels with blanks between; a (B, S) log-probability of all ways to have
    said the first s of them by t; skip (B, S): 0 where s may follow s − 2, log 0 elsewhere.
    """

    def __init__(self, skip: np.ndarray, start: np.ndarray) -> None:
        self.skip, self.start = skip, start

    def initial_state(self, batch_size=None):
        return mg.tensor(self.start, name="a_init")

    def forward(self, x, a_prev):
        one = np.pad(a_prev[:, :-1], ((0, 0), (1, 0)), constant_values=ZERO)
        two = np.pad(a_prev[:, :-2], ((0, 0), (2, 0)), constant_values=ZERO) + self.skip
        a = mg.logsumexp(np.stack([a_prev, one, two]), axis=0) + x
        return a, a


class Labels(NamedTuple):
    """What is said, as the CTC cell reads it: labels with blanks between (B, S), `skip` of the cell,
    where it starts (nothing is said yet), and the two ends of each row (B, 2).
    """

    extended: np.ndarray
    skip: np.ndarray
    start: np.ndarray
    ends: np.ndarray


def laid_out(labels: list[list[int]]) -> Labels:
    """The labels of a batch as arrays."""
    S = 2 * max(map(len, labels)) + 1
    extended = np.full((len(labels), S), BLANK)
    for row, digits in zip(extended, labels):
        row[1 : 2 * len(digits) : 2] = digits
    skip = np.full(extended.shape, ZERO, np.float32)
    skip[:, 2:][(extended[:, 2:] != BLANK) & (extended[:, 2:] != extended[:, :-2])] = 0
    start = np.full(extended.shape, ZERO, np.float32)
    start[:, 0] = 0
    ends = np.array([[2 * len(digits), 2 * len(digits) - 1] for digits in labels])
    return Labels(extended, skip, start, ends)


def ctc_loss(log_p, lengths: np.ndarray, labels: Labels):
    """−log P(labels | sound), a mean over the batch.  log_p (T, B, 11), lengths (B)."""
    rows = np.arange(len(lengths))[:, None]
    xs = log_p[:, rows, labels.extended]
    _, a = nn.Unroll(CTCCell(labels.skip, labels.start))(xs, lengths=lengths)
    return -mg.logsumexp(a[rows, labels.ends], axis=1).mean()


def spoken_loss(net, xs, lengths, labels):
    """The loss of a batch of sounds."""
    return ctc_loss(net(xs, lengths), lengths, labels)


class Listener(nn.Module):
    """log softmax(y W + b) on a GRU over the frames, in one direction or in both."""

    def __init__(self, features: int, both: bool) -> None:
        self.rnn = nn.GRU(features, HIDDEN, bidirectional=both)
        self.head = nn.Linear(HIDDEN * (2 if both else 1), 11)

    def forward(self, xs, lengths):
        """xs (T, B, features) -> log-probabilities (T, B, 11)."""
        ys, _ = self.rnn(xs, lengths=lengths)
        return mg.log_softmax(self.head(ys), axis=-1)


def recordings() -> tuple[list[np.ndarray], np.ndarray]:
    """Each digit's frames (frames, 13), of mean 0 and variance 1, and which digit it is."""
    data = np.load(cli.DATA / "spoken-digits-mfcc.npz")
    frames = data["mfcc"].astype(np.float32)
    frames = (frames - frames.mean(axis=0)) / frames.std(axis=0)
    return np.split(frames, np.cumsum(data["lengths"].astype(int))[:-1]), data["digit"].astype(int)


def strings(
    digits: list, names: np.ndarray, count: int, rng
) -> tuple[np.ndarray, np.ndarray, list[list[int]]]:
    """Strings of 3 to 5 digits, two frames to a step: xs (T, B, 26), lengths (B), labels."""
    chosen = [rng.integers(0, len(digits), rng.integers(3, 6)) for _ in range(count)]
    sounds = [np.concatenate([digits[k] for k in ks]) for ks in chosen]
    lengths = np.array([len(sound) // STACKED for sound in sounds])
    xs = np.zeros((lengths.max(), count, 13 * STACKED), np.float32)
    for b, (sound, length) in enumerate(zip(sounds, lengths)):
        xs[:length, b] = sound[: length * STACKED].reshape(length, -1)
    return xs, lengths, [names[ks].tolist() for ks in chosen]


def written(log_p: np.ndarray, length: int) -> list[int]:
    """The likeliest label of each step, repetitions and blanks left out."""
    best = log_p[:length].argmax(axis=1)
    return [int(k) for k, before in zip(best, [BLANK, *best[:-1]]) if k not in (before, BLANK)]


def distance(a: list[int], b: list[int]) -> int:
    """The fewest insertions, deletions and substitutions that make b of a."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def align(log_p: np.ndarray, out: cli.Out, name: str, said: list[int]) -> None:
    """When which label is heard, as a picture."""

    def draw(axes) -> None:
        axes.imshow(np.exp(log_p.T), aspect="auto", cmap="magma_r", vmin=0, vmax=1)
        axes.set_yticks(range(11), [*range(10), say("blank")])
        title = say("said: {}", " ".join(map(str, said)))
        axes.set(xlabel=say("step of two frames"), title=title)

    out.plot(f"alignment-{name}.png", draw)


def main(args) -> cli.Table:
    rng = np.random.default_rng(args.seed)
    digits, names = recordings()
    order = np.random.default_rng(0).permutation(len(digits))
    (test, test_names), (seen, seen_names) = (
        ([digits[k] for k in part], names[part]) for part in np.split(order, [600])
    )
    xs, lengths, labels = strings(test, test_names, 20 if args.quick else 300, rng)
    rows = []
    for both in (True, False):
        name = say("both directions") if both else say("one direction")
        net = Listener(13 * STACKED, both)

        step = stepper(spoken_loss, args.compile is not False)

        def backward(net=net, step=step):  # strings joined anew for every step
            sounds, T, digits = strings(seen, seen_names, BATCH, rng)
            return step(net, sounds, T, laid_out(digits))

        updates = args.updates or (3 if args.quick else 330)
        follow(net, backward, updates, 0.008, name, max_norm=5.0)
        with mg.no_grad():
            log_p = net(xs, lengths).data
        heard = [written(log_p[:, b], lengths[b]) for b in range(len(labels))]
        errors = np.array(list(map(distance, heard, labels)))
        wrong = float(errors.sum() / sum(map(len, labels)))
        rows.append((name, float(np.mean(errors == 0)), wrong))
        align(log_p[: lengths[0], 0], args.out, "both" if both else "one", labels[0])
    columns = {say("exactly right"): "{:.1%}", say("errors in digits"): "{:.1%}"}
    found = cli.Table(say("{} strings of 3 to 5 digits", len(labels)), columns, rows)
    print(found)
    log_p = mg.log_softmax(
        mg.tensor(np.zeros((5, 1, 11)), requires_grad=True, name="scores"), axis=-1
    )
    short = ctc_loss(log_p, np.array([5]), laid_out([[7, 7]]))
    args.out.graph("ctc.svg", mg.Graph(short), view="ops", backward=True)
    return found


OPTIONS = (cli.updates(330), cli.COMPILE)

if __name__ == "__main__":
    cli.run(main, "speech", __doc__, OPTIONS)
