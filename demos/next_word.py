"""Next word: "Hôm nay trời rất ___" (today the weather is very ___).

Whoever sees only "rất" (very) cannot know what comes: "đẹp" (fine), "ngon" (tasty), "giỏi"
(clever)?  Whoever remembers "Hôm nay trời" can.  A vanilla RNN reads Vietnamese sentences word by
word and says after each what may come next; beside it stand a table of pairs, which sees one word,
and one of triples, which sees two.

The 440 sentences were written for this project: short, everyday, about weather, food, people and
places; they come with it, under its licence.  A word is what stands between two spaces, a syllable.
A fifth of the sentences is the test.  There the triples do at least as well: few sentences need more
than two words, and 350 of them teach a network little.  What it has learnt is seen in the gap.
"""

import math
import re
from collections import Counter, defaultdict

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say
from demos.training import descend

WIDTH, HIDDEN, BATCH, UNKNOWN = 24, 48, 32, "?"
BEGINNINGS = (
    "Hôm nay trời rất",
    "Đêm qua trời rất",
    "Món phở này rất",
    "Con mèo nhà tôi rất",
    "Anh tôi đá bóng rất",
    "rất",
)


class Reader(nn.Module):
    """o_t = h_t W + b: a score for each word that may come next, on a vanilla RNN."""

    def __init__(self, words: int) -> None:
        self.embedding = nn.Embedding(words, WIDTH)
        self.dropout = nn.Dropout(0.3)
        self.rnn = nn.RNN(WIDTH, HIDDEN)
        self.head = nn.Linear(HIDDEN, words)

    def forward(self, xs):
        """xs (T, B) -> scores (T, B, words)."""
        ys, _ = self.rnn(self.dropout(self.embedding(xs)))
        return self.head(self.dropout(ys))


def words_of(sentence: str) -> list[str]:
    """The words and signs, the first one small as if it stood within a sentence."""
    words = re.findall(r"\w+|[,.]", sentence)
    return [words[0].lower(), *words[1:]] if words else []


class Counts:
    """How often each word came after each `seen` words; mixed with shorter contexts."""

    def __init__(self, sentences: list[list[str]], seen: int, vocabulary: list[str]) -> None:
        self.seen, self.vocabulary = seen, vocabulary
        self.after: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for words in sentences:
            for k in range(1, len(words)):
                for n in range(min(seen, k) + 1):
                    self.after[tuple(words[k - n : k])][words[k]] += 1

    def probabilities(self, before: list[str]) -> np.ndarray:
        """P(next word) for the whole vocabulary."""
        p = np.full(len(self.vocabulary), 1 / len(self.vocabulary))
        for n in range(min(self.seen, len(before)) + 1):
            counts = self.after.get(tuple(before[len(before) - n :]))
            if counts:
                kinds = len(counts)
                found = np.array([counts[word] for word in self.vocabulary])
                p = (found + kinds * p) / (counts.total() + kinds)
        return p


def of_network(net: Reader, vocabulary: list[str], before: list[str]) -> np.ndarray:
    """P(next word) of the network."""
    net.eval()
    index = {word: k for k, word in enumerate(vocabulary)}
    with mg.no_grad():
        scores = net(np.array([[index.get(word, 0)] for word in before])).data[-1, 0]
    p = np.exp((scores - scores.max()).astype(np.float64))
    return p / p.sum()


def train(net: Reader, sentences: list[list[str]], index: dict, updates: int, rng) -> None:
    """Cross-entropy of every next word; sentences that end early are padded, which does not count."""
    longest = max(map(len, sentences))
    table = np.full((longest, len(sentences)), -1)
    for b, words in enumerate(sentences):
        table[: len(words), b] = [index.get(word, 0) for word in words]

    def loss():
        batch = table[:, rng.choice(len(sentences), BATCH, replace=False)]
        return nn.cross_entropy(net(np.maximum(batch[:-1], 0)), batch[1:], ignore_index=-1)

    net.train()
    descend(net, loss, updates, 0.005, "RNN")


def judged(probabilities, test: list[list[str]], index: dict) -> tuple[float, float, float]:
    """Bits a word; how often the word after "rất" is the likeliest one, and among the first five."""
    bits, ranks = [], []
    for words in test:
        for k in range(1, len(words)):
            if words[k] not in index:
                continue  # never seen in training: nobody can say it
            p = probabilities(words[:k])
            mine = p[index[words[k]]]
            bits.append(-math.log2(mine))
            if words[k - 1] == "rất":
                ranks.append(int((p > mine).sum()))
    first = np.array(ranks)
    return float(np.mean(bits)), float(np.mean(first < 1)), float(np.mean(first < 5))


def completions(models: dict, vocabulary: list[str]) -> None:
    """What each model would write into the gap."""
    for beginning in BEGINNINGS:
        print(f"\n  {beginning} ___")
        for name, probabilities in models.items():
            p = probabilities(words_of(beginning))
            best = np.argsort(-p)[:5]
            said = "  ".join(f"{vocabulary[k]} {p[k]:.0%}" for k in best)
            print(f"    {name:{max(map(len, models))}}  {said}")


def main(args) -> cli.Table:
    rng = np.random.default_rng(args.seed)
    lines = (cli.DATA / "vietnamese-sentences.txt").read_text(encoding="utf-8").splitlines()
    sentences = [words_of(line) for line in rng.permutation(lines)]
    test, seen = sentences[: len(lines) // 5], sentences[len(lines) // 5 :]
    vocabulary = [UNKNOWN, *sorted({word for words in seen for word in words})]
    index = {word: k for k, word in enumerate(vocabulary)}
    net = Reader(len(vocabulary))
    train(net, seen, index, args.updates or (10 if args.quick else 800), rng)
    models = {
        say("pairs: one word"): Counts(seen, 1, vocabulary).probabilities,
        say("triples: two words"): Counts(seen, 2, vocabulary).probabilities,
        say("RNN: all words before"): lambda before: of_network(net, vocabulary, before),
    }
    rows = [(name, *judged(model, test, index)) for name, model in models.items()]
    columns = {
        say("bits a word"): "{:.2f}",
        say('word after "rất"'): "{:.0%}",
        say("among the first 5"): "{:.0%}",
    }
    found = cli.Table(say("{} sentences never seen", len(test)), columns, rows)
    print(found)
    completions(models, vocabulary)
    xs = np.array([[index.get(word, 0)] for word in words_of("Hôm nay trời rất đẹp")])
    loss = nn.cross_entropy(net(xs[:-1]), xs[1:])
    args.out.graph("graph.svg", mg.Graph(loss), view="cells", count_from=1, backward=True)
    return found


OPTIONS = (cli.updates(800),)

if __name__ == "__main__":
    cli.run(main, "next_word", __doc__, OPTIONS)
