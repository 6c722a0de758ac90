"""What a page tells of each box in words: its name, the lines of the program that make it, and its
gradient rule.

Boxes that the same line makes in every step share their texts.
"""

from __future__ import annotations

import inspect
import math
import re
import textwrap
from collections import defaultdict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from minigrad import naming
from minigrad.language import say
from minigrad.render import look
from minigrad.render.measure import told
from minigrad.render.names import Names
from minigrad.render.options import Options
from minigrad.render.picture import Box, Column
from minigrad.render.read import Reading
from minigrad.source import Source
from minigrad.tensor import Tensor

STEP = "\0"  # stands where a text tells the step
LINES = 40  # of one function
RULE = 14  # lines of a gradient rule; a longer one is not shown
NAME = re.compile(r"[^\W\d]+(\.[^\W\d]+)*")  # to which the step is added: h₃, but not x1₃

T = TypeVar("T")


class Numbered(Generic[T]):
    """Things that are held once, each with its number."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.numbers: dict[Hashable, int] = {}

    def number(self, key: Hashable, make: Callable[[], T]) -> int:
        """The number of the thing with this key; the first time it is made."""
        found = self.numbers.get(key)
        if found is None:
            found = self.numbers[key] = len(self.items)
            self.items.append(make())
        return found


class Infos:
    """The texts about boxes, and how a page names things.

    order: when a pass comes to each value.
    """

    def __init__(self, reading: Reading, names: Names, options: Options) -> None:
        self.graph, self.losses = reading.graph, names.losses
        self.labels, self.first = options.labels, options.count_from
        self.infos = Numbered[dict[str, Any]]()
        self.lines = Numbered[dict[str, Any]]()
        self.rules = Numbered[str]()
        self.order = {value.key: k for k, value in enumerate(reading.values)}

    # names

    def lane(self, name: str) -> str:
        """What a state is called."""
        return self.labels.get(name, name)

    def when(self, column: Column) -> str:
        """The step of a column, or the steps of nested axes."""
        return ", ".join(f"{t + self.first:g}" for t in column[1:] if t != math.inf)

    def operation(self, box: Box) -> str:
        """What makes a box, in short."""
        text = naming.expression(self.graph, box.parts[-1].node)
        return look.shorten(text.removeprefix("mg."), 40)

    def order_of(self, box: Box) -> int:
        """When a pass comes to what makes a box."""
        return self.order[box.parts[-1]]

    # boxes

    def info(self, box: Box, label: str) -> int:
        """The number of the texts about a box; boxes of different steps share them."""
        if not box.parts:
            return -1
        node, part = told(box)[-1]
        shape = node.shape if part is None else node.shape[1:]
        known: tuple[Hashable, ...] = (
            box.lanes, label, len(box.parts), node.site, node.name, shape, node.scope,
        )  # fmt: skip
        if not node.source.text:
            known = (*known, self.constants(node))
        return self.infos.number(known, lambda: self.described(box, label, node, shape))

    def constants(self, node: Tensor) -> tuple[str, ...]:
        """The numbers in an expression that is rebuilt, since there is no source text."""
        inputs = self.graph.inputs(node)
        return tuple(repr(x.data) for x in inputs if x.op is None and x.size == 1)

    def described(
        self, box: Box, label: str, node: Tensor, shape: tuple[int, ...]
    ) -> dict[str, Any]:
        """All that is the same in every step."""
        name = self.losses.get(node) or naming.label(self.graph, node)
        timed = bool(box.lanes) or node.time is not None
        if not is_made(box) and any(map(str.isalpha, label)):  # h_init is no h, a mask no tensor
            name, timed = label.replace(STEP, ""), STEP in label
        elif box.lanes:
            name = box.lanes[-1]
        name = look.shorten(self.lane(name), 60)
        made = [node for node in reversed(box.nodes) if node.op is not None]
        lines = list(dict.fromkeys(map(self.line, made)))
        return {
            "name": name, "timed": timed and NAME.fullmatch(name) is not None,
            "above": self.what(box, node, shape), "below": self.origin(node), "lines": lines,
            "function": self.lines.items[lines[0]]["function"] if lines else "",
            "rule": self.rule(node) if len(box.parts) == 1 else -1,
        }  # fmt: skip

    def what(self, box: Box, node: Tensor, shape: tuple[int, ...]) -> list[list[str]]:
        """What it is, in pairs of a word and a text: the expression, the operations, the shape."""
        expression = naming.expression(self.graph, node) if node.op is not None else ""
        size = look.shape(shape) if math.prod(shape) != 1 else say("a number")
        return _told({
            "=": look.shorten(expression, 300),
            say("operations"): str(len(box.parts)) if len(box.parts) > 1 else "",
            say("shape"): f"{size}  {node.dtype}",
        })  # fmt: skip

    def origin(self, node: Tensor) -> list[list[str]]:
        """Where it comes from, in pairs: its line, the user's line that led there, the scope."""
        source = str(node.source) if node.source.line else ""
        caller = node._scope.called_from if node._scope is not None else None
        user = str(caller) if caller is not None and caller.line else ""
        return _told({
            say("made by"): source,
            say("called from"): user if user != source else "",
            say("scope"): node.scope,
        })  # fmt: skip

    # the program

    def programs(self) -> dict[str, list[list[Any]]]:
        """The lines of each function in their order, each with its number."""
        found = defaultdict[str, list[list[Any]]](list)
        for number, line in sorted(enumerate(self.lines.items), key=lambda pair: pair[1]["line"]):
            if len(found[line["function"]]) < LINES:
                found[line["function"]].append([number, line["text"].replace("self.", "")])
        return found

    def line(self, node: Tensor) -> int:
        """The number of the line of the program that makes a node."""
        source: Source = node.source
        text, place = source.text, source.file
        if not text:
            variable = naming.label(self.graph, node)
            text = place = f"{variable} = {naming.expression(self.graph, node)}"
        function = source.code.co_qualname if source.code is not None else ""
        found = {"text": look.shorten(text, 200), "line": source.line, "function": function}
        return self.lines.number((place, source.line), lambda: found)

    def rule(self, node: Tensor) -> int:
        """The number of the text of an operation's gradient rules."""
        op = node.op
        if op is None:
            return -1
        rules = [rule for rule in (*op.rules, op.joint) if rule is not None]
        return self.rules.number(op, lambda: "\n".join(filter(None, map(_source_of, rules))))


def is_made(box: Box) -> bool:
    """Whether an operation makes it: a pass stops there."""
    return bool(box.parts) and box.parts[-1].node.op is not None


def _told(pairs: dict[str, str]) -> list[list[str]]:
    """The pairs of a word and a text that has something to say."""
    return [[word, text] for word, text in pairs.items() if text]


def _source_of(rule: Any) -> str:
    """A rule as it was written, without its decorator."""
    try:
        text = textwrap.dedent(inspect.getsource(inspect.unwrap(rule)))
    except (OSError, TypeError):
        return ""
    lines = [line for line in text.splitlines() if not line.startswith("@")]
    return "\n".join(lines) if len(lines) <= RULE else ""
