"""Conditions on a step of a backward pass, parsed into comparisons and nothing else.

`norm > 100`, `t == 3 and op == tanh`, `nonfinite`, `h[3]`, `l0:h[3]`, `train.py:12`, `pass == 812`.
"""

from __future__ import annotations

import ast
import difflib
import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.backward import Step
from minigrad.debugger.facts import FIELDS, FUNCTIONS, MATCHED, SERIES, PassInfo, StepInfo
from minigrad.debugger.texts import did_you_mean, in_brackets

TEXT_FIELDS = {"name", "op", "axis", *MATCHED}
NODE_FIELDS = {"name", "op", "line", "index", "nonfinite"}  # a condition on these is about one node
ALLOWED = (
    *(ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Tuple, ast.List, ast.Constant),
    *(ast.boolop, ast.unaryop, ast.cmpop, ast.expr_context),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod),
)
SPELLINGS = (  # what one may write, and the Python that it stands for
    (r"(?<![=!<>])=(?!=)", "=="),
    (r"\bpass\b", "pass_"),
    (r"(?:\./)?([\w./\\<>-]*\.py|<[\w -]+>):(\d+)", r"(line == '\1:\2')"),
    (r"(?<![\w'\"])([A-Za-z_][\w.]*):([A-Za-z_]\w*(?:\[[^\]]*\])?)", r"(layer == '\1' and \2)"),
)


