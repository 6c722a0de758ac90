"""Every sentence about vanishing, exploding, forgetting, gates and cures, and what holds it.

`python -m tests.sentences` prints the sentences of README, docs and docstrings, in both languages, each
with its holder: a row of `tests.claims`, code of the same page that the suite runs, the table of a
demo (`demos.medians`), a definition that a test of the engine holds, or nothing, where a sentence only
names a thing.  The suite fails where a new sentence stands without an entry.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOLD = re.compile(
    r"vanish|explo[ds]|forg[eo]t|\bcure|\bgates? (?:open|shut|decide)|keeps? (?:its|a) gradient"
    r"|biến mất|\bnổ\b|quên|chữa|giữ được gradient",
    re.IGNORECASE,
)
NAMES = "only names it"
PAGE = "code of the same page"
DEFINITION = "tests of minigrad.reports"
SLOW, KEEPS, CLIPS = (
    "an LSTM as it comes forgets slowly with ordinary inputs, a tenth a step",
    "an LSTM with forget bias 2 keeps its gradient with ordinary inputs",
    "clipping does not cure forgetting: what was below the limit stays as it was",
)
ONE, GATES, LITTLE = (
    "gain 1 vanishes more slowly than gain 0.5",
    "forget gates of bias 0, 1, 2 are open by 0.5, 0.73, 0.88",
    "an RNN that forgets (gain 0.5) loses little by truncation: a hundredth in a window of 8",
)
THREE = "gain 3 explodes, and by less than 3 a step"
HOLDERS = {
    # a part of each sentence, and what holds it
    "where a norm explodes": NAMES,
    "nơi chuẩn của gradient nổ": NAMES,
    "a verdict on vanishing and exploding": NAMES,
    "lời kết luận về biến mất và nổ": NAMES,
    "So it vanishes, or explodes": THREE,
    "Vì thế nó biến mất, hoặc nổ": THREE,
    "forgets slowly; with its forget gates wider open": SLOW,
    "quên chậm; khi cổng quên mở rộng hơn": SLOW,
    "three cures that solve it": "clipping",
    "ba cách chữa giải được bài toán": "clipping",
    "whose gradients explode in four ways": "clipping",
    "có gradient nổ theo bốn cách": "clipping",
    "demos.vanishing_and_exploding": NAMES,
    "`vanishing_and_exploding`": NAMES,
    "problem and cure of a first course": NAMES,
    "vấn đề và cách chữa nằm ở đâu": NAMES,
    "W_hh stretches every state": PAGE,
    "W_hh kéo giãn mọi trạng thái": PAGE,
    "1 for forget gates": GATES,
    "riêng cổng quên là 1": GATES,
    "A ratio below 0.9": DEFINITION,
    "Tỉ số dưới 0,9": DEFINITION,
    "Vanishing: below 0.9": DEFINITION,
    "Exploding: above 1.1": DEFINITION,
    "One of: vanishing, exploding": DEFINITION,
    "unless another one explodes": DEFINITION,
    "Does the gradient vanish or explode?": NAMES,
    "Gradient biến mất hay nổ?": NAMES,
    "against measurements over seeds": NAMES,
    "phép đo trên nhiều hạt giống": NAMES,
    "the forget bias": NAMES,
    "bias của cổng quên": NAMES,
    "for a network that forgets and for one that does not": LITTLE,
    "với một mạng hay quên và một mạng không quên": LITTLE,
    "an RNN that forgets (gain 0.5)": LITTLE,
    "The one that forgets loses little": LITTLE,
    "At 1 it vanishes too, more slowly": ONE,
    "Ở 1 gradient cũng biến mất, chỉ chậm hơn": ONE,
    "Clipping cures explosion, not forgetting": CLIPS,
    "chữa được nổ gradient, không chữa được quên": CLIPS,
    "Nothing in it shrinks a gradient": "clipping",
    "three cures for a gradient that explodes": "clipping",
    "the forget gates decide": GATES,
    "là do cổng quên": GATES,
    "a tour through an explosion": PAGE,
    "Does it forget distant days?": "stock_price",
    "in one figure": NAMES,
    "so that they forget or keep their state": KEEPS,
    "one of 2 opens its gates": GATES,
    "which of them has learnt to keep a gradient": NAMES,
    "at each gain, input scale and forget bias": NAMES,
    "writes exactly where it forgets": PAGE,
    "only the forget gate left": NAMES,
    "effectiveness of the forget gate": NAMES,
    "Learning to forget, 2000": NAMES,
}
ELSEWHERE = re.compile(  # the word in another sense
    r"Forget the gradients|rule that was forgotten|bị quên thì được nêu tên"
)


def sentences(text: str) -> Iterator[str]:
    """The sentences and table rows of a text that tell of these things; code is left out."""
    text = re.sub(r"^```\w*\n.*?^```", "\n\n", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(
        r"^#.*$", "", re.sub(r"^\|", "\n\n|", text, flags=re.MULTILINE), flags=re.MULTILINE
    )
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in re.split(r"(?<=[.:;?!])\s+(?=[^a-z0-9])", " ".join(paragraph.split())):
            if TOLD.search(sentence) and not ELSEWHERE.search(sentence) and ">>>" not in sentence:
                yield sentence


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            yield ast.get_docstring(node) or ""


def found() -> Iterator[tuple[str, str]]:
    """(file, sentence) of all of them; the list of the lesson is held by `tests/docs/test_lesson.py`,
    and what the debugger finds by its own tests."""
    pages = [ROOT / "README.md", ROOT / "README.vi.md", *sorted((ROOT / "docs").glob("**/*.md"))]
    for page in pages:
        if page.name not in ("lesson.md", "debugger.md"):
            for sentence in sentences(page.read_text(encoding="utf-8")):
                yield str(page.relative_to(ROOT)), sentence
    for modules in ("demos/**/*.py", "nn/**/*.py", "minigrad/reports.py", "minigrad/flow.py"):
        for module in sorted(ROOT.glob(modules)):
            for text in docstrings(module):
                for sentence in sentences(text):
                    yield str(module.relative_to(ROOT)), sentence


def holder(sentence: str) -> str | None:
    """What holds a sentence; None where nobody has said."""
    return next((by for part, by in HOLDERS.items() if part in sentence), None)


def main() -> None:
    """Print the list."""
    for place, sentence in found():
        print(f"{place}: {sentence}\n    held by: {holder(sentence)}")


if __name__ == "__main__":
    main()
