"""Sums and products in another order, so that more of them leaves the loop.

Of `x W + h U + b`, x W + b is known before the loop; of `dh · y · (1 − y)`, y (1 − y).  Each chain of
sums, or of products, that lies in a loop is ordered so: first what the loop computes, then one
statement for all that it need not.  This changes the last bits of the results, as any other order
of summation does.
"""

from __future__ import annotations

from minigrad.program.align import reached
from minigrad.program.ir import Number, Operand, Program, Ref, Statement
from minigrad.program.names import Names
from minigrad.program.schedule import cycles

CHAINS = ("add", "multiply")
_KNOWN = {"add": "known", "multiply": "factor"}


def reassociate(program: Program, names: Names) -> None:
    """All chains of all loops, in place; what leaves a loop is called after what it is a part of."""
    for cycle in cycles(program.statements):
        if len(cycle) > 1:
            _Loop(program, set(cycle), names).rewrite()
    program.statements = reached(program.results)


class _Loop:
    """The statements of one cycle."""

    def __init__(self, program: Program, inside: set[Statement], names: Names) -> None:
        self.program, self.inside, self.names = program, inside, names
        self.uses: dict[Statement, int] = {}
        for s in program.statements:
            for needed in s.needs():
                self.uses[needed] = self.uses.get(needed, 0) + 1
        for x in program.results:
            if not isinstance(x, Number):
                self.uses[x.statement] = self.uses.get(x.statement, 0) + 1
        self._depends: dict[Statement, bool] = {}

    def rewrite(self) -> None:
        """Every statement that is the end of a chain."""
        inner = {
            x.statement
            for s in self.inside
            if s.kind in CHAINS
            for x in s.operands
            if not isinstance(x, Number) and self._continues(s, x)
        }
        for s in self.inside - inner:
            if s.kind in CHAINS:
                self._reorder(s)

    def _reorder(self, s: Statement) -> None:
        terms = self._terms(s)
        known = [x for x in terms if not self.needs_loop(x)]
        rest = [x for x in terms if self.needs_loop(x)]
        steady = [x for x in known if isinstance(x, Ref) and x.offset is not None]
        if len(known) < 2 or not rest or not steady:
            return
        chain = rest[0]
        for x in rest[1:]:
            chain = self._joined(s, chain, x)
        before = known[0]
        for x in known[1:]:
            before = self._joined(s, before, x)
        self.names.give(before.statement, f"{s.name}_{_KNOWN[s.kind]}")  # type: ignore[union-attr]
        s.operands = [chain, before]

    def _joined(self, s: Statement, a: Operand, b: Operand) -> Operand:
        """One more statement of the chain."""
        shape = _broadcast(a, b)
        made = Statement(s.op, {}, shape, s.dtype, s.steps, s.node, operands=[a, b])
        return Ref(made, 0)

    def _terms(self, s: Statement) -> list[Operand]:
        """What a chain adds up, or multiplies."""
        found: list[Operand] = []
        for x in s.operands:
            found += self._terms(x.statement) if self._continues(s, x) else [x]  # type: ignore[union-attr]
        return found

    def _continues(self, s: Statement, x: Operand) -> bool:
        """Whether an operand is the same operation in the same loop, and nothing else needs it."""
        if not isinstance(x, Ref) or x.offset != 0 or x.statement.kind != s.kind:
            return False
        y = x.statement
        own = self.uses[y] == 1 and not (y.before or y.after or y.period)
        return own and y.shape == s.shape and y.dtype == s.dtype and self.needs_loop(x)

    def needs_loop(self, x: Operand) -> bool:
        """Whether an operand is computed in the loop, or from what is."""
        return not isinstance(x, Number) and self._needs(x.statement)

    def _needs(self, s: Statement) -> bool:
        if s in self.inside:
            return True
        stack = [s]
        seen: list[Statement] = []
        while stack:
            one = stack.pop()
            if one in self.inside or self._depends.get(one):
                self._depends[s] = True
                return True
            if one not in self._depends:
                self._depends[one] = False
                seen.append(one)
                stack += list(one.needs())
        return False


def _broadcast(a: Operand, b: Operand) -> tuple[int, ...]:
    shapes = [_shape(x) for x in (a, b)]
    longest = max(shapes, key=len)
    padded = [(1,) * (len(longest) - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(n if m == 1 else m for n, m in zip(*padded, strict=True))


def _shape(x: Operand) -> tuple[int, ...]:
    if isinstance(x, Number):
        return ()
    s = x.statement
    inside = isinstance(x, Ref) and x.offset is not None and not s.timed
    return s.shape[1:] if inside else s.shape
