"""What became of each operation, in words: left the loop, stayed in it, and why."""

from __future__ import annotations

from collections.abc import Iterable

from minigrad.program.build import Built
from minigrad.program.ir import Statement
from minigrad.program.names import source_of
from minigrad.program.schedule import Loop

SUMS = ("product_over_steps", "sum_over_rows", "add_up")


def explanation(built: Built) -> str:
    """A line for each block of the program, in its order."""
    lines = _backend(built)
    batched: list[Statement] = []
    seen_loop = False
    for block in built.blocks:
        if isinstance(block, Loop):
            lines += _all_steps(
                batched, "before the loop" if not seen_loop else "between the loops"
            )
            batched, seen_loop = [], True
            lines += _loop(block, built)
        elif block.kind in SUMS or (block.timed and block not in built.storage.views):
            batched.append(block)
    lines += _all_steps(batched, "after the loops")
    return "\n".join(lines)


def _backend(built: Built) -> list[str]:
    """One line for what runs the loops, one for each reason why it is not C."""
    found = [f"not in C: {note}" for note in dict.fromkeys(built.notes)]
    return ["the loops run as native code" if built.c_source else "all runs in NumPy", *found]


def _all_steps(statements: list[Statement], where: str) -> list[str]:
    if not statements:
        return []
    return [f"for all steps at once, {where}:", *_listed(statements)]


def _loop(loop: Loop, built: Built) -> list[str]:
    order = f"t = {loop.steps} − 1 … 0" if loop.backwards else f"t = 0 … {loop.steps} − 1"
    own = [s for s in loop.body if s not in built.storage.views]
    return [f"in a loop, {order}, because each step needs the one before:", *_listed(own)]


def _listed(statements: Iterable[Statement]) -> list[str]:
    return [f"  {s.name:<24} {s.kind:<20} {line_of(s)}".rstrip() for s in statements]


def line_of(s: Statement) -> str:
    """The line of the user's program that a statement comes from, and what stands there."""
    place = source_of(s)
    if not place or s.node is None:
        return ""
    scope = s.node._scope
    owner = s.node if scope is None or scope.node is None else scope.node
    return f"{place}  {owner.source.expression}".rstrip()
