"""Breakpoints: conditions on a step of a backward pass, parsed into comparisons and nothing else.  Imports `facts`.

`norm > 100`, `t == 3 and op == tanh`, `nonfinite`, `h[3]`, `train.py:12`, `pass == 812`: the fields are `Facts`.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Callable
from typing import Any

from minigrad.backward import Step
from minigrad.debugger.facts import FIELDS, Facts, nearest, spelled

_TEXTS = ("name", "op", "axis", "scope", "line")
_COMPARISONS = (ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Tuple, ast.List, ast.Constant)
_SIGNS = (
    ast.boolop,
    ast.unaryop,
    ast.cmpop,
    ast.expr_context,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.Mod,
)
_SPELLING = (  # what one may write, and the Python that it stands for
    (r"(?<![=!<>])=(?!=)", "=="),
    (r"\bpass\b", "pass_"),
    (r"(?:\./)?([\w./\\<>-]*\.py|<[\w -]+>):(\d+)", r"(line == '\1:\2')"),
)


class _Reader(ast.NodeTransformer):
    """Looks the fields of a condition up in `facts`; bare words are texts, and whatever is no comparison is refused.

    fields: those it asks for.  words: the pairs (field, text) that only a graph can tell to be right.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.words: list[tuple[str, Any]] = []
        self.fields: set[str] = set()
        self.field = ""  # what is being compared; "" outside of comparisons

    def visit_Name(self, node: Any) -> ast.expr:
        """A field; else a word."""
        if _is_field(node):
            self.fields.add(node.id)
            return ast.Attribute(ast.Name("facts", ast.Load()), node.id, ast.Load())
        word = ast.unparse(node)
        if self.field in _TEXTS:
            return ast.Constant(word)
        if self.field:
            raise ValueError(
                f"condition {self.text!r}: unknown field {word!r}{nearest(word, FIELDS)}"
            )
        return self.visit(_equal("name", ast.Constant(word)))

    visit_Attribute = visit_Name  # noqa: N815

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """h[3] is h at t == 3."""
        if self.field:
            raise self._refusal(node)
        at = self.visit(_equal("t", node.slice))
        return ast.BoolOp(ast.And(), [at, self.visit(node.value)])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Words beside a text field are texts."""
        around = self.field
        parts: list[Any] = [node.left, *node.comparators]
        self.field = next((part.id for part in parts if _is_field(part)), "?")
        super().generic_visit(node)
        exact = isinstance(node.ops[0], ast.Eq | ast.In) and (
            self.field in _TEXTS or self.field == "t"
        )
        for leaf in getattr(node.comparators[0], "elts", node.comparators) if exact else ():
            with contextlib.suppress(ValueError):  # what is no constant cannot be misspelt
                self.words.append((self.field, ast.literal_eval(leaf)))
        self.field = around
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """The parts of a comparison; anything else could run."""
        if not isinstance(node, (*_COMPARISONS, *_SIGNS)) or (
            isinstance(node, ast.BinOp) and not self.field
        ):
            raise self._refusal(node)
        return super().generic_visit(node)

    def _refusal(self, node: ast.AST) -> ValueError:
        text = ast.unparse(node) or type(node).__name__
        return ValueError(
            f"condition {self.text!r}: {text} is not a comparison of {', '.join(FIELDS)}"
        )


def _is_field(node: Any) -> bool:
    return isinstance(node, ast.Name) and (node.id in FIELDS or node.id == "pass_")


def _equal(field: str, value: ast.expr) -> ast.Compare:
    return ast.Compare(ast.Name(field, ast.Load()), [ast.Eq()], [value])


class Condition:
    """A condition on a step of a backward pass.

    condition: text over the fields of `Facts`, or a function of a step.  once: gone after its first hit.  Fields may be
    given as keywords: `Breakpoint(t=3, op="tanh")`.  Calling it with a step says whether it holds; as a context manager
    it makes every backward pass inside stop there.  Raises ValueError for a condition that cannot be read.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(2.0, requires_grad=True, name="w"), mg.tensor(1.0)
    >>> for t in range(4):
    ...     with mg.time_step(t): h = w * h
    >>> large = mg.Breakpoint("norm > 3 and name == h")
    >>> [step.t for step in mg.Graph(h).backward_steps() if large(step)]
    [1, 0]
    """

    def __init__(
        self, condition: str | Callable[[Step], Any] = "", *, once: bool = False, **equal: Any
    ) -> None:
        self.once, self.hits = once, 0
        self.words: list[tuple[str, Any]] = []
        self.fields: set[str] = set()
        self._facts: Facts | None = None  # of the pass that it was last called about
        given = [condition] if isinstance(condition, str) and condition.strip() else []
        self.text = " and ".join(
            [*given, *[f"{name} == {value!r}" for name, value in equal.items()]]
        )
        self.test: Callable[[Facts], Any]
        if callable(condition):
            self.text = self.text or getattr(condition, "__name__", "function")
            self.test = lambda facts: condition(facts.step)  # type: ignore[arg-type]
        elif self.text:
            self.test = self._read()
        else:
            raise ValueError("Breakpoint: a condition is needed, such as 'norm > 100' or 't == 3'")

    def _read(self) -> Callable[[Facts], Any]:
        source, reader = self.text.strip(), _Reader(self.text)
        for written, meant in _SPELLING:
            source = re.sub(written, meant, source)
        try:
            test: Any = ast.parse(f"lambda facts: {source}", mode="eval")
        except SyntaxError:
            raise ValueError(
                f"condition {self.text!r} cannot be read; write for example 't == 3'"
            ) from None
        if source in FIELDS and source != "nonfinite":
            raise ValueError(
                f"condition {source!r} compares nothing; write for example {' '.join(FIELDS[source].split()[-3:])!r}"
            )
        test.body.body = reader.visit(test.body.body)
        self.words, self.fields = reader.words, reader.fields
        return eval(
            compile(ast.fix_missing_locations(test), "<breakpoint>", "eval"), {"__builtins__": {}}
        )

    def missing(self, facts: Facts) -> str:
        """What the condition names that no node of the graph has, with the nearest that there is; "" if nothing."""
        for field, word in self.words:
            known = facts.known(field)
            if word not in known:
                steps = (
                    f"; there are: {min(known)} to {max(known)}" if field == "t" and known else ""
                )
                names = (name.lstrip("/") for value in known for name in str(value).splitlines())
                return (
                    f"nothing in this pass has {field} {word}{steps or nearest(str(word), names)}"
                )
        return ""

    def reason(self, facts: Facts) -> str:
        """Why the pass stops at this step; "" if it does not.  A condition that raises stops it too."""
        try:
            if not self.test(facts):
                return ""
        except Exception as error:
            return f"condition {self.text!r} raised {type(error).__name__}: {error}"
        self.hits += 1
        size, rest = f"|d{spelled(facts.name)}| = {facts.norm:.3g}", self.text.removeprefix("norm")
        return f"{size}{rest}" if rest != self.text else f"{self.text}: {size}"

    def __call__(self, step: Step) -> bool:
        """Whether the condition holds at `step`."""
        if self._facts is None or self._facts.graph is not step.graph or step.index == 0:
            self._facts = Facts(step.graph)
        return bool(self.test(self._facts.about(step)))

    def __str__(self) -> str:
        return f"{self.text}{'   once' if self.once else ''}{f'   hit {self.hits} times' if self.hits else ''}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r}{', once=True' if self.once else ''})"
