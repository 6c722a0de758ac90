"""A scheduled program as the text of a NumPy module, with `program(T, ...)` that makes a step.

Arrays for all steps are made once, when the lengths are known.  `h` is the list of the steps of the
array `h_all`, so that a loop reads as in the textbook: h[t], h[t - 1]; h[-1] is what h starts from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from minigrad.program.draws import AT_ONCE, Draws
from minigrad.program.forms import (
    UFUNCS,
    Call,
    Named,
    added,
    lines,
    literal,
    literal_shape,
    new_axes,
    view,
    zeros,
)
from minigrad.program.ir import (
    STEPS,
    Every,
    Number,
    Operand,
    Program,
    Ref,
    Row,
    Statement,
    parts_of,
    with_operands,
)
from minigrad.program.names import Names, source_of
from minigrad.program.schedule import Block, Loop
from minigrad.program.storage import VIEWS, Storage, guarded

HEAD = '''"""A training step, compiled: its forward and backward pass as a NumPy program."""

import numpy as np
from numpy import {functions}


def rows(array, before):
    """The steps of an array, 0, 1, ..., and at −1, −2, ... what stands before them."""
    order = [*range(before, len(array)), *range(before)]
    return [array[k, ...] for k in order]

'''


CALLED = UFUNCS | {"dot", "matmul"}

# what may be a view of its operand
SHARING = {
    *VIEWS,
    "argument",
    "stack",
    "unstack",
    "reshape",
    "ravel",
    "squeeze",
    "getitem",
    "shaped",
}
SHARING |= {"positive", "cut", "clip"}


class Results(NamedTuple):
    """What a step returns: the loss, the gradients by path, what else the function returned."""

    loss: Operand
    grads: dict[str, Operand]
    others: list[Operand]


class NumpyEmitter:
    """Writes one program; `functions` holds what its text calls besides NumPy, by name."""

    def __init__(
        self, program: Program, blocks: list[Block], storage: Storage, names: Names,
        results: Results, exact: bool = False,
    ) -> None:  # fmt: skip
        self.program, self.blocks, self.storage, self.names = program, blocks, storage, names
        self.results, self.exact = results, exact
        self.native: dict[Loop, Any] = {}  # loops that C does: `CLoop`s
        self.functions: dict[str, Callable[..., Any]] = {}
        self._named: dict[Any, str] = {}
        self.setup: list[str] = []
        self.run: list[str] = []
        self.numbers: dict[tuple[float, Any], str] = {}  # with the names of their arrays
        self.fixed: set[Statement] = set()  # computed once for given lengths
        self.factors: set[Statement] = set()  # what loops multiply by, on the right
        self.listed: set[Statement] = set()
        self.declared: set[Statement] = set()
        self.given: set[str] = set()

    def text(self, lengths: list[str]) -> str:
        """The whole module."""
        used = [s for s in self.program.arguments if s in set(self.program.statements)]
        self.factors = {
            s.operands[1].statement  # type: ignore[union-attr]
            for block in self.blocks
            if isinstance(block, Loop) and block not in self.native
            for s in block.body
            if s.kind == "matmul"
        }
        for s in self.program.statements:
            if s.timed:
                self._declare(s)
        for draws in self.program.draws:
            self._draw(draws)
        for block in self.blocks:
            self._block(block)
        returned = [f"{k!r}: {self._result(x)}" for k, x in self.results.grads.items()]
        others = [self._result(x) for x in self.results.others]
        self.setup += [
            f"{name} = np.array({value}, np.{dtype})"
            for (value, dtype), name in self.numbers.items()
        ]
        text = "\n".join([*self.setup, *self.run])
        called = sorted(set(re.findall(r"(?<![.\w])(\w+)(?=\(|\.reduce\()", text)) & CALLED)
        body = [
            HEAD.format(functions=", ".join(called or ["add"])),
            f"def program({', '.join([*lengths, *(['native'] if self.native else [])])}):",
            '    """Make the arrays for these lengths; return the step."""',
            *[f"    {line}" for line in self.setup],
            "",
            f"    def step({', '.join(s.name for s in used)}):",
            *[f"        {line}" for line in self.run],
            f"        grads = {{{', '.join(returned)}}}",
            f"        return {self._result(self.results.loss)}, grads, [{', '.join(others)}]",
            "",
            "    return step",
            "",
        ]
        return "\n".join(body)

    # arrays

    def _declare(self, s: Statement) -> None:
        """The array of a statement that has steps, and the list of its steps."""
        storage = self.storage
        if s in self.declared or s in storage.shared:
            return
        self.declared.add(s)
        base = storage.views.get(s) or (storage.parts[s][0] if s in storage.parts else None)
        if base is not None:
            if base.timed:
                self._declare(base)
                self._declare_view(s, base)
            return
        if s in storage.kept:
            before, after = storage.padding.get(s, (0, 0))
            steps = f"{s.steps} + {before + after}" if before + after else str(s.steps)
            make = "zeros" if before + after else "empty"
            shape = literal_shape((steps, *s.shape))
            self.setup.append(f"{s.name}_all = np.{make}({shape}, np.{s.dtype})")
            self.setup.append(f"{s.name} = rows({s.name}_all, {before})")
        else:
            self.setup.append(f"{s.name} = np.empty({literal_shape(s.shape)}, np.{s.dtype})")

    def _declare_view(self, s: Statement, base: Statement) -> None:
        kept = s in self.storage.kept
        whole = f"{base.name}_all" if kept else base.name
        if s in self.storage.parts:
            _, start, stop = self.storage.parts[s]
            text = f"{whole}[..., {start}:{stop}]"
        else:
            text = view(s, whole, int(kept))
        if kept:
            before = self.storage.padding.get(s, (0, 0))[0]
            self.setup.append(f"{s.name}_all = {text}")
            self.setup.append(f"{s.name} = rows({s.name}_all, {before})")
        else:
            self.setup.append(f"{s.name} = {text}")

    def _seen_from_outside(self, s: Statement) -> bool:
        base = self.storage.views.get(s)
        return base is not None and not base.timed

    # operands

    def row(self, x: Operand) -> str:
        """An operand in a loop."""
        if isinstance(x, Number):
            return literal(x.value)
        s, offset = x.statement, x.offset  # type: ignore[union-attr]
        if offset is None:
            return s.name
        if not s.timed:
            self._list(s)
            return f"{s.name}_rows[{plus('t', offset)}]"
        return f"{s.name}[{plus('t', offset)}]" if s in self.storage.kept else s.name

    def batch(self, x: Operand, skipped: int = 0, left: int = 0) -> str:
        """An operand for all steps."""
        if isinstance(x, Number):
            return literal(x.value)
        if isinstance(x, Every):
            return self._steps(x.statement, x.offset, x.skipped, x.left)
        if isinstance(x, Row) or x.offset is None:
            return self.whole(x)
        return self._steps(x.statement, x.offset, skipped, left)

    def whole(self, x: Operand) -> str:
        """An operand outside of time."""
        if isinstance(x, Number):
            return literal(x.value)
        if isinstance(x, Every):
            return self.batch(x)
        s = x.statement
        if isinstance(x, Row):
            steps = s.steps if s.timed else s.shape[0]
            from_end = s.timed and x.step < 0
            return f"{s.name}[{plus(steps, x.step) if from_end else x.step}]"
        return s.name

    def _steps(self, s: Statement, offset: int, skipped: int, left: int) -> str:
        steps = s.steps if s.timed else s.shape[0]
        before, after = self.storage.padding.get(s, (0, 0)) if s.timed else (0, 0)
        name = f"{s.name}_all" if s.timed else s.name
        first, stop = before + offset + skipped, before + offset - left
        if first == 0 and stop == before + after:
            return name
        return f"{name}[{first or ''}:{plus(steps, stop)}]"

    def _with_names(self, s: Statement, named: Callable[[Operand], str]) -> Statement:
        """The statement with the names of the index arrays in its constants."""
        return replace(s, constants=self._place(s.constants, named))

    def _list(self, s: Statement) -> None:
        if s not in self.listed:
            self.listed.add(s)
            self.run.append(f"{s.name}_rows = list({s.name})")

    def _function(self, function: Callable[..., Any]) -> str:
        """The name under which the program calls a function that is not NumPy's."""
        if function not in self._named:
            name = self.names.unused(getattr(function, "__name__", "function"))
            self._named[function] = name
            self.functions[name] = function
        return self._named[function]

    # blocks

    def _block(self, block: Block) -> None:
        if isinstance(block, Loop):
            self._loop(block)
        elif block.kind in ("argument", "drawn"):
            pass
        elif not block.timed:
            self._outside(block)
        else:
            self._batch(block)

    def _draw(self, draws: Draws) -> None:
        """Random numbers, in the order in which the function draws them."""
        first = draws.statements[0]
        if draws.steps is None:
            self.run += noted(first, [f"{first.name} = {self._call_of(first)}"])
            return
        at_once = first.constants["method"] in AT_ONCE and not draws.backwards
        if at_once and len(draws.statements) == 1:
            whole = dict(first.constants)
            whole["args"] = ((draws.steps, *first.shape[1:]),)
            options = {k: v for k, v in whole["options"].items() if k != "size"}
            one = replace(first, constants=whole | {"options": options})
            self.run += noted(first, [f"{first.name} = {self._call_of(one)}"])
            return
        for s in draws.statements:
            self.run.append(f"{s.name} = np.empty({literal_shape(s.shape)}, np.{s.dtype})")
        steps = f"range({draws.steps})"
        self.run.append(f"for t in {f'reversed({steps})' if draws.backwards else steps}:")
        for s in draws.statements:
            self.run += noted(s, [f"    {s.name}[t] = {self._call_of(s)}"])

    def _call_of(self, s: Statement) -> str:
        """The call of a generator."""
        c = s.constants
        given = [*map(literal, c["args"]), *(f"{k}={literal(v)}" for k, v in c["options"].items())]
        return f"{self.whole(s.operands[0])}.{c['method']}({', '.join(given)})"

    def _outside(self, s: Statement) -> None:
        if s.kind == "add_up" and any(isinstance(x, Every) for x in s.operands):
            self.run += self._sum_over_steps(s)
            return
        x = [self.whole(x) for x in s.operands]
        named = self._with_names(s, self.whole)
        found = lines(Call(named, x, None, 0, self._function, literal, self.exact))
        if s in self.factors and s.kind in ("transpose", "swapaxes") and not self.exact:
            found.append(f"{s.name} = np.ascontiguousarray({s.name})")
        found = noted(s, found)
        if self._is_fixed(s):
            self.fixed.add(s)
            self.setup += found
        else:
            self.run += found

    def _is_fixed(self, s: Statement) -> bool:
        """Whether a value outside of time depends on nothing but the lengths."""
        known = all(isinstance(x, Number) or x.statement in self.fixed for x in s.edges())
        return known and s.kind != "drawn"

    def _sum_over_steps(self, s: Statement) -> list[str]:
        """Σ over the steps, each part at its place; in eager's order if it must be exact."""
        places = s.constants.get("places") or [None] * len(s.operands)
        pairs = list(zip(s.operands, places, strict=True))
        found = [f"{s.name} = {zeros(s)}"]
        whole = [(x, p) for x, p in pairs if not isinstance(x, Every) or p == STEPS]
        summed = [(x, p) for x, p in pairs if isinstance(x, Every) and p != STEPS]
        for x, place in whole:
            if place == STEPS:
                found.append(f"{s.name}[{_span(x)}] += {self.whole(x)}")
            else:
                found.append(added(s.name, self.whole(x), self._place(place, self.whole)))
        if self.exact and summed:
            steps = f"range({summed[0][0].statement.steps})"
            order = f"reversed({steps})" if s.constants.get("descending") else steps
            ones = [self._one(s, x, self._place(place, self._of_step)) for x, place in summed]
            return [*found, f"for t in {order}:", *[f"    {one}" for one in ones]]
        for x, place in summed:
            if any(isinstance(part, Every) for part in parts_of(place)):
                found.append(added(s.name, self.whole(x), self._place(place, self.whole)))
            else:
                total = f"np.add.reduce({self.whole(x)}, 0)"
                found.append(added(s.name, total, self._place(place, self.whole)))
        if len(found) == 2 and len(summed) == 1 and summed[0][1] is None:
            return [f"{s.name} = np.add.reduce({self.whole(summed[0][0])}, 0)"]
        return found

    def _place(self, place: Any, named: Callable[[Operand], str]) -> Any:
        """A place with the names of its index arrays."""
        return with_operands(place, lambda x: Named(named(x), x.statement.dtype))

    def _of_step(self, x: Operand) -> str:
        """An index array in step t of a sum."""
        return f"{x.statement.name}[t]" if isinstance(x, Every) else self.whole(x)

    def _one(self, s: Statement, x: Any, place: Any) -> str:
        """One step's part of a sum."""
        line = added(s.name, f"{x.statement.name}[t]", place)
        low = f"{x.skipped} <= " if x.skipped else ""
        high = f" < {x.statement.steps} - {x.left}" if x.left else ""
        return f"if {low}t{high}: {line}" if low or high else line

    def _starts(self, statements: list[Statement]) -> None:
        """The rows before the first and after the last step."""
        for s in statements:
            for t, x in s.before.items():
                if x != Number(0) or t >= 0:
                    self.run.append(f"{s.name}[{t}][...] = {self.whole(x)}")
            for t, x in s.after.items():
                if x != Number(0) or t < 0:
                    self.run.append(f"{s.name}[{plus(s.steps, t)}][...] = {self.whole(x)}")

    def _batch(self, s: Statement) -> None:
        if s in self.storage.views:
            self._view_outside(s)
            return
        self._starts([s])
        skipped, left = guarded(s)
        x = [self._spread(x, s, self.batch(x, skipped, left)) for x in s.operands]
        out = self._steps(s, 0, skipped, left)
        named = self._with_names(s, self.batch)
        self.run += noted(s, lines(Call(named, x, out, 1, self._function, literal, self.exact)))
        if s.period:
            first = f"({s.steps} % {s.period} or {s.period})"
            first = plus(first, self.storage.padding.get(s, (0, 0))[0])
            self.run.append(f"{s.name}_all[{first} :: {s.period}] = 0")

    def _view_outside(self, s: Statement) -> None:
        """A view of an array that is another one at each call."""
        if self._seen_from_outside(s):
            self.run.append(f"{s.name}_all = {view(s, self.storage.views[s].name, 1)}")
            self.run.append(f"{s.name} = list({s.name}_all)")

    def _spread(self, x: Operand, s: Statement, text: str) -> str:
        """A sequence of smaller arrays, with axes of length 1 so that it broadcasts step by step."""
        if not isinstance(x, Ref) or x.offset is None or not getattr(s.op, "elementwise", False):
            return text
        shape = x.statement.shape if x.statement.timed else x.statement.shape[1:]
        missing = len(s.shape) - len(shape)
        return f"{text}[:{new_axes(missing)}]" if missing else text

    def _loop(self, loop: Loop) -> None:
        self._starts(loop.body)
        if loop in self.native:
            self._call_native(self.native[loop])
            return
        for s in loop.body:
            self._view_outside(s)
        body: list[str] = []
        for s in loop.body:
            if s in self.storage.views:
                continue
            found = self._step(s)
            skipped, left = guarded(s)
            if (skipped or left) and found:
                low = f"{skipped} <= " if skipped else ""
                high = f" < {loop.steps} - {left}" if left else ""
                found = [f"if {low}t{high}:", *[f"    {line}" for line in found]]
            body += found
            if s.period:
                body.append(f"if t and ({s.steps} - t) % {s.period} == 0:")
                body.append(f"    {s.name}[t][...] = 0")
        if not body:
            return
        steps = f"range({loop.steps})"
        head = f"for t in {f'reversed({steps})' if loop.backwards else steps}:"
        self.run += [head, *[f"    {line}" for line in body]]

    def _call_native(self, loop: Any) -> None:
        """A loop in C: what it takes from outside is copied to where it looks for it."""
        for s, name in loop.copied.items():
            if name not in self.given:
                self.given.add(name)
                self.setup.append(f"{name} = np.empty({literal_shape(s.shape)}, np.{s.dtype})")
            self.run.append(f"{name}[...] = {s.name}")
        sizes, arrays = ", ".join(loop.lengths), ", ".join(loop.arrays)
        bound = (
            f'native("{loop.name}", ({sizes},), ({arrays},))'
            if sizes
            else (f'native("{loop.name}", (), ({arrays},))')
        )
        self.setup.append(f"{loop.name} = {bound}")
        self.run.append(f"{loop.name}()")

    def _step(self, s: Statement) -> list[str]:
        if s.kind == "concatenate" and self._has_parts(s):
            return self._missing_parts(s)
        number = self._number(s) if s.kind in UFUNCS else literal
        x = [number(x.value) if isinstance(x, Number) else self.row(x) for x in s.operands]
        out = f"{s.name}[t]" if s in self.storage.kept else s.name
        whole, named = s not in self.storage.parts, self._with_names(s, self.row)
        return noted(
            s, lines(Call(named, x, out, 0, self._function, self._number(s), self.exact, whole))
        )

    def _number(self, s: Statement) -> Callable[[Any], str]:
        """How numbers are written in a loop: as arrays that are made once, which NumPy takes quicker."""
        kinds = [x.statement.dtype for x in s.operands if not isinstance(x, Number)]
        plain = s.dtype.kind == "f" and all(kind == s.dtype for kind in kinds)

        def written(value: Any) -> str:
            if not plain or type(value) not in (int, float) or not np.isfinite(value):
                return literal(value)
            key = float(value), s.dtype
            if key not in self.numbers:
                known = _NUMBERS.get(float(value), "constant")
                self.numbers[key] = self.names.unused(known)
            return self.numbers[key]

        return written

    def _has_parts(self, s: Statement) -> bool:
        return any(whole is s for whole, _, _ in self.storage.parts.values())

    def _missing_parts(self, s: Statement) -> list[str]:
        """Copies of the operands that are not computed in their place."""
        found, start = [], 0
        out = f"{s.name}[t]" if s in self.storage.kept else s.name
        for x in s.operands:
            width = x.statement.shape[-1]  # type: ignore[union-attr]
            inside = self.storage.parts.get(x.statement, (None,))[0] is s  # type: ignore[union-attr]
            if not inside:
                found.append(f"{out}[..., {start}:{start + width}] = {self.row(x)}")
            start += width
        return found

    def _result(self, x: Operand) -> str:
        """A result in an array of its own: the next call writes into the arrays of the program."""
        text = self.whole(x)
        own = isinstance(x, Ref) and x.offset is None and x.statement not in self.fixed
        fresh = own and x.statement.kind not in SHARING  # type: ignore[union-attr]
        return text if fresh else f"np.array({text})"


_NUMBERS = {-1.0: "minus_one", 0.0: "zero", 0.5: "half", 1.0: "one", 2.0: "two"}


def _span(x: Any) -> str:
    n = x.statement.steps if x.statement.timed else x.statement.shape[0]
    return f"{x.skipped}:{n} - {x.left}" if x.left else f"{x.skipped}:"


def noted(s: Statement, found: list[str]) -> list[str]:
    """The lines of a statement, the first with the place in the user's program that it comes from."""
    place = source_of(s)
    if not place or not found:
        return found
    return [f"{found[0]:<58}  # {place}", *found[1:]]


def plus(name: Any, k: int) -> str:
    """name + k, as one writes it."""
    if k == 0:
        return str(name)
    return f"{name} {'-' if k < 0 else '+'} {abs(k)}"
