"""The plan of a program as a picture."""

from __future__ import annotations

from minigrad.program.build import Built
from minigrad.program.explanation import line_of
from minigrad.program.ir import Every, Number, Ref, Row, Statement
from minigrad.program.schedule import Loop
from minigrad.render import look
from minigrad.render.canvas import Drawing
from minigrad.render.plans import PlanBox, PlanLink, PlanPart, draw_plan

DEFERRED = ("product_over_steps", "sum_over_rows")
UNNAMED = (
    "constant",
    "product",
    "difference",
    "total",
)  # what the names of unnamed values begin with


def picture(built: Built, title: str) -> Drawing:
    """A box for each statement that computes something, in the parts of the program."""
    parts = _parts(built)
    statements = [s for _, work in parts for s, _ in work]
    ids = {
        s: f"s{k}_{s.name}" for k, s in enumerate(statements)
    }  # several may write to one array, of one name
    boxes = [
        PlanPart(name, tuple(_box(s, kind, built, ids[s]) for s, kind in work))
        for name, work in parts
    ]
    links: dict[PlanLink, None] = {}
    for target in statements:
        for source, step in _sources(target, built):
            if source.op is not None:
                links[PlanLink(ids[source], ids[target], step)] = None
    return draw_plan(boxes, list(links), title)


def _parts(built: Built) -> list[tuple[str, list[tuple[Statement, str]]]]:
    """The loops and what stands between them: title, and each statement with the kind of its work."""
    parts: list[tuple[str, list[tuple[Statement, str]]]] = []
    straight: list[tuple[Statement, str]] = []
    after = False
    for block in built.blocks:
        if isinstance(block, Loop):
            parts.append(("between the loops" if after else "before the loop", straight))
            order = "T − 1 … 0" if block.backwards else "0 … T − 1"
            own = [(s, "loop") for s in block.body if s not in built.storage.views]
            parts.append((f"loop, t = {order}", own))
            straight, after = [], True
        elif block.op is not None and block not in built.storage.views:
            straight.append((block, _work(block, after)))
    parts.append(("after the loops" if after else "without a loop", straight))
    return [(name, work) for name, work in parts if work]


def _sources(s: Statement, built: Built) -> list[tuple[Statement, str]]:
    """The statements that one is made of, through views, and the steps they are taken from."""
    found: dict[tuple[Statement, str], None] = {}
    for operand in s.edges():
        if not isinstance(operand, Number):
            inner = [(operand.statement, "")]
            if operand.statement in built.storage.views:
                inner = _sources(operand.statement, built)
            step = _step(operand)
            found.update(dict.fromkeys((source, step or other) for source, other in inner))
    return list(found)


def _step(operand: Ref | Row | Every) -> str:
    """From which step an operand comes, where that is another one."""
    if isinstance(operand, Row):
        return f"step {operand.step}" if operand.step >= 0 else f"step T − {-operand.step}"
    if not operand.offset:
        return ""
    return f"t{'+' if operand.offset > 0 else '−'}{abs(operand.offset)}"


def _work(s: Statement, after: bool) -> str:
    """What kind of work a statement outside of the loops is."""
    if s.kind in DEFERRED and after:
        return "deferred"
    return "batched" if s.timed or s.kind in DEFERRED else "once"


def _box(s: Statement, work: str, built: Built, id: str) -> PlanBox:
    """The box of a statement; under its sign the arguments that it takes."""
    kind = "operation"
    if s.kind in look.PRODUCTS:
        kind = "matmul"
    elif s.kind in look.NONLINEAR:
        kind = "nonlinear"
    symbol = look.SYMBOLS.get(s.kind, s.kind.replace("_", " "))
    made_up = "_of_" in s.name or s.name.startswith((s.kind, *UNNAMED))
    label = symbol if made_up else f"{symbol}  {s.name}"
    given = dict.fromkeys(source.name for source, _ in _sources(s, built) if source.op is None)
    if given:
        label += f"\n{' '.join(given)}"
    return PlanBox(id, label, work, kind, f"{s!r}  {line_of(s)}".strip())