class ConditionReader(ast.NodeTransformer):
    """Turns the names of a condition into facts of `info`, and refuses what is no comparison.

    fields: those that the condition asks for.
    words: pairs (field, text) that only a graph can tell to be right.
    evidence: the figures of passes that are compared, and how they are computed.
    inner: whether it compares the step on a named axis, perhaps of an inner loop.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.words: list[tuple[str, Any]] = []
        self.fields: set[str] = set()
        self.evidence: list[tuple[str, ast.expr]] = []
        self.inner = False
        self._compared = ""  # the field of the comparison that is read; "" outside of comparisons

    def visit_Name(self, node: Any) -> ast.expr:
        """A field; else a word: a text beside a text field, a node's name where it stands alone."""
        field = _field(node)
        if field in MATCHED:
            raise ValueError(f"condition {self.text!r}: write {field} == {FIELDS[field].example}")
        if field:
            self.fields.add(field)
            if field not in SERIES:
                return _fact(node.id)
            fact: ast.expr = _fact(field)
            if field != "loss":  # that of this pass is known already
                fact = ast.Call(_fact("last"), [ast.Constant(field)], [])
            self.evidence.append((field, fact))
            return fact
        word = ast.unparse(node)
        if self._compared in TEXT_FIELDS:
            return ast.Constant(word)
        if self._compared:
            raise ValueError(
                f"condition {self.text!r}: unknown field {word!r}{did_you_mean(word, FIELDS)}"
            )
        return self.visit(_equal("name", ast.Constant(word)))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """param("W").norm, or a dotted word: encoder.cell."""
        call = node.value
        if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != "param":
            return self.visit_Name(node)
        named = len(call.args) == 1 and isinstance(call.args[0], ast.Constant)
        if not named or node.attr not in ("norm", "grad", "update"):
            raise ValueError(f"condition {self.text!r}: write {FIELDS['param'].example}")
        self.fields.add("param")
        return self._operand(node, "param", [call.args[0], ast.Constant(node.attr)])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """A function of the passes before: median(loss), rises(loss, 5)."""
        name = getattr(node.func, "id", "")
        first, *rest = node.args or [node.func]
        column = getattr(first, "id", "")
        known = name in FUNCTIONS and column in SERIES and not node.keywords
        allowed = 1 if name == "rises" else 0
        if not known or len(rest) > allowed:
            raise self._refusal(node)
        self.fields.add(column)
        return self._operand(node, name, [ast.Constant(column), *rest])

    def _operand(self, node: ast.expr, method: str, arguments: list[ast.expr]) -> ast.expr:
        """A call of a fact, which is also told as evidence."""
        call = ast.Call(_fact(method), arguments, [])
        self.evidence.append((ast.unparse(node), call))
        return call

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """h[3] is h at t == 3."""
        if self._compared:
            raise self._refusal(node)
        at = self.visit(_equal("t", node.slice))
        return ast.BoolOp(ast.And(), [at, self.visit(node.value)])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """A comparison of a field; scopes, layers and lines by `matches`."""
        around = self._compared
        parts: list[Any] = [node.left, *node.comparators]
        self._compared = next(filter(None, map(_field, parts)), "?")
        if self._compared == "?" and _may_be_an_axis(node):
            read = self._coordinate(node)
        elif self._compared in MATCHED:
            read = self._matching(node)
        else:
            super().generic_visit(node)
            read = node
            if isinstance(node.ops[0], ast.Eq | ast.In) and self._compared in (*TEXT_FIELDS, "t"):
                self._note_words(node.comparators[0])
        self._compared = around
        return read

    def _coordinate(self, node: ast.Compare) -> ast.expr:
        """`rk4 == 1` compares the step of a node on the axis rk4."""
        axis = ast.unparse(node.left)
        self.words.append(("axis", axis))
        self.fields |= {"t", "axis"}
        self.inner = True
        node.left = ast.Call(_fact("coordinate"), [ast.Constant(axis)], [])
        return node

    def _matching(self, node: ast.Compare) -> ast.expr:
        """`scope == encoder` as a call of `matches`; `in` asks for any of several."""
        field = _field(node.left)
        operator = node.ops[0]
        if field != self._compared or len(node.ops) > 1 or isinstance(operator, _ORDERS):
            example = FIELDS[self._compared].example
            raise ValueError(f"condition {self.text!r}: write {self._compared} == {example}")
        self.fields.add(field)
        right = self.visit(node.comparators[0])
        if isinstance(operator, ast.Eq | ast.In):
            self._note_words(right)
        texts = getattr(right, "elts", [right])
        calls: list[ast.expr] = [
            ast.Call(_fact("matches"), [ast.Constant(field), text], []) for text in texts
        ]
        found = ast.BoolOp(ast.Or(), calls) if len(calls) > 1 else calls[0]
        if isinstance(operator, ast.NotEq | ast.NotIn):
            return ast.UnaryOp(ast.Not(), found)
        return found

    def _note_words(self, right: ast.expr) -> None:
        """Remember the constants that a field is compared with."""
        for leaf in getattr(right, "elts", [right]):
            try:
                self.words.append((self._compared, ast.literal_eval(leaf)))
            except ValueError:
                continue

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """The parts of a comparison; anything else could run."""
        if not isinstance(node, ALLOWED) or (isinstance(node, ast.BinOp) and not self._compared):
            raise self._refusal(node)
        return super().generic_visit(node)

    def _refusal(self, node: ast.AST) -> ValueError:
        found = ast.unparse(node) or type(node).__name__
        fields = ", ".join(FIELDS)
        return ValueError(
            f"condition {self.text!r}: {found} is not a comparison of the fields {fields}"
        )


def _may_be_an_axis(node: ast.Compare) -> bool:
    """Whether a word is compared with whole numbers, and is not a misspelt field."""
    if not isinstance(node.left, ast.Name) or len(node.ops) > 1:
        return False
    numbers = getattr(node.comparators[0], "elts", node.comparators)
    whole = all(isinstance(x, ast.Constant) and isinstance(x.value, int) for x in numbers)
    return whole and not difflib.get_close_matches(node.left.id, FIELDS, 1, 0.6)


_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot)


def _field(node: Any) -> str:
    """The field that a node of the syntax tree names; "" for anything else."""
    if not isinstance(node, ast.Name):
        return ""
    name = node.id.removesuffix("_") if node.id == "pass_" else node.id
    return name if name in FIELDS else ""


