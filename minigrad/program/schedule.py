"""What stays in a loop and what leaves it: loop distribution (Allen & Kennedy 1987).

Statements that depend on themselves through time form a cycle, and a cycle is a loop.  Everything
else is computed for all steps at once, before or after the loops; or, where that costs more than it
saves, inside of a loop that is there anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from minigrad.program.errors import CompileError
from minigrad.program.ir import Every, Number, Program, Ref, Row, Statement


@dataclass(eq=False)
class Loop:
    """Statements that are run step by step, in this order."""

    steps: Any
    backwards: bool
    body: list[Statement] = field(default_factory=list)


Block = Statement | Loop  # a statement: outside of time, or for all steps at once


def schedule(program: Program, in_loop: Callable[[Statement], bool]) -> list[Block]:
    """The blocks in order; in_loop: whether a statement outside of all cycles is run step by step."""
    blocks: list[Block] = []
    where: dict[Statement, int] = {}
    for cycle in cycles(program.statements):
        first = cycle[0]
        looped = len(cycle) > 1 or first in first.needs() or (first.timed and in_loop(first))
        number = _place(blocks, where, cycle) if looped else None
        if number is None:
            blocks.append(_loop(cycle) if looped else first)
            number = len(blocks) - 1
        where.update(dict.fromkeys(cycle, number))
    return blocks


def _loop(cycle: list[Statement]) -> Loop:
    outside = [s for s in cycle if not s.timed]
    if outside or len({str(s.steps) for s in cycle}) > 1:
        node = (outside or cycle)[0].node
        raise CompileError(
            "compile: a step needs what is only known after the last step:\n  "
            f"{node.describe() if node is not None else ''}"
        )
    inside = set(cycle)
    for s in cycle:
        if any(isinstance(x, Row | Every) and x.statement in inside for x in s.edges()):
            raise CompileError("compile: a loop starts from what it ends with")
    return Loop(cycle[0].steps, direction(cycle) < 0, ordered(cycle))


def direction(cycle: list[Statement]) -> int:
    """1 where steps need earlier ones, −1 where they need later ones, 0 where neither."""
    inside = set(cycle)
    offsets = {
        x.offset
        for s in cycle
        for x in s.edges()
        if isinstance(x, Ref) and x.statement in inside and x.offset
    }
    early, late = any(o < 0 for o in offsets), any(o > 0 for o in offsets)
    if early and late:
        raise CompileError("compile: a step needs earlier and later ones of the same loop")
    return int(early) - int(late)


def _place(blocks: list[Block], where: dict[Statement, int], cycle: list[Statement]) -> int | None:
    """The loop that already stands and can take in these statements, if there is one."""
    needed = [where[x] for s in cycle for x in s.needs() if x in where]
    first, own = max(needed, default=0), direction(cycle)
    for number in range(first, len(blocks)):
        block = blocks[number]
        if isinstance(block, Loop) and _fits(block, cycle, own, number, where):
            if own:
                block.backwards = own < 0
            block.body = ordered([*block.body, *cycle])
            return number
    return None


def _fits(
    loop: Loop, cycle: list[Statement], own: int, number: int, where: dict[Statement, int]
) -> bool:
    """Whether the loop has as many steps, goes the same way, and computes nothing too late."""
    if str(loop.steps) != str(cycle[0].steps) or not all(s.timed for s in cycle):
        return False
    its = direction(loop.body)
    if own and its and own != its:
        return False
    way = own or its or (-1 if loop.backwards else 1)
    read = (x for s in cycle for x in s.edges() if not isinstance(x, Number))
    inside = [x for x in read if where.get(x.statement) == number]
    return all(isinstance(x, Ref) and _is_done(x.offset or 0, way) for x in inside)


def _is_done(offset: int, way: int) -> bool:
    """Whether a loop that goes this way has computed the step that an operand reads."""
    return offset <= 0 if way > 0 else offset >= 0


def ordered(body: list[Statement]) -> list[Statement]:
    """The statements of one step, each after those that it needs from the same step."""
    inside, done, order = set(body), set(), []
    stack = [(s, False) for s in reversed(body)]
    while stack:
        s, ready = stack.pop()
        if ready:
            order.append(s)
        elif s not in done:
            done.add(s)
            stack.append((s, True))
            stack += [
                (x.statement, False)
                for x in s.edges()
                if isinstance(x, Ref) and x.offset == 0 and x.statement in inside
            ]
    return order


def cycles(statements: list[Statement]) -> list[list[Statement]]:
    """Strongly connected components, those that are needed first (Tarjan 1972), without recursion."""
    index: dict[Statement, int] = {}
    low: dict[Statement, int] = {}
    open_: list[Statement] = []
    found: list[list[Statement]] = []
    closed: set[Statement] = set()
    for root in statements:
        if root in index:
            continue
        work = [(root, iter(list(root.needs())))]
        index[root] = low[root] = len(index)
        open_.append(root)
        while work:
            s, needs = work[-1]
            for x in needs:
                if x not in index:
                    index[x] = low[x] = len(index)
                    open_.append(x)
                    work.append((x, iter(list(x.needs()))))
                    break
                if x not in closed:
                    low[s] = min(low[s], index[x])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[s])
                if low[s] == index[s]:
                    start = open_.index(s)
                    found.append(open_[start:])
                    closed.update(open_[start:])
                    del open_[start:]
    return found
