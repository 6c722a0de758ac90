"""LSTM encoder and decoder: sentences from English to Vietnamese, from short to long.

"on Thursday the doctor came home at ten" becomes "bác sĩ về nhà lúc mười giờ Thứ Năm": the words
change places.  One network reads the English sentence, its last state starts a second one that
writes the Vietnamese one, word by word.  The whole sentence has to pass through that one state.

The sentences grow: who did what; and at what time; and on which weekday; two such clauses.  The
vanilla RNN translates the shortest ones; of longer ones it keeps who did what, and guesses hour and
weekday.  The LSTM, trained for as long, keeps sentences twice as long; what it loses first is the
weekday, which is read first and written last.  With attention each word that is written looks back
at all that was read, and length matters no more; the picture shows where it looks.

Sentences are made from a small grammar (weekdays by Babel), those of the test have not been seen;
their words have.  It is a small language with a real change of order.
"""

from collections.abc import Iterable
from operator import eq

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say
from demos.grammar import LEVELS, Sentence, facts, pairs, weekdays
from demos.training import descend

EMBEDDING, HIDDEN, BATCH, SENTENCES, TEST = 32, 96, 32, 6000, 300
PAD, START, END = 0, 1, 2


class Translator(nn.Module):
    """Encoder, decoder, and, if wanted, dot attention (Luong, Pham & Manning 2015) from each output to all inputs."""

    def __init__(self, source: int, target: int, cell: type[nn.Cell], attention: bool) -> None:
        self.source, self.target = nn.Embedding(source, EMBEDDING), nn.Embedding(target, EMBEDDING)
        self.encoder = nn.Unroll(cell(EMBEDDING, HIDDEN))
        self.decoder = nn.Unroll(cell(EMBEDDING, HIDDEN))
        self.head = nn.Linear(2 * HIDDEN if attention else HIDDEN, target)
        self.attention = attention

    def read(self, xs):
        """xs (S, B) padded -> outputs (S, B, H), which of them are padding (B, 1, S), last state."""
        ys, state = self.encoder(self.source(xs), lengths=(xs != PAD).sum(0))
        return ys, (xs == PAD).T[:, None], state

    def write(self, tokens, state, ys, padding):
        """tokens (T, B), each what was written before -> scores (T, B, V), attention, state."""
        hs, state = self.decoder(self.target(tokens), state)
        if not self.attention:
            return self.head(hs), None, state
        scores = np.transpose(hs, (1, 0, 2)) @ np.transpose(ys, (1, 2, 0)) / HIDDEN**0.5
        weights = mg.softmax(np.where(padding, -1e9, scores), axis=-1)
        context = np.transpose(weights @ np.transpose(ys, (1, 0, 2)), (1, 0, 2))
        return self.head(np.concatenate([hs, context], axis=-1)), weights, state

    def forward(self, xs, before):
        """Scores of every next token when the right ones went before."""
        ys, padding, state = self.read(xs)
        return self.write(before, state, ys, padding)[0]

    def translate(self, xs, longest: int):
        """The likeliest token each time: (T, B), and the weights of attention (B, T, S)."""
        with mg.no_grad():
            ys, padding, state = self.read(xs)
            token, written, looks = np.full((1, xs.shape[1]), START), [], []
            for _ in range(longest):
                scores, weights, state = self.write(token, state, ys, padding)
                token = scores.data.argmax(axis=-1)
                written.append(token[0])
                looks += [weights.data] if weights is not None else []
        return np.array(written), np.concatenate(looks, axis=1) if looks else None


def numbers(sentences: list[Sentence], vocabulary: list[str]) -> np.ndarray:
    """(T, B) integers, each sentence closed by END and padded."""
    index = {word: k for k, word in enumerate(vocabulary)}
    table = np.full((max(map(len, sentences)) + 1, len(sentences)), PAD)
    for b, words in enumerate(sentences):
        table[: len(words) + 1, b] = [*(index[word] for word in words), END]
    return table