def _fact(name: str) -> ast.Attribute:
    return ast.Attribute(ast.Name("info", ast.Load()), name, ast.Load())


def _compiled(expression: ast.expr) -> Callable[[StepInfo], Any]:
    """A function of a step's facts `info`; it can call nothing but their methods."""
    arguments = ast.arguments([], [ast.arg("info")], None, [], [], None, [])
    function = ast.Expression(ast.Lambda(arguments, expression))
    code = compile(ast.fix_missing_locations(function), "<breakpoint>", "eval")
    found: Callable[[StepInfo], Any] = eval(code, {"__builtins__": {}})
    return found


def _quick_test(expression: ast.expr) -> Callable[[Step], bool] | None:
    """A quick test of whether a condition may hold, from one comparison that it needs; or None.

    A norm is no smaller than the largest element, so one product tells of both that they are not.
    """
    parts = [expression]
    if isinstance(expression, ast.BoolOp) and isinstance(expression.op, ast.And):
        parts = expression.values
    for part in parts:
        match part:
            case ast.Compare(ast.Attribute(_, field), [order], [ast.Constant(limit)]):
                if found := _quick_comparison(field, order, limit):
                    return found
    return None


def _quick_comparison(field: str, order: ast.cmpop, limit: Any) -> Callable[[Step], bool] | None:
    """The quick test for one comparison of a field, if there is one."""
    if isinstance(order, ast.Eq):
        if field == "t":
            return lambda step: bool(step.node.t == limit)
        if field == "op":
            return lambda step: bool(step.node.op.name == limit)
    elif isinstance(order, ast.Gt | ast.GtE) and isinstance(limit, int | float) and limit >= 1:
        if field == "norm":
            may_reach = functools.partial(_may_reach, limit=limit)
            return _remembering(lambda step: step._grad, may_reach)
        if field == "value":
            return lambda step: _may_reach(step.node._array, limit)
    return None


def _remembering(
    array_of: Callable[[Step], Any], test: Callable[[Any], bool]
) -> Callable[[Step], bool]:
    """A test of an array of a step, done once for all steps to which an addition hands it on."""
    last, answer = None, False

    def run(step: Step) -> bool:
        nonlocal last, answer
        array = array_of(step)
        if array is not last:
            last, answer = array, test(array)
        return answer

    return run


def any_may_hold(conditions: list[Condition], step: Step) -> bool:
    """Whether it is worth while to test the conditions at a step."""
    for condition in conditions:  # noqa: SIM110  # a generator in `any` costs more than the tests
        if condition.may_hold is None or condition.may_hold(step):
            return True
    return False


def _may_reach(x: Any, limit: float) -> bool:
    """Whether the norm of an array may be as large; also where it is not a number."""
    if type(x) is not np.ndarray or x.dtype.kind != "f":
        return True
    return not np.vdot(x, x) < 0.9 * limit * limit


def _equal(field: str, value: ast.expr) -> ast.Compare:
    return ast.Compare(ast.Name(field, ast.Load()), [ast.Eq()], [value])


