"""Statements that need not be: what no step changes leaves the loop, what does nothing goes.

Each pass is a function of a program.  None of them changes a bit of any result, but for `reassociate`,
which lives in its own module.
"""

from __future__ import annotations

from typing import Any

from minigrad.primitive import primitive
from minigrad.program.align import reached
from minigrad.program.ir import NOTHING, Every, Number, Operand, Program, Ref, Row, Statement, moves


@primitive(differentiable=False)
def product_over_steps(a: Any, b: Any) -> Any:
    """Σₜ aₜᵀ bₜ: one product for all steps."""
    return a.reshape(-1, a.shape[-1]).T @ b.reshape(-1, b.shape[-1])


@primitive(differentiable=False)
def sum_over_rows(a: Any) -> Any:
    """Σₜ Σ_b a: the sum over steps and rows."""
    return a.reshape(-1, a.shape[-1]).sum(0)


def simplify(program: Program, exact: bool) -> None:
    """All passes, in place."""
    drop_identities(program)
    hoist(program)
    program.statements = reached(program.results)
    start_from_the_last_step(program)
    drop_identities(program)
    if not exact:
        join_sums(program)
        drop_identities(program)
    merge_equal(program)
    program.statements = reached(program.results)


def replace_everywhere(program: Program, table: dict[Statement, Operand]) -> None:
    """Operands that are statements of the table become what it says; offsets add up."""

    def change(operand: Operand) -> Operand:
        while not isinstance(operand, Number) and operand.statement in table:
            operand = moved(table[operand.statement], operand)
        return operand

    for statement in program.statements:
        statement.replace(change)
    program.results = [change(operand) for operand in program.results]


def moved(found: Operand, by: Operand) -> Operand:
    """What stands for a statement, as it is read by an operand."""
    if isinstance(found, Number) or not isinstance(found, Ref):
        return found
    if found.offset is None:
        return found
    if isinstance(by, Ref):
        return Ref(found.statement, found.offset + (by.offset or 0))
    if isinstance(by, Every):
        return by._replace(statement=found.statement, offset=by.offset + found.offset)
    assert isinstance(by, Row)
    return Row(found.statement, by.step + found.offset)


def drop_identities(program: Program) -> None:
    """Reshapes to the same shape and sums over nothing go, where rows and ends have no say."""
    table: dict[Statement, Operand] = {}
    for s in program.statements:
        if _is_alone(s):
            table[s] = s.operands[0]
        elif s.kind in ("reshape", "sum", "broadcast_to") and not (s.before or s.after or s.period):
            x = s.operands[0]
            if (
                isinstance(x, Ref)
                and (x.offset is None) != s.timed
                and x.statement.shape == s.shape
            ):
                plain = x.offset in (0, None)
                if plain and (s.kind != "sum" or s.constants["axis"] == ()):
                    table[s] = x
    replace_everywhere(program, table)


def merge_equal(program: Program) -> None:
    """Of statements that compute the same of the same, one stays."""
    known: dict[Any, Statement] = {}
    table: dict[Statement, Statement] = {}

    def merged(x: Operand) -> Operand:
        if isinstance(x, Number) or x.statement not in table:
            return x
        return x._replace(statement=table[x.statement])

    for s in program.statements:
        s.replace(merged)
        if s.op is not None and s.kind != "drawn":
            key = s.op, s.which, frozen(s.constants), frozen(s.operands)
            place = str(s.steps), s.absent, s.period, frozen(s.before), frozen(s.after)
            same = known.setdefault((key, place), s)
            if same is not s:
                table[s] = same
    for s in program.statements:  # also what a loop reads of the step before
        s.replace(merged)
    program.results = [merged(x) for x in program.results]
    program.statements = reached(program.results)


def frozen(value: Any) -> Any:
    """A constant, or what holds constants, as something to compare and look up by."""
    if isinstance(value, dict):
        return tuple([(key, frozen(part)) for key, part in value.items()])
    if isinstance(value, slice):
        return slice, value.start, value.stop, value.step
    if isinstance(value, tuple | list):
        return type(value), *map(frozen, value)
    return type(value), value


def _is_alone(s: Statement) -> bool:
    """Whether a sum has one part, which is all of it."""
    if s.kind != "add_up" or len(s.operands) != 1 or s.constants.get("places"):
        return False
    x = s.operands[0]
    own = isinstance(x, Ref) and (x.offset is None) != s.timed
    return own and not (s.before or s.after or s.period)


