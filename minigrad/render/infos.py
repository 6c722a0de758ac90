"""The texts of a page: what is told of each node, its program and its gradient rule, and what
stands in the boxes.

Nodes that the same line makes in every step share their texts.
"""

from __future__ import annotations

import inspect
import math
import re
import textwrap
from collections import defaultdict
from typing import Any

from minigrad import naming
from minigrad.cached import cached_property
from minigrad.render import look
from minigrad.render.names import Names
from minigrad.render.options import Options
from minigrad.render.picture import Box, Tile
from minigrad.render.read import Reading
from minigrad.render.texts import Texts
from minigrad.source import Source
from minigrad.tensor import Tensor

LINES = 40  # of one function


class PageTexts(Texts):
    """The texts of a picture whose numbers are not known yet: there is room for them."""

    def cell_lines(self, box: Box) -> list[str]:
        """A line for the gradient of each state."""
        row, lines = box.tile.row, []
        if self.several and row.timed and row.name != box.label:
            lines.append(look.shorten(row.name.split(".")[-1]))
        return lines + [self.room(name) for name in box.lanes]

    def room(self, name: str) -> str:
        """The widest text of the norm of a state's gradient."""
        return f"‖∂L/∂{self.name(name)}{look.subscript(self.last)}‖ = 8.8·10⁻⁸⁸"

    @cached_property
    def last(self) -> int:
        """The largest number of a step."""
        return max((tile.t for tile in self.picture.tiles), default=0)

    def heading(self, tile: Tile) -> str:
        """The step alone."""
        if not tile.row.timed or not self.picture.graph.axes:
            return self.untimed_heading(tile)
        words = ["t = 88888"]
        if tile.row.name and self.several_axes:
            words.insert(0, look.shorten(tile.row.name))
        return "   ".join(words)


class Infos:
    """Texts about nodes, each held once: names, expressions, source lines and gradient rules."""

    def __init__(
        self, reading: Reading, names: Names, options: Options, word: dict[str, str]
    ) -> None:
        self.graph, self.losses = reading.graph, names.losses
        self.names, self.word = options.labels or {}, word
        self.infos: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []
        self.rules: list[str] = []
        self.index: dict[Any, int] = {}
        self.line_of: dict[Any, int] = {}
        self.rule_of: dict[Any, int] = {}
        self.order = {value.key: k for k, value in enumerate(reading.values)}

    def info(self, box: Box, label: str) -> int:
        """The number of the texts about a box; boxes of different steps share them."""
        if not box.parts:
            return -1
        node, part = box.parts[-1]
        shape = node.shape if part is None else node.shape[1:]
        known: tuple[Any, ...] = (
            box.lanes,
            label,
            len(box.parts),
            node.site,
            node.name,
            shape,
            node.scope,
        )
        if not node.source.text:
            known = (*known, self.numbers(node))
        if known not in self.index:
            self.index[known] = len(self.infos)
            self.infos.append(self.described(box, node, shape))
        return self.index[known]

    def numbers(self, node: Tensor) -> tuple[str, ...]:
        """The numbers in an expression that is rebuilt, since there is no source text."""
        inputs = self.graph.inputs(node)
        return tuple(repr(x.data) for x in inputs if x.op is None and x.size == 1)

    def described(self, box: Box, node: Tensor, shape: tuple[int, ...]) -> dict[str, Any]:
        """All that is the same in every step."""
        name = self.losses.get(node) or naming.label(self.graph, node)
        if box.lanes:
            name = box.lanes[-1]
        name = look.shorten(self.names.get(name, name), 60)
        timed = bool(box.lanes) or node.time is not None
        lines = self.lines_of(box)
        return {
            "name": name, "timed": int(timed and re.fullmatch(r"[^\W\d]+(\.[^\W\d]+)*", name) is not None),
            "above": self.what(box, node, shape), "below": self.origin(node),
            "function": self.lines[lines[0]]["function"] if lines else "", "lines": lines,
            "rule": self.rule(node) if len(box.parts) == 1 else -1,
        }  # fmt: skip

    def what(self, box: Box, node: Tensor, shape: tuple[int, ...]) -> list[list[str]]:
        """What it is, in pairs of a word and a text: the expression, the operations, the shape."""
        expression = naming.expression(self.graph, node) if node.op is not None else ""
        size = look.shape(shape) if math.prod(shape) != 1 else self.word["number"]
        pairs = [
            ["=", look.shorten(expression, 300)],
            [self.word["operations"], str(len(box.parts)) if len(box.parts) > 1 else ""],
            [self.word["shape"], f"{size}  {node.dtype}"],
        ]
        return [pair for pair in pairs if pair[1]]

    def origin(self, node: Tensor) -> list[list[str]]:
        """Where it comes from, in pairs: its line, the user's line that led there, the scope."""
        source = str(node.source) if node.source.line else ""
        caller = node._scope.called_from if node._scope is not None else None
        user = str(caller) if caller is not None and caller.line else ""
        pairs = [
            [self.word["made"], source],
            [self.word["from"], user if user != source else ""],
            [self.word["scope"], node.scope],
        ]
        return [pair for pair in pairs if pair[1]]

    def programs(self) -> dict[str, list[list[Any]]]:
        """The lines of each function in their order, each with its number."""
        found = defaultdict[str, list[list[Any]]](list)
        for number, line in sorted(enumerate(self.lines), key=lambda pair: pair[1]["line"]):
            if len(found[line["function"]]) < LINES:
                found[line["function"]].append([number, line["text"].replace("self.", "")])
        return found

    def lines_of(self, box: Box) -> list[int]:
        """The lines of the program that make a box, that of its last operation first."""
        nodes = [node for node in reversed(box.nodes) if node.op is not None]
        return list(dict.fromkeys(self.line(node) for node in nodes))

    def line(self, node: Tensor) -> int:
        """The number of a line of the program."""
        source: Source = node.source
        key = source.file, source.line
        text = source.text
        if not text:
            variable = naming.label(self.graph, node)
            text = f"{variable} = {naming.expression(self.graph, node)}"
            key = text, source.line
        if key not in self.line_of:
            self.line_of[key] = len(self.lines)
            function = source.code.co_qualname if source.code is not None else ""
            found = {"text": look.shorten(text, 200), "line": source.line, "function": function}
            self.lines.append(found)
        return self.line_of[key]

    def rule(self, node: Tensor) -> int:
        """The number of the text of an operation's gradient rules."""
        if node.op is None:
            return -1
        if node.op not in self.rule_of:
            self.rule_of[node.op] = len(self.rules)
            rules = [rule for rule in (*node.op.rules, node.op.joint) if rule is not None]
            text = "\n".join(filter(None, map(_source_of, rules)))
            self.rules.append(text)
        return self.rule_of[node.op]


def _source_of(rule: Any) -> str:
    """A rule as it was written, without its decorator."""
    try:
        text = textwrap.dedent(inspect.getsource(inspect.unwrap(rule)))
    except (OSError, TypeError):
        return ""
    lines = [line for line in text.splitlines() if not line.startswith("@")]
    return "\n".join(lines) if len(lines) <= 14 else ""
