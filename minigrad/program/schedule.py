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


def schedule(
    program: Program,
    in_loop: Callable[[Statement], bool],
    rather: Callable[[Statement], bool] = lambda s: False,
) -> list[Block]:
    """The blocks in order.

    in_loop: whether a statement outside of all cycles is run step by step.  rather: whether it is
    where a loop is there anyway.
    """
    blocks: list[Block] = []
    where: dict[Statement, int] = {}
    for cycle in cycles(program.statements):
        first = cycle[0]
        looped = len(cycle) > 1 or first in first.needs() or (first.timed and in_loop(first))
        tried = looped or (first.timed and rather(first))
        number = _place(blocks, where, cycle) if tried else None
        if number is None:
            blocks.append(_loop(cycle) if looped else first)
            number = len(blocks) - 1
        where.update(dict.fromkeys(cycle, number))
    _postpone(program, blocks, rather)
    return blocks


def _postpone(program: Program, blocks: list[Block], rather: Callable[[Statement], bool]) -> None:
    """What only a later loop reads, step by step, is computed there: no step of it has to be kept."""
    loop_of = {s: block for block in blocks if isinstance(block, Loop) for s in block.body}
    readers = program.readers()
    for s in reversed([s for block in blocks for s in _statements(block)]):
        found = readers.get(s, [])
        loops = {loop_of.get(reader) for reader, _ in found if reader is not None}
        later = loops.pop() if len(loops) == 1 else None
        plain = s.timed and not (s.before or s.after or s.period) and (s in loop_of or rather(s))
        near = all(reader is not None and x == Ref(s, 0) for reader, x in found)
        if later is None or later is loop_of.get(s) or not (plain and near):
            continue
        if str(later.steps) == str(s.steps):
            if s in loop_of:
                loop_of[s].body.remove(s)
            else:
                blocks.remove(s)
            later.body = ordered([*later.body, s])
            loop_of[s] = later
    blocks[:] = [block for block in blocks if not isinstance(block, Loop) or block.body]


def _statements(block: Block) -> list[Statement]:
    return block.body if isinstance(block, Loop) else [block]


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