class Condition:
    """A condition on a step of a backward pass.

    condition: text over the fields, or a function of a step.
    once: the debugger forgets it after its first hit.
    Fields may be given as keywords: `Breakpoint(t=3, op="tanh")`.
    Calling it with a step says whether it holds; as a context manager it makes every backward pass
    inside stop there.  Raises ValueError for a condition that cannot be read.

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
        self.enabled, self.ignored = True, 0  # ignored: how many of the next hits do not stop
        self.commands: list[str] = []  # typed by themselves where it stops
        self.words: list[tuple[str, Any]] = []
        self.fields: set[str] = set()
        self.inner = False  # whether it is about the steps of a named axis
        self.evidence: dict[str, Callable[[StepInfo], Any]] = {}
        self._info: PassInfo | None = None  # of the pass that it was last called about
        given = [condition] if isinstance(condition, str) and condition.strip() else []
        equals = [f"{name} == {value!r}" for name, value in equal.items()]
        self.text = " and ".join([*given, *equals])
        self.test: Callable[[StepInfo], Any]
        self.may_hold: Callable[[Step], bool] | None = None  # a quick test that comes first
        if callable(condition):
            self.text = self.text or getattr(condition, "__name__", "function")
            self.test = lambda info: condition(info.step)  # type: ignore[arg-type]
        elif self.text:
            self.test = self._read()
        else:
            raise ValueError("Breakpoint: a condition is needed, such as 'norm > 100' or 't == 3'")

    def _read(self) -> Callable[[StepInfo], Any]:
        source, reader = self.text.strip(), ConditionReader(self.text)
        if source in FIELDS and source != "nonfinite":
            example = FIELDS[source].example
            raise ValueError(
                f"condition {source!r} compares nothing; write for example {example!r}"
            )
        for written, meant in SPELLINGS:
            source = re.sub(written, meant, source)
        try:
            test: Any = ast.parse(f"lambda info: {source}", mode="eval")
        except SyntaxError:
            problem = f"condition {self.text!r} cannot be read; write for example 't == 3'"
            raise ValueError(problem) from None
        test.body.body = reader.visit(test.body.body)
        self.words, self.fields, self.inner = reader.words, reader.fields, reader.inner
        for told, operand in reader.evidence:
            self.evidence[told] = _compiled(operand)
        self.may_hold = _quick_test(test.body.body)
        return _compiled(test.body.body)

    @property
    def needs_step(self) -> bool:
        """Whether only the pass can answer it, not the graph."""
        return any(FIELDS[field].about == "step" for field in self.fields)

    @property
    def about(self) -> str:
        """What it stops at once: each "node" it holds for, a time "step", or the "pass"."""
        if not self.fields or self.fields & NODE_FIELDS:
            return "node"
        return "pass" if all(FIELDS[field].about == "pass" for field in self.fields) else "step"

    def occasion(self, info: StepInfo) -> Any:
        """What it stops at once here; it does not stop a second time for the same occasion."""
        if self.about == "pass":
            return "pass"
        if self.inner and info.node.time is not None:
            return info.node.time.steps
        return info.time_step if self.about == "step" else info.node.serial

    def missing(self, run: PassInfo) -> str:
        """What the condition names that the graph has not, with the nearest that it has; or ""."""
        for field, word in self.words:
            if field in MATCHED:
                if any(run.node(node).matches(field, word) for node in run.graph.nodes):
                    continue
                known = run.known(field)
            else:
                known = run.known(field)
                if word in known:
                    continue
            if field == "t" and known:
                hint = f"; there are: {min(known)} to {max(known)}"
            else:
                hint = did_you_mean(str(word), map(str, known))
            return f"nothing in this pass has {field} {word}{hint}"
        return ""

    def reason(self, info: StepInfo) -> str:
        """Why the pass stops at this step: what is compared, and the size of the gradient."""
        figures = [f"{told} = {operand(info):.4g}" for told, operand in self.evidence.items()]
        if self.about == "pass":
            return f"{self.text}: {', '.join(figures)}" if figures else self.text
        size = f"|d{in_brackets(info.name)}| = {info.norm:.3g}"
        if self.text.startswith("norm"):
            return size + self.text.removeprefix("norm")
        return f"{self.text}: {size}"

    def __call__(self, step: Step) -> bool:
        """Whether the condition holds at `step`."""
        if self._info is None or self._info.graph is not step.graph or step.index == 0:
            self._info = PassInfo(step.graph)
        return bool(self.test(self._info.step(step)))

    def __str__(self) -> str:
        notes = [
            "once" if self.once else "",
            "" if self.enabled else "disabled",
            f"ignored {self.ignored} times more" if self.ignored else "",
            f"hit {self.hits} times" if self.hits else "",
            f"then: {'; '.join(self.commands)}" if self.commands else "",
        ]
        return "   ".join([self.text, *filter(None, notes)])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r}{', once=True' if self.once else ''})"