def start_from_the_last_step(program: Program) -> None:
    """A gradient that reaches only the last step is what the loop starts from, not a sum in each step."""
    users = program.readers()
    for s in program.statements:
        if _is_for_the_last_step(s):
            readers = [(user, x) for user, x in users.get(s, []) if user is not None]
            starts = [_carried(user, x) for user, x in readers]
            if readers and all(starts) and len(readers) == len(users[s]):
                for (user, x), carried in zip(readers, starts, strict=True):
                    user.operands.remove(x)
                    carried.statement.after[0] = s.operands[0]  # type: ignore[union-attr]
    program.statements = reached(program.results)


def _is_for_the_last_step(s: Statement) -> bool:
    """Whether a sum is zero but for its last step, where it has one part."""
    places = s.constants.get("places") or (None,)
    place = places[0][0] if places[0] in ((-1,),) else places[0]
    one = s.kind == "add_up" and not s.timed and len(s.operands) == 1
    return one and type(place) is int and place == -1


def _carried(user: Statement, x: Operand) -> Ref | None:
    """The gradient from the next step, where a sum has only that and what a last step may start from."""
    if user.kind != "add_up" or not user.timed or len(user.operands) != 2:
        return None
    other = next((y for y in user.operands if y != x), None)
    plain = isinstance(x, Ref) and x.offset == 0
    if not plain or not isinstance(other, Ref) or other.offset != 1 or not other.statement.timed:
        return None
    return other if other.statement.after == {0: NOTHING} else None


def hoist(program: Program) -> None:
    """What is computed from nothing that has steps leaves the loop."""
    for s in reached(program.results):
        alone = s.timed and not (s.before or s.after or s.period) and not moves(s.constants)
        if alone and all(isinstance(x, Number) or _same_in_all_steps(x) for x in s.edges()):
            s.steps, s.absent = None, (0, 0)
            replace_everywhere(program, {})
            for user in program.statements:
                user.replace(lambda x, s=s: _as_whole(x, s))
            program.results = [_as_whole(x, s) for x in program.results]


def _same_in_all_steps(x: Operand) -> bool:
    return isinstance(x, Ref) and x.offset is None


def _as_whole(x: Operand, s: Statement) -> Operand:
    if isinstance(x, Ref | Row) and x.statement is s:
        return Ref(s, None)
    return x


def join_sums(program: Program) -> None:
    """Sums over all steps of products, and of sums over rows, become one operation after the loop."""
    users: dict[Statement, int] = {}
    for s in program.statements:
        for needed in s.needs():
            users[needed] = users.get(needed, 0) + 1
    for s in program.statements:
        if s.kind == "add_up" and s.constants.get("places") is None and not s.timed:
            s.operands = [_joined(x, users) for x in s.operands]


def _joined(x: Operand, users: dict[Statement, int]) -> Operand:
    """All steps of a statement, summed in one operation where there is one."""
    if not isinstance(x, Every) or users[x.statement] != 1 or x.offset or x.statement.period:
        return x
    f = x.statement
    if f.kind == "matmul" and len(f.shape) == 2:
        left, right = f.operands
        if isinstance(left, Ref) and left.statement.kind == "transpose" and _is_timed(right):
            a = left.statement.operands[0]
            flat = left.statement.constants.get("axes") is None and len(left.statement.shape) == 2
            if _is_timed(a) and flat and left.offset == 0 and len(_shape(right)) == 2:
                return _over_steps(product_over_steps, f, x, a, right)
    if f.kind == "sum" and _is_timed(f.operands[0]) and f.constants["axis"] in (0, (0,)):
        inner = f.operands[0]
        if len(_shape(inner)) == 2 and len(f.shape) == 1:
            return _over_steps(sum_over_rows, f, x, inner)
    return x


def _over_steps(op: Any, f: Statement, x: Every, *operands: Any) -> Ref:
    parts: list[Operand] = [Every(a.statement, x.skipped, x.left, a.offset) for a in operands]
    return Ref(Statement(op, {}, f.shape, f.dtype, node=f.node, operands=parts))


def _is_timed(x: Operand) -> bool:
    return isinstance(x, Ref) and x.offset is not None


def _shape(x: Operand) -> tuple[Any, ...]:
    assert isinstance(x, Ref)
    return x.statement.shape if x.statement.timed else x.statement.shape[1:]
