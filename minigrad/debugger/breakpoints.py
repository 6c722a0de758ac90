"""Breakpoints: conditions on a step of a backward pass, parsed into comparisons and nothing else.  Imports `facts`.

`norm > 100`, `t == 3 and op == tanh`, `nonfinite`, `h[3]`, `train.py:12`, `pass == 812`: see `FIELDS`.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from minigrad.backward import Step
from minigrad.debugger.facts import Facts

FIELDS = {
    "t": "the time step:  t == 3",
    "norm": "the size of the gradient:  norm > 100",
    "fraction": "a state's gradient, compared with the first one of that state in the pass:  fraction < 1e-3",
    "nonfinite": "NaN or infinity is born here, in the forward pass too:  nonfinite",
    "name": "the node's name:  name == h, or just h, or h[3]",
    "op": "the operation:  op == tanh",
    "axis": "the time axis:  axis == encoder",
    "scope": "the module scope and all inside it:  scope == encoder.cell",
    "lines": "the forward line, or a line that called it:  train.py:12",
    "index": "the number of the step in the pass:  index == 40",
    "pass": "the number of the backward pass:  pass == 812",
}
_TEXTS = ("name", "op", "axis", "scope")
_ALLOWED = (ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Tuple, ast.List)
_PASS = "number"  # `pass` is a word of Python's own


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a name that matches nothing: "; did you mean h?" or the names there are."""
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(word, names, 1, 0.5)
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"; did you mean {close[0]}?" if close else f"; there are: {shown}" if names else ""


