"""Deep RNN: which letter comes next in Shakespeare?

Two LSTMs, one on top of the other, read five tragedies letter by letter and learn to continue them,
by truncated backpropagation through time: windows of 50 letters, the state carried from one to the
next, the graph cut between them.  The last part of the text is the test; bits per character are
compared with n-grams that back off to shorter ones (Witten & Bell 1991), and with one LSTM that has
about as many parameters and is trained for as long: what does depth bring?  Early in training,
nothing: in the minute of this demo the two are about level.

Then the deep network writes, more and more daringly, as the temperature rises.  --text wards learns
the names of Vietnamese wards and communes instead.  In a minute it learns words and stage
directions, not sense.
"""

import math
from collections import Counter, defaultdict

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say
from demos.training import stepper

EMBEDDING, WINDOW, BATCH, RATE = 48, 50, 16, 0.01
SIZES = ((192, 1), (128, 2))  # states of a layer, and layers; the last one writes
FILES = {"shakespeare": "shakespeare-tragedies.txt.gz", "wards": "vietnam-wards.txt.gz"}


class Writer(nn.Module):
    """Scores of the next letter:  o = h W + b  on stacked LSTMs."""

    def __init__(self, letters: int, hidden: int, layers: int) -> None:
        self.embedding = nn.Embedding(letters, EMBEDDING)
        self.rnn = nn.LSTM(EMBEDDING, hidden, num_layers=layers)
        self.head = nn.Linear(hidden, letters)

    def forward(self, xs, state=None):
        """xs (T, B) -> scores (T, B, letters), state."""
        ys, state = self.rnn(self.embedding(xs), state)
        return self.head(ys), state


class NGrams:
    """Letters counted after every context of up to n − 1 letters; P mixes each context with the next shorter one."""

    def __init__(self, text: str, n: int) -> None:
        self.n, self.letters = n, len(set(text))
        self.after: dict[str, Counter[str]] = defaultdict(Counter)
        for length in range(n):
            for k in range(length, len(text)):
                self.after[text[k - length : k]][text[k]] += 1
        self.total = {context: counts.total() for context, counts in self.after.items()}

    def probability(self, context: str, letter: str) -> float:
        """P(letter | context), mixed from the shortest context to the longest."""
        p = 1 / self.letters
        for length in range(min(self.n, len(context) + 1)):
            counts = self.after.get(context[len(context) - length :])
            if counts is None:
                break
            total, kinds = self.total[context[len(context) - length :]], len(counts)
            p = (counts[letter] + kinds * p) / (total + kinds)
        return p

    def bits(self, text: str) -> float:
        """Bits per character."""
        logs = [
            math.log2(self.probability(text[max(0, k - self.n + 1) : k], text[k]))
            for k in range(len(text))
        ]
        return -sum(logs) / len(logs)


def window_loss(net, xs, ys, state):
    """The loss of a window, and the state that the next one starts from."""
    scores, state = net(xs, state)
    return nn.cross_entropy(scores, ys), state


def train(net: Writer, ids: np.ndarray, updates: int, what: str, compiled: bool) -> None:
    """Adam on windows in the order of the text, in 16 places at once; a place that ends begins again."""
    length = len(ids) // BATCH
    streams = ids[: length * BATCH].reshape(BATCH, length).T
    optimizer, start = nn.Adam(net.parameters(), lr=RATE), 0
    step, zeros = stepper(window_loss, compiled), net.rnn.initial_state(BATCH)
    state = zeros
    for k in cli.progress(range(updates), what):
        optimizer.param_groups[0]["lr"] = RATE * (1 - 0.95 * k / updates)
        if start + WINDOW >= length:
            state, start = zeros, 0
        xs, ys = (streams[start + k : start + k + WINDOW] for k in (0, 1))
        optimizer.zero_grad()
        _, state = step(net, xs, ys, state)
        mg.clip_grad_norm_(net, 1.0)
        optimizer.step()
        start += WINDOW


def bits(net: Writer, ids: np.ndarray) -> float:
    """Bits per character over the text, read in 16 pieces from a state of zeros."""
    length = (len(ids) - 1) // 16
    xs, ys = (ids[k : k + 16 * length].reshape(16, length).T for k in (0, 1))
    losses, state = [], None
    with mg.no_grad():
        for start in range(0, length, 200):
            scores, state = net(xs[start : start + 200], state)
            losses += [nn.cross_entropy(scores, ys[start : start + 200]).item()] * len(
                xs[start : start + 200]
            )
    return float(np.mean(losses)) / math.log(2)


def sample(
    net: Writer, alphabet: list[str], first: str, count: int, temperature: float, rng
) -> str:
    """Letters drawn one by one from softmax(scores / temperature)."""
    written, state = list(first), None
    with mg.no_grad():
        for k in range(len(first) + count - 1):
            scores, state = net(np.array([[alphabet.index(written[k])]]), state)
            if k + 1 == len(written):
                p = np.exp((scores.data[0, 0] - scores.data.max()).astype(np.float64) / temperature)
                written.append(alphabet[rng.choice(len(p), p=p / p.sum())])
    return "".join(written)


def main(args) -> cli.Table:
    rng = np.random.default_rng(args.seed)
    text = cli.text(FILES[args.text])
    text = text[: 20_000 if args.quick else None]
    alphabet = sorted(set(text))
    ids = np.array([alphabet.index(letter) for letter in text])
    cut = int(0.95 * len(text))
    held = text[cut:]
    rows = [(f"{n}-gram", NGrams(text[:cut], n).bits(held), None) for n in (1, 3, 5)]
    usual, compiled = 240 if args.text == "shakespeare" else 200, args.compile is not False
    usual = int(3.5 * usual) if compiled else usual
    for hidden, layers in SIZES:
        net = Writer(len(alphabet), hidden, layers)
        name = say("{} × LSTM of {} states", layers, hidden)
        train(net, ids[:cut], args.updates or (4 if args.quick else usual), name, compiled)
        rows.append((name, bits(net, ids[cut:]), sum(p.size for p in net.parameters())))
    columns = {say("bits per character"): "{:.3f}", say("parameters"): "{:,}"}
    found = cli.Table(say("{:,} letters never seen", len(held)), columns, rows)
    print(found)
    first, count = ("\nKING. ", 240) if args.text == "shakespeare" else ("\n", 120)
    for temperature in (0.5, 0.8, 1.0):
        written = sample(net, alphabet, first, 20 if args.quick else count, temperature, rng)
        print("\n" + say("temperature {}:", temperature) + f"\n{written.strip()}")
    scores, _ = net(ids[:5, None])
    graph = mg.Graph(nn.cross_entropy(scores, ids[1:6, None]))
    args.out.graph("graph.svg", graph, view="cells", backward=True)
    return found


TEXT = {"choices": list(FILES), "default": "shakespeare", "help": "what to read"}
OPTIONS = (("--text", TEXT), cli.updates("840, 240 without --compile"), cli.COMPILE)

if __name__ == "__main__":
    cli.run(main, "language_model", __doc__, OPTIONS)
