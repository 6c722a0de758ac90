"""A recorded step as a program: nodes that are alike from step to step become one statement.

Every node of every recorded step is compared with the statement; what differs at the first or last
steps becomes the rows from which a loop starts; what differs elsewhere is refused, with its line.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, NamedTuple

from minigrad.edits import cut
from minigrad.grad_table import add_up
from minigrad.graph import Graph
from minigrad.ops.elementwise import positive
from minigrad.program.clock import Clock, site
from minigrad.program.draws import Draws, drawn, in_order
from minigrad.program.errors import CompileError
from minigrad.program.ir import (
    NOTHING,
    STEPS,
    Every,
    Moving,
    Number,
    Operand,
    Program,
    Ref,
    Row,
    Statement,
    with_operands,
)
from minigrad.program.labels import label_of
from minigrad.program.origins import Origins, from_the_end
from minigrad.program.record import Recording, RuleScope
from minigrad.tensor import Array, Tensor


class Aligner:
    """Builds the statements of one recording."""

    def __init__(self, recording: Recording) -> None:
        self.recording, self.window = recording, recording.window
        self.results = [recording.loss, *recording.grads.values(), *tensors(recording.aux)]
        draws = [node for node in recording.made if node.op is drawn]  # needed or not
        nodes = dict.fromkeys([*Graph(*self.results).nodes, *draws])
        self.nodes = sorted(nodes, key=lambda node: node.serial)
        self.clock = Clock(self.nodes, recording.answers)
        self.numbers = numbered(recording.made)
        self.origins = Origins(recording.arguments, self.nodes)
        self.statements: dict[Any, Statement] = {}
        self.family: dict[Tensor, Any] = {}
        self.members: dict[Any, dict[int, Tensor]] = {}
        self.gaps: set[Statement] = set()  # gradients that are cut between windows
        self.ends: set[Statement] = set()  # zero but for the last steps: see `_Fit._at_the_end`
        self.copies: dict[Any, Statement] = {}  # of sequences that are read before their first row
        self.number_rows: dict[Any, tuple[Statement, int]] = {}  # by node and number of the input
        self.models: dict[Any, int] = {}  # the step of each axis that stands for all

    def program(self) -> Program:
        """All statements that the results need."""
        self._find_families()
        self._choose_models()
        for node in self.nodes:
            if node in self.family:
                self._declare_family(self.family[node])
            elif node.op is not None:
                self._declare(node)
        for key in self.members:
            self._find_rows(key)
        for key in self.members:
            self._model(key)
        for key in self.members:
            self._compare(key)
        self._cut_gaps()
        for node in self.nodes:
            if node.op is not None and node not in self.family:
                self._outside(node)
        results = [self._seen_from_outside(x, x._array) for x in self.results]
        arguments = list(self.origins.arguments.values())
        statements = reached(results)
        return Program(statements, arguments, results, self._draws(statements))

    def _draws(self, statements: list[Statement]) -> list[Draws]:
        """The random numbers, in the order in which the function draws them."""
        needed = {*statements}

        def statement(node: Tensor) -> tuple[Statement, Any]:
            key = self.family.get(node, node)
            if self.statements[key] not in needed:
                raise CompileError(
                    "compile: random numbers are drawn, and the loss does not need them:\n  "
                    f"{node.describe()}"
                )
            return self.statements[key], self.clock.places.get(
                node
            ) if node in self.family else None

        return in_order([node for node in self.recording.made if node.op is drawn], statement)

    def _cut_gaps(self) -> None:
        """What is cut is zero at the end of each window: it itself, or a copy where others read it."""
        within = {
            x.statement
            for s in self.statements.values()
            for x in s.edges()
            if isinstance(x, Ref) and not x.offset
        }
        copies = {
            s: replace(
                s, op=cut, which=None, constants={}, operands=[Ref(s, 0)], period=self.window
            )
            for s in self.gaps & within
        }
        for s in self.gaps - within:
            s.period = self.window
        for user in [*self.statements.values()]:
            user.replace(
                lambda x: (
                    x._replace(statement=copies[x.statement])
                    if isinstance(x, Ref) and x.offset and x.statement in copies
                    else x
                )
            )

    # families

    def _find_families(self) -> None:
        """Nodes that one line of the program has made in the steps of one axis, by step."""
        seen: Counter[Any] = Counter()
        for node in self.nodes:
            place = self.clock.places.get(node)
            if place is None or node.op is None or self.row_of(node) is not None:
                continue
            key = self._kind(node), place[0]
            number: Any = self.numbers.get(node)
            if number is None:
                number = "without a label", seen[key, place[1]]
                seen[key, place[1]] += 1
            self.family[node] = (*key, number)
            self.members.setdefault(self.family[node], {})[place[1]] = node
        for key, nodes in list(self.members.items()):
            if not self._is_uniform(key, nodes):
                del self.members[key]
                for node in nodes.values():
                    del self.family[node]

    def _kind(self, node: Tensor) -> Any:
        """What is the same for a node in all steps: its site, or that of the rule that made it."""
        scope = node._scope
        if isinstance(scope, RuleScope):
            owner = self.family.get(scope.node, scope.node)
            return owner, scope.input, node.op, node.call and node.call.which, node.shape
        return (*site(node), node.shape, node.dtype)

    def _is_uniform(self, key: Any, nodes: dict[int, Tensor]) -> bool:
        """Whether a family has a node in all steps but some first and last ones.

        Of a backward pass, more may be missing where a gradient is cut; who reads it is compared.
        """
        steps = self.clock.steps[key[1]]
        if isinstance(next(iter(nodes.values()))._scope, RuleScope):
            return steps > 2 and len(nodes) > 1 and len(nodes) >= steps // 3
        return steps > 2 and max(nodes) - min(nodes) + 1 == len(nodes) >= steps // 2

    def row_of(self, x: Tensor) -> tuple[Tensor, int] | None:
        """The sequence and the step, where a node only takes one step out of a sequence."""
        if x.op is None or x.inputs[0] in self.family:
            return None
        sequence, length = x.inputs[0], len(x.inputs[0]._array) if x.inputs[0].ndim else 0
        if x.op.name == "unstack" and x.constants["axis"] == 0 and x.call is not None:
            return sequence, x.call.which
        index = x.constants.get("index")
        index = index[0] if isinstance(index, tuple) and len(index) == 1 else index
        if x.op.name == "getitem" and type(index) is int and length in self._lengths():
            return sequence, index % length
        return None

    def _lengths(self) -> set[int]:
        return set(self.clock.steps.values())

    def _find_rows(self, key: Any) -> None:
        """What all nodes of a family read, step by step, of one argument."""
        nodes = self.members[key]
        leaves: dict[int, list[Any]] = {}
        for t, node in nodes.items():
            own = [a for x, a in zip(node.inputs, node.arrays, strict=True) if x.op is None]
            leaves[t] = [x for x in own if isinstance(x, Array)] + in_arrays(node.constants)
        if len({len(found) for found in leaves.values()}) == 1:
            for row in zip(*leaves.values(), strict=True):
                self.origins.note_rows(dict(zip(nodes, row, strict=True)))
        for k in range(len(next(iter(nodes.values())).arrays)):
            values = {t: node.arrays[k] for t, node in nodes.items() if len(node.arrays) > k}
            if all(isinstance(x, bool) for x in values.values()):
                found = self.origins.rows_of(values)
                self.number_rows |= {(nodes[t], k): row for t, row in found.items()}

    def _find_places(self, node: Tensor) -> None:
        """Of a sum whose parts go to places, those that are rows of an argument."""
        places: dict[Any, dict[int, list[Array]]] = {}
        for x, place in zip(node.inputs, node.constants["places"], strict=True):
            if x in self.family:
                own = places.setdefault(self.family[x], {})
                own[self.clock.places[x][1]] = in_arrays(place if type(place) is tuple else [place])
        for found in places.values():
            if len({len(arrays) for arrays in found.values()}) == 1:
                for row in zip(*found.values(), strict=True):
                    self.origins.note_rows(dict(zip(found, row, strict=True)))

    # statements

    def _declare_family(self, key: Any) -> None:
        if key not in self.statements:
            steps, nodes = self.clock.steps[key[1]], self.members[key]
            model = nodes[self._middle(key)]
            absent = min(nodes), steps - 1 - max(nodes)
            self.statements[key] = _statement(model, steps, absent)
            if model.op is drawn:  # the numbers of all steps are there before the loop
                whole = self.statements[key]
                whole.shape, whole.steps = (steps, *model.shape), None
                if absent != (0, 0):
                    raise CompileError(
                        f"compile: random numbers are not drawn in every step:\n  {model.describe()}"
                    )

    def _declare(self, node: Tensor) -> None:
        if node not in self.statements:
            self.statements[node] = _statement(node, None, (0, 0))

    def _choose_models(self) -> None:
        """Of each axis the step with most nodes, so that nothing is cut there; near the middle."""
        counts: Counter[Any] = Counter()
        for key, nodes in self.members.items():
            counts.update((key[1], t) for t in nodes)
        for axis, steps in self.clock.steps.items():
            first = min(2, steps - 1)
            inner = range(first, max(steps - 2, first + 1))
            ranked = [(counts[axis, t], -abs(t - steps // 2), t) for t in inner]
            self.models[axis] = max(ranked)[-1]

    def _middle(self, key: Any) -> int:
        """The step whose node stands for a family."""
        nodes, model = self.members[key], self.models[key[1]]
        return min(nodes, key=lambda t: abs(t - model))

    def _model(self, key: Any) -> None:
        """The operands of a family, from its middle node."""
        statement, middle = self.statements[key], self._middle(key)
        statement.operands = self._operands(self.members[key][middle], middle)
        statement.constants = self._constants(self.members[key][middle], middle)

    def _compare(self, key: Any) -> None:
        """All other nodes of a family must fit."""
        for t, node in self.members[key].items():
            if t != self._middle(key):
                _Fit(self, self.statements[key], node, t).check()

    def _operands(self, node: Tensor, t: int) -> list[Operand]:
        self.origins.user = node
        self.origins.steps = self.clock.steps[self.clock.places[node][0]]
        found = [self.operand(x, a, t) for x, a in zip(node.inputs, node.arrays, strict=True)]
        rows = [self.number_rows.get((node, k)) for k in range(len(found))]
        return [
            x if row is None else Ref(row[0], row[1] - t)
            for x, row in zip(found, rows, strict=True)
        ]

    def operand(self, x: Tensor, array: Any, t: int) -> Operand:
        """A node as the operand of a statement in step t."""
        if (known := self.origins.noted_row(array)) is not None:
            return Ref(known[0], known[1] - t)
        if not isinstance(array, Array):
            return self._number(array)
        x = self.origins.computed.get(id(x._array), x) if x.op is None else x
        if x in self.family:
            return Ref(self.statements[self.family[x]], self.clock.places[x][1] - t)
        if (row := self.row_of(x)) is not None:
            return Ref(self._whole(row[0]).statement, row[1] - t)
        if x.op is None and (element := self.origins.element(x, t)) is not None:
            return Ref(element, 0)
        return self._whole(x)

    def _number(self, value: Any) -> Operand:
        """A Python number: an argument, or one of the program itself."""
        argument = self.origins.number(value)
        return Number(value) if argument is None else Ref(argument, None)

    def _leaf_from_outside(self, x: Tensor) -> Operand:
        """An argument, or one step of one."""
        found = self.origins.known(x._array)
        row = None if found is not None else self.origins.row(x._array)
        return self._whole(x) if row is None else row

    def _whole(self, x: Tensor) -> Any:
        """All that a node outside of time is."""
        if x.op is None:
            return Ref(self.origins.statement(x), None)
        return Ref(self.statements[x], None)

    def _seen_from_outside(self, x: Tensor, array: Any) -> Operand:
        if (known := self.origins.noted_row(array)) is not None:
            return Row(known[0], from_the_end(known[1], known[0].shape[0]))
        if not isinstance(array, Array):
            return self._number(array)
        x = self.origins.computed.get(id(x._array), x) if x.op is None else x
        if x in self.family:
            statement, t = self.statements[self.family[x]], self.clock.places[x][1]
            return Row(statement, from_the_end(t, _count(statement)))
        if (row := self.row_of(x)) is not None:
            return Row(self._whole(row[0]).statement, from_the_end(row[1], len(row[0]._array)))
        return self._leaf_from_outside(x) if x.op is None else self._whole(x)

    def _outside(self, node: Tensor) -> None:
        """The operands of a node outside of time; all steps of a family are one operand."""
        statement, self.origins.user = self.statements[node], node
        if node.op is add_up:
            self._find_places(node)
        operands = [
            self._seen_from_outside(x, a) for x, a in zip(node.inputs, node.arrays, strict=True)
        ]
        statement.constants = self._constants(node, None)
        statement.operands = operands
        if len(operands) > 2 and node.op.variadic:
            places = statement.constants.get("places") or [None] * len(operands)
            groups = _groups(operands, places)
            statement.operands = [operand for operand, _ in groups]
            if statement.constants.get("places"):
                statement.constants["places"] = tuple(place for _, place in groups)
            statement.constants |= _order(operands)

    def copy_of(self, mine: Operand, wanted: Operand) -> Operand:
        """An operand as it is read where the sequence that it reads has been copied."""
        if not isinstance(mine, Ref) or not isinstance(wanted, Ref) or not mine.offset:
            return mine
        copy = self.copies.get((mine.statement, wanted.statement.steps))
        return mine._replace(statement=copy) if copy is wanted.statement else mine

    # constants

    def _constants(self, node: Tensor, t: int | None) -> dict[str, Any]:
        if node.op.name == "add_up":
            places = self._constant(node.constants["places"], t, node)
            return {
                **node.constants,
                "places": None if set(map(type, places)) == {type(...)} else places,
            }
        return {name: self._constant(value, t, node) for name, value in node.constants.items()}

    def _constant(self, value: Any, t: int | None, node: Tensor) -> Any:
        if isinstance(value, Array):
            return self.origins.index(value, t, node)
        if isinstance(value, tuple | list):
            return type(value)(self._constant(part, t, node) for part in value)
        return value


class _Fit(NamedTuple):
    """The comparison of a node in step t with its statement."""

    aligner: Aligner
    statement: Statement
    node: Tensor
    t: int

    def check(self) -> None:
        """Note what the first and last steps start from; raise for what differs elsewhere."""
        node, statement = self.node, self.statement
        if node.op.name == "add_up":
            found = self.aligner._operands(node, self.t)
            self._sum(found)
            return
        found = self.aligner._operands(node, self.t)
        for k, (mine, wanted) in enumerate(zip(found, list(statement.operands), strict=True)):
            mine = self.aligner.copy_of(mine, wanted)
            if mine != wanted:
                self._differs(k, mine, wanted)
        middle = self.aligner._middle(self.aligner.family[node])
        constants = self.aligner._constants(node, self.t)
        statement.constants = self._general(statement.constants, constants, middle)

    def _sum(self, found: list[Operand]) -> None:
        """A gradient of several parts, of which the first and last steps may lack some."""
        missing = [part for part in self.statement.operands if part not in found]
        extra = [part for part in found if part not in self.statement.operands]
        if self.statement.constants["places"] is not None:
            self._sum_of_places(found, missing, extra)
            return
        if len(extra) > len(missing) and missing:
            extra = [*extra[: len(missing) - 1], self._total(extra[len(missing) - 1 :])]
        elif len(extra) > len(missing):
            self._refuse("adds other gradients")
        for mine in extra:
            part = self._counterpart(mine, missing)
            missing.remove(part)
            self._differs(self.statement.operands.index(part), mine, part)
        for part in missing:
            self._is_nothing(part)

    def _sum_of_places(
        self, found: list[Operand], missing: list[Operand], extra: list[Operand]
    ) -> None:
        """As `_sum`, where the parts go to places of an array."""
        places = self.aligner._constants(self.node, self.t)["places"] or [...] * len(found)
        for mine in extra:
            place = places[found.index(mine)]
            known = zip(self.statement.operands, self.statement.constants["places"], strict=True)
            same = [part for part, its in known if part in missing and repr(its) == repr(place)]
            if same:
                missing.remove(same[0])
                self._differs(self.statement.operands.index(same[0]), mine, same[0])
            else:
                self._at_the_end(mine, place)
        for part in missing:
            self._is_nothing(part)

    def _at_the_end(self, mine: Operand, place: Any) -> None:
        """A gradient that only a last step has: a part that is zero in all other steps."""
        s, outside = self.statement, self._from_outside(0, mine)
        if self.t < s.steps // 2 or isinstance(outside, Number):
            self._refuse("adds other gradients")
        x = outside.statement  # type: ignore[union-attr]
        inside = isinstance(outside, Ref) and x.timed
        if inside:
            self._refuse("adds other gradients")
        shape = x.shape[1:] if isinstance(outside, Row) and not x.timed else x.shape
        end = Statement(positive, {}, shape, x.dtype, s.steps, s.node, operands=[Number(0)])
        end.after[self.t - s.steps] = outside
        self.aligner.ends.add(end)
        s.operands = [Ref(end, 0), *s.operands]
        s.constants["places"] = (place, *s.constants["places"])

    def _total(self, parts: list[Operand]) -> Operand:
        """Gradients that arrive from outside of the loop, added up there."""
        if any(isinstance(part, Ref) and part.statement.timed for part in parts):
            self._refuse("adds other gradients")
        outside = [self._from_outside(0, part) for part in parts]
        return Ref(sum_of(self.statement, outside), None)

    def _counterpart(self, mine: Operand, missing: list[Operand]) -> Operand:
        """The part in whose place another one stands: the sum that it is alone of, or the first."""
        sums = (part for part in missing if self._is_sum(part))
        own = (part for part in sums if mine in _parts(part))
        return next(own, missing[0])

    def _is_nothing(self, part: Operand) -> None:
        if self._is_cut(part):
            assert isinstance(part, Ref)
            self.aligner.gaps.add(part.statement)
        elif self._is_behind_a_cut(part) or part.statement in self.aligner.ends:  # type: ignore[union-attr]
            return  # it is zero here, or computed from nothing but zeros
        elif isinstance(part, Ref) and self._outside(part):
            self._set_row(part, NOTHING)
        else:
            self._refuse("lacks a gradient that the others have")

    def _is_cut(self, part: Operand) -> bool:
        """Whether an operand is a gradient that crosses into an earlier window of truncated BPTT."""
        if not isinstance(part, Ref) or not part.offset or not part.statement.timed:
            return False
        if self.aligner.window == 1:  # what is cut in every step is in none
            return False
        left = part.statement.steps - self.t - part.offset
        return bool(self.aligner.window and left > 0 and left % self.aligner.window == 0)

    def _is_behind_a_cut(self, part: Operand) -> bool:
        """Whether a gradient comes, within this step, from one that is cut at its end."""
        window = self.aligner.window
        if not isinstance(part, Ref) or part.offset or not part.statement.timed or window < 2:
            return False
        return bool((part.statement.steps - self.t - 1) % window == 0)

    def _outside(self, wanted: Ref) -> bool:
        """Whether the wanted step is none that the other statement has."""
        steps = wanted.statement.steps
        if wanted.offset is None or steps is None:
            return False
        lo, hi = wanted.statement.absent
        return not lo <= self.t + wanted.offset < steps - hi

    def _set_row(self, wanted: Ref, value: Operand) -> None:
        """The value of a statement in a step that it does not have."""
        statement, where = wanted.statement, self.t + (wanted.offset or 0)
        early = where < statement.steps // 2
        rows = statement.before if early else statement.after
        known = rows.setdefault(where if early else where - statement.steps, value)
        if known != value:
            self._refuse("starts from several values")

    def _differs(self, k: int, mine: Operand, wanted: Operand) -> None:
        if self._is_sum(wanted) and self._is_in_range(wanted) and self._one_part_of(mine, wanted):
            return
        wanted = self._copied(k, wanted)
        if mine == wanted:
            return
        if isinstance(wanted, Ref) and self._outside(wanted):
            self._set_row(wanted, self._from_outside(k, mine))
            return
        if isinstance(mine, Number) and isinstance(wanted, Number):
            self._refuse(f"computes with the number {mine.value!r}, others with {wanted.value!r}")
        self._refuse("is not like the others")

    def _copied(self, k: int, wanted: Operand) -> Operand:
        """A copy of a sequence, where a step reads a row before its first one: the copy has one."""
        if not isinstance(wanted, Ref) or not wanted.offset or wanted.statement.timed:
            return wanted
        x, steps = wanted.statement, self.statement.steps
        if x.shape[:1] != (steps,) or 0 <= self.t + wanted.offset < steps:
            return wanted
        copy = Statement(positive, {}, x.shape[1:], x.dtype, steps, x.node, operands=[Ref(x, 0)])
        copy = self.aligner.copies.setdefault((x, steps), copy)
        self.statement.operands[k] = Ref(copy, wanted.offset)
        return self.statement.operands[k]

    def _is_sum(self, wanted: Operand) -> bool:
        """Whether an operand is a gradient of several parts, made in each step."""
        if not isinstance(wanted, Ref):
            return False
        return wanted.statement.kind == "add_up" and wanted.statement.timed

    def _is_in_range(self, x: Any) -> bool:
        return 0 <= self.t + (x.offset or 0) < x.statement.steps

    def _one_part_of(self, mine: Operand, wanted: Any) -> bool:
        """Whether, of a gradient with several parts, one alone has arrived here."""
        parts = _parts(wanted)
        sums = [part for part in parts if self._is_sum(part) and self._is_in_range(part)]
        if mine in parts:
            own: Operand | None = mine
        else:
            own = next((part for part in sums if self._one_part_of(mine, part)), None)
        if own is None:
            later = [x for x in parts if isinstance(x, Ref) and x.offset and self._outside(x)]
            if not later:
                return False
            own = later[0]
            self._set_row(later[0], self._from_outside(0, mine))
        for part in parts:
            if part != own:
                self._is_nothing(part)
        wanted.statement.absent = (0, 0)
        return True

    def _from_outside(self, k: int, mine: Operand) -> Operand:
        if isinstance(mine, Ref) and mine.offset is not None:
            steps = mine.statement.steps or mine.statement.shape[0]
            return Row(mine.statement, from_the_end(self.t + mine.offset, steps))
        return mine

    def _general(self, model: Any, mine: Any, middle: int) -> Any:
        """Constants that serve for both steps: whole numbers may move with the step."""
        if isinstance(model, Moving):
            if model.factor * self.t + model.constant == mine:
                return model
        elif type(model) in (tuple, list) and len(model) == len(mine):
            parts = zip(model, mine, strict=True)
            return type(model)([self._general(a, b, middle) for a, b in parts])
        elif isinstance(model, dict):
            return {k: self._general(part, mine[k], middle) for k, part in model.items()}
        elif isinstance(model, slice) and isinstance(mine, slice):
            ends = (self._general(getattr(model, k), getattr(mine, k), middle) for k in _SLICE)
            return slice(*ends)
        elif model == mine:
            return model
        elif type(model) is int and type(mine) is int:
            factor, rest = divmod(mine - model, self.t - middle)
            if not rest:
                return Moving(factor, model - factor * middle)
        self._refuse(f"is made with {mine!r}, others with {model!r}")
        return model

    def _refuse(self, what: str) -> None:
        node = self.node
        if isinstance(node._scope, RuleScope):
            node = node._scope.node  # the line of the user's program
        raise CompileError(
            f"compile: step {self.t} {what}; all steps must do the same, but for the first and the last "
            "ones (give a weight or a mask for each step as an argument, or use np.where):\n  "
            f"{node.describe()}"
        )


def in_arrays(value: Any) -> list[Array]:
    """The arrays in the constants of an operation."""
    if isinstance(value, Array):
        return [value]
    if isinstance(value, dict):
        value = [*value.values()]
    return [x for part in value for x in in_arrays(part)] if isinstance(value, tuple | list) else []


def sum_of(like: Statement, parts: list[Operand]) -> Statement:
    """The sum of some gradients outside of time, in the shape of a step of a statement."""
    constants = {"places": None, "shape": like.shape, "dtype": like.dtype}
    return Statement(add_up, constants, like.shape, like.dtype, node=like.node, operands=parts)


def shifted(operand: Operand, later: int) -> Operand:
    """An operand of a statement, as it is read so many steps later."""
    if isinstance(operand, Ref) and operand.offset is not None:
        return operand._replace(offset=operand.offset + later)
    return operand


def _parts(total: Any) -> list[Operand]:
    """What a sum is made of, as seen by who reads the sum."""
    return [shifted(part, total.offset or 0) for part in total.statement.operands]


def numbered(made: list[Tensor]) -> dict[Tensor, int]:
    """How many nodes the same line has made before in the same step, or the same rule in one run."""
    seen: Counter[Any] = Counter()
    numbers: dict[Tensor, int] = {}
    for node in made:
        label, scope = label_of(node), node._scope
        if node.op is None:
            continue
        if isinstance(scope, RuleScope):
            key: Any = scope.node, scope.input, node.op, node.call and node.call.which
        elif label is not None:
            key = site(node), label
        else:
            continue
        numbers[node] = seen[key]
        seen[key] += 1
    return numbers


def _groups(operands: list[Operand], places: Any) -> list[tuple[Operand, Any]]:
    """The operands, where all steps of a statement that go to one place are one.

    Steps that go each to its own place, number t to t, get the place STEPS.
    """
    steps: dict[Statement, list[tuple[int, Any]]] = {}
    for operand, place in zip(operands, places, strict=True):
        if isinstance(operand, Row):
            n = _count(operand.statement)
            steps.setdefault(operand.statement, []).append((operand.step % n, place))
    found: list[tuple[Operand, Any]] = []
    for operand, place in zip(operands, places, strict=True):
        run = steps[operand.statement] if isinstance(operand, Row) else []
        if len(run) < 3:
            found.append((operand, place))
        elif isinstance(operand, Row) and run:
            group = _as_one(operand.statement, run)
            if group not in found:
                found.append(group)
    return _in_order(found, operands)


def _in_order(
    groups: list[tuple[Operand, Any]], operands: list[Operand]
) -> list[tuple[Operand, Any]]:
    """The groups, those of all steps in the order that they have within a step."""
    place: dict[Statement, int] = {}
    for k, x in enumerate(operands):
        if isinstance(x, Row) and x.step % _count(x.statement) == _count(x.statement) // 2:
            place[x.statement] = k
    runs = [g for g in groups if isinstance(g[0], Every)]
    ordered = iter(sorted(runs, key=lambda g: place.get(g[0].statement, 0)))  # type: ignore[union-attr]
    return [next(ordered) if isinstance(g[0], Every) else g for g in groups]


def _as_one(statement: Statement, run: list[tuple[int, Any]]) -> tuple[Operand, Any]:
    """Some steps of a statement in a row, and the place that they go to."""
    ts = sorted(t for t, _ in run)
    if ts != list(range(ts[0], ts[-1] + 1)):
        raise CompileError(f"compile: some steps are left out of a sum or a stack\n{statement!r}")
    every = Every(statement, ts[0], _count(statement) - 1 - ts[-1])
    if all(_step_of(place) == t for t, place in run):
        return every, STEPS

    def of_all(t: int, place: Any) -> Any:
        return with_operands(place, lambda x: _all_steps(x, t, every))

    run = [(t, of_all(t, place)) for t, place in run]
    if any(repr(place) != repr(run[0][1]) for _, place in run):
        raise CompileError(
            f"compile: a gradient goes to places that change from step to step\n{statement!r}"
        )
    return every, run[0][1]


def _all_steps(x: Operand, t: int, every: Every) -> Operand:
    """An index array that moves with the steps, as all of its rows."""
    if isinstance(x, Row) and x.step % _count(x.statement) == t:
        return every._replace(statement=x.statement)
    return x


def _step_of(place: Any) -> Any:
    return place[0] if isinstance(place, tuple) and len(place) == 1 else place


def _order(operands: list[Operand]) -> dict[str, Any]:
    """Whether the steps come last one first, as in a backward pass."""
    ts = [x.step % _count(x.statement) for x in operands if isinstance(x, Row)]
    return {"descending": len(ts) > 1 and ts[0] > ts[-1]}


def _count(statement: Statement) -> int:
    return int(statement.steps if statement.timed else statement.shape[0])


_SLICE = ("start", "stop", "step")


def _statement(node: Tensor, steps: int | None, absent: tuple[int, int]) -> Statement:
    which = node.call.which if node.call else None
    return Statement(node.op, {}, node.shape, node.dtype, steps, node, which, absent=absent)


def reached(results: list[Operand]) -> list[Statement]:
    """The statements that the results need, each after those that it needs from outside of its loop."""
    order: list[Statement] = []
    seen: set[Statement] = set()
    stack = [(operand.statement, False) for operand in results if not isinstance(operand, Number)]
    while stack:
        statement, done = stack.pop()
        if done:
            order.append(statement)
        elif statement not in seen:
            seen.add(statement)
            stack.append((statement, True))
            stack += [(needed, False) for needed in statement.needs()]
    return order


def tensors(aux: Any) -> list[Tensor]:
    """The tensors in a structure of tuples, lists and dicts, in order."""
    if isinstance(aux, Tensor):
        return [aux]
    if isinstance(aux, dict):
        return [x for part in aux.values() for x in tensors(part)]
    if isinstance(aux, tuple | list):
        return [x for part in aux for x in tensors(part)]
    return []