def train(
    net: Translator, xs: np.ndarray, ys: np.ndarray, updates: int, rate: float, rng, what: str
) -> None:
    """Teacher forcing: the decoder is shown the right word before each one."""

    def loss():
        batch = rng.choice(xs.shape[1], BATCH, replace=False)
        x, y = xs[:, batch], ys[:, batch]
        x, y = x[: (x != PAD).any(axis=1).sum()], y[: (y != PAD).any(axis=1).sum()]
        before = np.concatenate([np.full((1, BATCH), START), y[:-1]])
        return nn.cross_entropy(net(x, before), y, ignore_index=PAD)

    descend(net, loss, updates, rate, what)


def words(column: np.ndarray, vocabulary: list[str]) -> Sentence:
    """The words of one column up to END."""
    column = column[: np.argmax(column == END)] if END in column else column
    return [vocabulary[k] for k in column]


def look(weights: np.ndarray, source: Sentence, target: Sentence, out: cli.Out) -> None:
    """The attention of one translation as a heat map: rows are written, columns are read."""

    def draw(axes) -> None:
        axes.imshow(weights[: len(target) + 1, : len(source) + 1], cmap="magma_r", vmin=0, vmax=1)
        axes.set_xticks(range(len(source) + 1), [*source, say("end")], rotation=60)
        axes.set_yticks(range(len(target) + 1), [*target, say("end")])

    out.plot("attention.png", draw, (6, 5))


def share(right: Iterable[bool]) -> float:
    """The part that is true."""
    return float(np.mean(list(right)))


def main(args) -> list[cli.Table]:
    rng, days = np.random.default_rng(args.seed), weekdays()
    count = 500 if args.quick else SENTENCES
    texts = pairs(rng.integers(0, LEVELS, count), days, rng)
    tests = [pairs(np.full(TEST, level), days, rng) for level in range(LEVELS)]
    vocabulary = [
        ["·", "<", ">", *sorted({w for some in (texts, *tests) for s in some[k] for w in s})]
        for k in (0, 1)
    ]
    xs, ys = (numbers(texts[k], vocabulary[k]) for k in (0, 1))
    sizes = [len(words) for words in vocabulary]
    exact, kept = [], []
    kinds = {
        say("vanilla RNN"): (nn.RNNCell, False, 600, 0.003),
        "LSTM": (nn.LSTMCell, False, 600, 0.01),
        say("LSTM with attention"): (nn.LSTMCell, True, 200, 0.01),
    }
    for name, (cell, attention, usual, rate) in kinds.items():
        net = Translator(*sizes, cell, attention)
        train(net, xs, ys, args.updates or (10 if args.quick else usual), rate, rng, name)
        said, weights = zip(*(net.translate(numbers(t[0], vocabulary[0]), 30) for t in tests))
        texts = [[words(column, vocabulary[1]) for column in some.T] for some in said]
        exact.append((name, *(share(map(eq, text, t[1])) for text, t in zip(texts, tests))))
        found = np.array([facts(s) for s in texts[2]]) == [facts(s) for s in tests[2][1]]
        kept.append((name, *map(float, found.mean(axis=0))))
    lengths = [round(float(np.mean([len(s) for s in test[0]]))) for test in tests]
    columns = {say("{} words", length): "{:.0%}" for length in lengths}
    right = cli.Table(say("exactly right, of {} unseen", TEST), columns, exact)
    columns = dict.fromkeys(
        map(say, ("who did what", "hour (read last)", "weekday (read first)")), "{:.0%}"
    )
    lost = cli.Table(say("of {} words: right", lengths[2]), columns, kept)
    print(right)
    print(lost)
    source = tests[2][0][0]
    print("\n" + say("{}  →  {}", " ".join(source), " ".join(texts[2][0])))
    look(weights[2][0], source, texts[2][0], args.out)
    before = np.concatenate([np.full((1, 1), START), ys[:-1, :1]])[:5]
    graph = mg.Graph(nn.cross_entropy(net(xs[:5, :1], before), ys[:5, :1], ignore_index=PAD))
    args.out.graph("graph.svg", graph, view="cells")
    return [right, lost]


OPTIONS = (cli.updates("600; 600; 200"),)

if __name__ == "__main__":
    cli.run(main, "translation", __doc__, OPTIONS)