class Breakpoint(AbstractContextManager["Breakpoint"]):
    """A condition on a step of a backward pass.

    condition: text over `FIELDS`, or a function of a step.  once: gone after its first hit.  Fields may be given as
    keywords: `Breakpoint(t=3, op="tanh")`.  Calling it with a step says whether it holds; as a context manager it
    makes every backward pass inside stop there.  Raises ValueError for a condition that cannot be read.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(2.0, requires_grad=True, name="w"), mg.tensor(1.0)
    >>> for t in range(4):
    ...     with mg.time_step(t): h = w * h
    >>> large = mg.Breakpoint("norm > 3 and name == h")
    >>> [step.t for step in mg.Graph(h).backward_steps() if large(step)]
    [1, 0]
    """

    def __init__(self, condition: str | Callable[[Step], Any] = "", *, once: bool = False, **equal: Any) -> None:
        given = [condition] if isinstance(condition, str) and condition.strip() else []
        self.words: list[tuple[str, str]] = []  # (field, word) pairs, to be compared with what a graph holds
        self.once = once
        self.hits = 0
        self.text = " and ".join([*given, *[f"{name} == {value!r}" for name, value in equal.items()]])
        if callable(condition):
            self.text = self.text or getattr(condition, "__name__", "function")
            self.test: Callable[[Facts], Any] = lambda facts: condition(facts.step)
        elif not self.text:
            raise ValueError("Breakpoint: a condition is needed, such as 'norm > 100' or 't == 3'")
        else:
            self.test = self._compiled(self.text)

    def _compiled(self, text: str) -> Callable[[Facts], Any]:
        source = re.sub(r"([\w./\\<>-]*\.py|<[\w -]+>):(\d+)", r"(('\1', \2) in lines)", text)
        source = re.sub(r"\bpass\b", _PASS, re.sub(r"(?<![=!<>])=(?!=)", "==", source))
        try:
            tree = ast.parse(source.strip(), mode="eval").body
        except SyntaxError:
            raise ValueError(f"condition {text!r} cannot be read; write for example 't == 3 and norm > 100'") from None
        facts = ast.arguments([], [ast.arg("facts")], kwonlyargs=[], kw_defaults=[], defaults=[])
        body = ast.fix_missing_locations(ast.Expression(ast.Lambda(facts, self._checked(tree, text))))
        return eval(compile(body, "<breakpoint>", "eval"), {"__builtins__": {}})

    def _checked(self, node: ast.expr, text: str) -> ast.expr:
        """The condition with its fields looked up in `facts`; whatever is not a comparison is refused."""
        match node:
            case ast.Name() if node.id in FIELDS or node.id == _PASS:
                return ast.Attribute(ast.Name("facts", ast.Load()), node.id, ast.Load())
            case ast.Name() | ast.Attribute():
                return self._word("name", ast.unparse(node))
            case ast.Subscript(value=ast.Name(), slice=ast.Constant() | ast.UnaryOp()):
                at = ast.Compare(ast.Name("t", ast.Load()), [ast.Eq()], [node.slice])
                return ast.BoolOp(ast.And(), [self._checked(at, text), self._checked(node.value, text)])
            case ast.Compare():
                self._check_words(node, text)
            case ast.Constant():
                return node
            case ast.BoolOp() | ast.UnaryOp() | ast.BinOp() | ast.Tuple() | ast.List():
                pass
            case _:
                raise ValueError(f"condition {text!r}: {ast.unparse(node)} is not a comparison of {', '.join(FIELDS)}")
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                setattr(node, name, self._checked(value, text))
            elif isinstance(value, list) and value and isinstance(value[0], ast.expr):
                setattr(node, name, [self._checked(part, text) for part in value])
        return node

    def _check_words(self, node: ast.Compare, text: str) -> None:
        """Bare words beside a text field become texts; any other unknown name is a mistake."""
        parts = [node.left, *node.comparators]
        field = next((ast.unparse(part) for part in parts if _is_field(part)), "")

        def checked(part: ast.expr) -> ast.expr:
            if isinstance(part, ast.Tuple | ast.List):
                part.elts = [checked(each) for each in part.elts]
            elif isinstance(part, ast.Name | ast.Attribute) and not _is_field(part):
                if field not in _TEXTS:
                    word = ast.unparse(part)
                    raise ValueError(f"condition {text!r}: unknown field {word!r}{nearest(word, FIELDS)}")
                part = ast.Constant(ast.unparse(part))
            compared = field in _TEXTS or (field == "t" and isinstance(node.ops[0], ast.Eq))
            if compared and isinstance(part, ast.Constant):
                self.words.append((field, str(part.value)))
            return part

        node.left, *node.comparators = map(checked, parts)

    def _word(self, field: str, word: str) -> ast.expr:
        self.words.append((field, word))
        name = ast.Attribute(ast.Name("facts", ast.Load()), field, ast.Load())
        return ast.Compare(name, [ast.Eq()], [ast.Constant(word)])

    def reason(self, facts: Facts) -> str:
        """Why the pass stops at this step; "" if it does not.  A condition that raises stops it too."""
        try:
            if not self.test(facts):
                return ""
        except Exception as error:
            return f"condition {self.text!r} raised {type(error).__name__}: {error}"
        self.hits += 1
        size, rest = f"|d{facts.name}| = {facts.norm:.3g}", self.text.removeprefix("norm")
        return f"{size}{rest}" if rest != self.text else f"{self.text}: {size}"

    def __call__(self, step: Step) -> bool:
        """Whether the condition holds at `step`."""
        return bool(self.test(Facts().about(step)))

    def __enter__(self) -> Breakpoint:
        from minigrad.debugger.shell import Debugger

        self._debugger = Debugger([self])
        self._debugger.__enter__()
        return self

    def __exit__(self, *error: Any) -> bool:
        return self._debugger.__exit__(*error)

    def __str__(self) -> str:
        return f"{self.text}{'   once' if self.once else ''}{f'   hit {self.hits} times' if self.hits else ''}"

    def __repr__(self) -> str:
        return f"Breakpoint({self.text!r}{', once=True' if self.once else ''})"


def _is_field(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and (node.id in FIELDS or node.id == _PASS)
