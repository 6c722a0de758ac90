"""LSTM encoder and decoder: dates from English to Vietnamese, and back.

"Thursday, March 5, 2020" becomes "Thứ Năm, 5 tháng 3, 2020": the words change places.  An LSTM reads the one, its
state starts a second LSTM that writes the other, token by token.  With attention, each word that is written also looks
back at all that was read; the picture shows where.  Judged by whole dates, never seen before, exactly right.

The dates are unseen, their words are not; this is a real change of order on a small language.
"""

import datetime
import importlib
import re

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.training import descend

EMBEDDING, HIDDEN, BATCH, TEST = 32, 96, 32, 500
PAD, START, END = 0, 1, 2
Tokens = list[list[str]]


class Translator(nn.Module):
    """Encoder, decoder, and, if wanted, dot attention (Luong, Pham & Manning 2015) from each output to all inputs."""

    def __init__(self, source: int, target: int, attention: bool) -> None:
        self.source, self.target = nn.Embedding(source, EMBEDDING), nn.Embedding(target, EMBEDDING)
        self.encoder = nn.Unroll(nn.LSTMCell(EMBEDDING, HIDDEN))
        self.decoder = nn.Unroll(nn.LSTMCell(EMBEDDING, HIDDEN))
        self.head = nn.Linear(2 * HIDDEN if attention else HIDDEN, target)
        self.attention = attention

    def read(self, xs):
        """xs (S, B) padded -> outputs (S, B, H), which of them are padding (B, 1, S), last state."""
        ys, state = self.encoder(self.source(xs), lengths=(xs != PAD).sum(0))
        return ys, (xs == PAD).T[:, None], state

    def write(self, tokens, state, ys, padding):
        """tokens (T, B), each what was written before -> scores (T, B, V), weights of attention, state."""
        hs, state = self.decoder(self.target(tokens), state)
        if not self.attention:
            return self.head(hs), None, state
        scores = (
            np.transpose(hs, (1, 0, 2)) @ np.transpose(ys, (1, 2, 0)) / HIDDEN**0.5
        )  # (B, T, S)
        weights = mg.softmax(np.where(padding, -1e9, scores), axis=-1)
        context = np.transpose(weights @ np.transpose(ys, (1, 0, 2)), (1, 0, 2))
        return self.head(np.concatenate([hs, context], axis=-1)), weights, state

    def forward(self, xs, before):
        """Scores of every next token when the right ones went before."""
        ys, padding, state = self.read(xs)
        return self.write(before, state, ys, padding)[0]

    def translate(self, xs, longest: int = 16):
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


def pairs(count: int, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
    """Distinct dates from 1950 to 2049 in English and in Vietnamese, as tokens; a year is two of them: 20 20."""
    try:
        format_date = importlib.import_module("babel.dates").format_date
    except ImportError:
        raise cli.UsageError(
            "the dates are written by Babel; install it:  pip install -e '.[demos]'"
        ) from None
    first = datetime.date(1950, 1, 1)
    dates = [
        first + datetime.timedelta(days=int(day))
        for day in rng.choice(36_525, count, replace=False)
    ]
    return tuple(
        [
            re.findall(r"\d\d(?=\d\d)|\w+|,", format_date(date, "full", locale=locale))
            for date in dates
        ]
        for locale in ("en", "vi")
    )


def numbers(sentences: Tokens, vocabulary: list[str]) -> np.ndarray:
    """(T, B) integers, each sentence closed by END and padded."""
    index = {word: k for k, word in enumerate(vocabulary)}
    table = np.full((max(map(len, sentences)) + 1, len(sentences)), PAD)
    for b, words in enumerate(sentences):
        table[: len(words) + 1, b] = [*(index[word] for word in words), END]
    return table


def words(column: np.ndarray, vocabulary: list[str]) -> list[str]:
    """The words of one column up to END."""
    column = column[: np.argmax(column == END)] if END in column else column
    return [vocabulary[k] for k in column]


def train(
    net: Translator,
    xs: np.ndarray,
    ys: np.ndarray,
    updates: int,
    rng: np.random.Generator,
    what: str,
) -> None:
    """Teacher forcing: the decoder is shown the right token before each one."""

    def loss():
        batch = rng.choice(xs.shape[1], BATCH, replace=False)
        before = np.concatenate([np.full((1, BATCH), START), ys[:-1, batch]])
        return nn.cross_entropy(net(xs[:, batch], before), ys[:, batch], ignore_index=PAD)

    descend(net, loss, updates, 0.01, what)


def look(
    weights: np.ndarray, source: list[str], target: list[str], out: cli.Out, name: str
) -> None:
    """The attention of one translation as a heat map: rows are written, columns are read."""

    def draw(axes) -> None:
        axes.imshow(weights[: len(target) + 1, : len(source) + 1], cmap="magma_r", vmin=0, vmax=1)
        axes.set_xticks(range(len(source) + 1), [*source, "end"], rotation=60)
        axes.set_yticks(range(len(target) + 1), [*target, "end"])

    out.plot(f"attention-{name}.png", draw, (6, 5))


def main(args) -> None:
    rng = np.random.default_rng(args.seed)
    texts = dict(zip(("English", "Vietnamese"), pairs(1000 if args.quick else 5500 + TEST, rng)))
    vocabulary = {
        k: ["·", "<", ">", *sorted({w for s in text for w in s})] for k, text in texts.items()
    }
    table = {k: numbers(text, vocabulary[k]) for k, text in texts.items()}
    rows, there, back = [], list(texts), list(texts)[::-1]
    for (source, target), attention in ((there, False), (there, True), (back, True)):
        what = f"{source} to {target}, {'with' if attention else 'without'} attention"
        net = Translator(len(vocabulary[source]), len(vocabulary[target]), attention)
        xs, ys = table[source], table[target]
        usual = 300 if attention else 1000
        updates = args.updates or (10 if args.quick else usual)
        train(net, xs[:, TEST:], ys[:, TEST:], updates, rng, what)
        written, weights = net.translate(xs[:, :TEST])
        said = [words(column, vocabulary[target]) for column in written.T]
        right = np.mean([a == b for a, b in zip(said, texts[target])])
        rows.append([what, f"{100 * right:.1f} %"])
        print(
            f"\n{' '.join(texts[source][0])}  →  {' '.join(said[0])}    (right: {' '.join(texts[target][0])})"
        )
        if weights is not None:
            look(
                weights[0],
                texts[source][0],
                said[0],
                args.out,
                f"{source[:2]}-{target[:2]}".lower(),
            )
    cli.table(
        [f"{TEST} unseen dates", "exactly right"], [["the commonest translation", "0.0 %"], *rows]
    )
    before = np.concatenate([np.full((1, 1), START), ys[:-1, :1]])
    graph = mg.Graph(nn.cross_entropy(net(xs[:, :1], before), ys[:, :1], ignore_index=PAD))
    args.out.graph("graph.svg", graph, view="cells")


if __name__ == "__main__":
    updates = (
        "--updates",
        {"type": cli.positive, "metavar": "N", "help": "steps of training (1000; attention 300)"},
    )
    cli.run(main, "translation", __doc__, updates)
