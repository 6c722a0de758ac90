"""What is suspicious about a graph: each finding with its evidence and the line it comes from.

Every check is a generator of findings; where all is well none of them yields anything.
"""

from __future__ import annotations

import linecache
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any

import numpy as np

from minigrad import naming, symptoms
from minigrad.graph import Graph
from minigrad.memory import collector_paused
from minigrad.norms import array_of
from minigrad.primitive import Primitive
from minigrad.rulecheck import check_rule, rules_of
from minigrad.scope import in_engine
from minigrad.survey import Checkup, Finding, Survey, module_of
from minigrad.tensor import Tensor

CUTTING = re.compile(
    r"\.detach\(|\.data\b|\.numpy\(|\.item\(|\.tolist\(|no_grad|\bfloat\(|arg(max|min)\("
)
REMAKING = re.compile(r"[Tt]ensor\(.*(\.numpy\(|\.item\(|\.data\b|\.tolist\(|\bfloat\()")
TELLING = ('"', "'", "print", "log", "assert")  # lines that only tell something


def checkup(
    graph: Graph,
    parameters: Any = None,
    *,
    frame: FrameType | None = None,
    careful: bool = False,
) -> Checkup:
    """What is suspicious about the graph: findings in plain words, each with its line.

    Parameters that get no gradient, and the line of the cut; parameters that several layers share;
    steps that the loss ignores; where a gradient dies; gates and units saturated or dead in more
    than 95 % of their entries; a softmax over time or the batch; padding that is read; the
    program's own rules against finite differences; history of an earlier loss; two dtypes; numbers
    that are not finite.  Nothing where all is well.

    parameters: a module, an optimiser, or parameters (a list, or a dict by name) of which the loss
    should depend on all; by default those of the modules and optimisers in the variables of
    `frame`, the caller's.
    careful: run no rule that the program has written.
    Runs a pass of its own, hooks included (a careful one where there are none), and writes no
    `.grad`.

    >>> import minigrad as mg, numpy as np
    >>> w, v = (mg.tensor(1.0, requires_grad=True, name=name) for name in ("w", "v"))
    >>> mg.Graph(np.tanh(w)).checkup({"w": w, "v": v})
    not reached: no gradient reaches v
    """
    groups = _groups(parameters, frame)
    with collector_paused():
        survey = Survey(graph, careful=careful)
        found = [
            *_not_finite(survey),
            *_without_history(survey, groups),
            *_unreached(survey, groups),
        ]
        if not careful:
            found += _wrong_rules(survey)
        for check in (*CHECKS, *(CHECKS_OF_A_PASS if survey.ran else ())):
            found += check(survey)
    return Checkup(found)


# numbers


def _not_finite(survey: Survey) -> Iterator[Finding]:
    """A loss, or a gradient, that is NaN or infinite, and where the first such number was made."""
    if survey.failure:
        yield Finding("failure", f"the backward pass raises {survey.failure}")
    outputs = survey.graph.outputs
    if all(np.isfinite(y._array).all() for y in outputs):
        bad = [node for node, size in survey.arrives.items() if not math.isfinite(size)]
        if bad:
            node = bad[0]
            senders = dict.fromkeys(edge.target.op.name for edge in survey.graph.users[node])
            text = f"the gradient of {survey.title(node)} is the first of {len(bad)} not finite"
            text += f", sent by {', '.join(senders)}" if senders else ""
            yield Finding("not finite", text, survey.place(node))
        return
    wrong = np.isnan if any(np.isnan(y._array).any() for y in outputs) else np.isinf
    kind = "NaN" if wrong is np.isnan else "infinite"
    node = next(x for x in survey.graph.nodes if wrong(array_of(x)).any())
    text = f"the loss is {kind}: first so is {_made(survey, node)}"
    while node.op is not None:
        odd = [x for x in node.inputs if x.op and not np.isfinite(array_of(x)).all()]
        if not odd:
            break
        node = odd[0]
        text += f"; that comes from {_made(survey, node)}"
    yield Finding("not finite", text, survey.place(node))


def _made(survey: Survey, node: Tensor) -> str:
    """An operation with its time step and the ranges of its inputs."""
    name, at = survey.name_of(node), "" if node.t is None else f" at t = {node.t}"
    if node.op is None:
        before = ": an earlier step has spoilt it" if node.requires_grad else ""
        wrong = np.argwhere(~np.isfinite(node._array))
        where = (
            f", {len(wrong)} of {node.size}, the first at {wrong[0].tolist()}" if node.ndim else ""
        )
        return f"{name}{at}, which came in so{where}{before}"
    made = naming.equation(survey.graph, node, name)
    return f"{made}{at}, of {'; '.join(_range(survey, x) for x in node.inputs)}"


def _range(survey: Survey, x: Tensor) -> str:
    """The range of an operand, and how many of its entries are 0 or not finite."""
    values = array_of(x)
    finite = values[np.isfinite(values)]
    text = survey.name_of(x)
    text += f" in [{finite.min():.3g}, {finite.max():.3g}]" if finite.size else ""
    zeros, odd = np.count_nonzero(values == 0), values.size - finite.size
    text += f", {zeros} of {values.size} are 0" if zeros else ""
    return text + (f", {odd} not finite" if odd else "")


def _dtypes(survey: Survey) -> Iterator[Finding]:
    """An operation in which arrays of two floating dtypes meet."""
    for node in survey.graph.nodes:
        floats = {x.dtype: x for x in node.inputs if x.dtype.kind == "f" and x.ndim}
        counts = node.time is not None or all(x.requires_grad for x in floats.values())
        if len(floats) > 1 and counts:  # the float64 targets of a loss cost nothing
            names = " and ".join(f"{survey.name_of(x)} ({dtype})" for dtype, x in floats.items())
            text = f"{names} meet in {naming.expression(survey.graph, node)}, which is {node.dtype}"
            yield Finding("two dtypes", text, survey.place(node))
            return


# parameters


def _groups(parameters: Any, frame: FrameType | None) -> list[dict[str, Tensor]]:
    """The parameters there are, by name: of what was given, else of the program's variables."""
    if parameters is not None:
        return [_named(parameters)]
    variables: dict[str, Any] = {}
    while frame is not None:
        file = frame.f_code.co_filename
        if not in_engine[file] and "runpy" not in file:
            variables = {**frame.f_globals, **frame.f_locals, **variables}
        frame = frame.f_back
    things = {name: x for name, x in variables.items() if not isinstance(x, type)}
    groups = {name: group for name, thing in things.items() if (group := _named(thing))}
    owners = {
        leaf: f"{owner}.{name}"
        for owner, group in groups.items()
        if hasattr(things[owner], "named_parameters")
        for name, leaf in group.items()
    }
    for name, group in groups.items():
        if hasattr(things[name], "param_groups") and _have_one_name(group.values()):
            groups[name] = {owners.get(leaf, name): leaf for name, leaf in group.items()}
    return list(groups.values())


def _have_one_name(leaves: Iterable[Tensor]) -> bool:
    """Whether parameters of several networks are called alike."""
    names = [leaf.name for leaf in leaves]
    return len(set(names)) < len(names)


def _named(thing: Any) -> dict[str, Tensor]:
    """The parameters of a module, an optimiser, a mapping or an iterable, by name."""
    if isinstance(thing, Mapping):
        pairs: Iterable[tuple[str, Any]] = thing.items()
    elif hasattr(thing, "named_parameters"):
        pairs = thing.named_parameters()
    elif hasattr(thing, "param_groups"):
        leaves = [leaf for group in thing.param_groups for leaf in group["params"]]
        pairs = ((leaf.name or "a parameter", leaf) for leaf in leaves)
    elif isinstance(thing, list | tuple) and thing and all(isinstance(x, Tensor) for x in thing):
        pairs = ((leaf.name or "a parameter", leaf) for leaf in thing)
    else:
        return {}
    kept = ((str(name), x) for name, x in pairs if isinstance(x, Tensor) and x.requires_grad)
    return naming.unique((name, leaf) for name, leaf in kept if leaf.is_leaf)


def _without_history(survey: Survey, groups: list[dict[str, Tensor]]) -> Iterator[Finding]:
    """Tensors that require grad and were made of numbers of an operation, where no gradient
    reaches a parameter."""
    known = {leaf for group in groups for leaf in group.values()}
    if not known or not known.isdisjoint(survey.graph.leaves):
        return
    for leaf in survey.graph.leaves:
        if not leaf.requires_grad or leaf._code is None:
            continue
        if REMAKING.search(leaf.source.text):
            text = f"no gradient goes back further than {leaf.source.text}"
            remedy = "it makes a new tensor of numbers, without their history"
            yield Finding("no history", f"{text}: {remedy}", str(leaf.source))


def _unreached(survey: Survey, groups: list[dict[str, Tensor]]) -> Iterator[Finding]:
    """Parameters that get no gradient, of modules and optimisers that have others that get one."""
    reached = set(survey.graph.parameters.values())
    missing: dict[Tensor, str] = {}
    known: set[str] = set()
    for group in groups:
        if any(leaf in reached for leaf in group.values()):
            for name, leaf in group.items():
                known.add(name)
                if leaf not in reached:
                    missing.setdefault(leaf, name)
    if missing:
        names = _summary([*missing.values()], known - set(missing.values()))
        text = f"no gradient reaches {names}"
        cuts = list(dict.fromkeys(_cuts(survey)))
        if cuts:
            text += f"; cut at {' or '.join(cuts[:3])}"
        elif guesses := list(dict.fromkeys(_perhaps_cuts(survey))):
            text += f"; perhaps cut at {' or '.join(guesses[:3])}"
        yield Finding("not reached", text)


def _zero(survey: Survey) -> Iterator[Finding]:
    """Parameters that the loss depends on, and whose gradient is exactly zero."""
    parameters = survey.graph.parameters.items()
    zero = [name for name, x in parameters if not survey.arrives.get(x, 0.0)]
    if zero and survey.ran and not survey.failure:
        names = _summary(zero, set(survey.graph.parameters) - set(zero))
        text, line = f"the gradient of {names} is exactly 0", ""
        dead = [x for x in survey.graph.order if survey.sends.get(x) is False]
        if dead:
            text += f"; it dies in {dead[0].op.name}: {_made(survey, dead[0])}"
            line = survey.place(dead[0])
        yield Finding("gradient zero", text, line)


def _summary(names: list[str], others: set[str]) -> str:
    """Names, with `encoder.*` for all parameters of a module of which none is among the others."""
    short: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        prefixes = [".".join(parts[:k]) for k in range(1, len(parts))]
        whole = [p for p in prefixes if not any(other.startswith(f"{p}.") for other in others)]
        short[f"{whole[0]}.*" if whole else name] = None
    return ", ".join(short)


def _cuts(survey: Survey) -> Iterator[str]:
    """Lines of the program that turn a result into a constant, which this graph then uses."""
    for leaf in survey.graph.leaves:
        if leaf.requires_grad:
            continue
        places = [leaf.source] if leaf._code is not None else []
        places += [edge.target.source for edge in survey.graph.users[leaf][:1]]
        for source in places:
            if CUTTING.search(source.text):
                yield f"{source}  {source.text}"
                break


def _perhaps_cuts(survey: Survey) -> Iterator[str]:
    """Lines of the functions that made this graph which can turn a result into a constant."""
    codes: dict[CodeType, None] = {}
    for node in survey.graph.nodes:
        if node._code is not None:
            codes[node._code] = None
        if node._scope is not None and node._scope.code is not None:
            codes[node._scope.code] = None
    for code in codes:
        yield from _cutting_lines(code)


def _cutting_lines(code: CodeType) -> Iterator[str]:
    """Lines of a function of the program that can turn results into constants."""
    if in_engine[code.co_filename]:
        return
    last = max((line for *_, line in code.co_lines() if line), default=0)
    for number in range(code.co_firstlineno, last + 1):
        line = linecache.getline(code.co_filename, number)
        tells = line.lstrip().startswith(TELLING) or ".append(" in line
        if CUTTING.search(line.partition("#")[0]) and not tells:
            yield f"{code.co_filename.rpartition('/')[2]}:{number}  {line.strip()}"


def _shared(survey: Survey) -> Iterator[Finding]:
    """Parameters that several layers or directions use, in one time step or in one call."""
    found: dict[str, list[str]] = {}
    for name, leaf in survey.graph.parameters.items():
        users = [edge.target for edge in survey.graph.users[leaf] if edge.target.time is not None]
        if text := _layers_of(survey, users) or _directions_of(users):
            found.setdefault(text, []).append(name)
    for text, names in found.items():
        yield Finding("shared", f"{', '.join(names)}: {text}")


def _layers_of(survey: Survey, users: list[Tensor]) -> str:
    """How many layers use a parameter: states that one line makes more than once in a time step."""
    sites: dict[Any, list[str]] = {}
    for node in users:
        key = (node.time and node.time.steps, id(node._code), node._instruction, node.op)
        sites.setdefault(key, []).append(node.scope)
    scopes = max(sites.values(), key=len, default=[])
    uses = len(scopes)
    if uses < 2 or len(set(scopes)) < uses > _states_in_a_step(survey, users[0]):
        return ""
    where = f" ({', '.join(dict.fromkeys(scopes))})" if len(set(scopes)) > 1 else ""
    return f"used by {uses} layers in each time step{where}: they are one layer, not {uses}"


def _states_in_a_step(survey: Survey, user: Tensor) -> int:
    """How many states the line that makes a layer's state makes in the time step of a node."""
    sites: dict[Any, int] = {}
    graph = survey.graph
    for node in graph.nodes:
        is_state = node.role is not None and node.role.kind == "state" and node.op is not None
        if is_state and node.scope == user.scope and graph.place(node) == graph.place(user):
            key = id(node._code), node._instruction
            sites[key] = sites.get(key, 0) + 1
    return max(sites.values(), default=0)


def _directions_of(users: list[Tensor]) -> str:
    """The axes of one call of one module that use a parameter."""
    calls: dict[Any, set[str]] = {}
    for node in users:
        scope = node._scope
        while scope is not None and scope.parent is not None:
            scope = scope.parent
        if scope is not None and node.time is not None:
            calls.setdefault(id(scope), set()).add(node.time.axis.name)
    shared = [axes for axes in calls.values() if len(axes) > 1]
    return f"used on the axes {', '.join(sorted(shared[0]))} of one call" if shared else ""


# rules


def _wrong_rules(survey: Survey) -> Iterator[Finding]:
    """Gradient rules of the program's own operations that finite differences contradict."""
    seen: set[Primitive] = set()
    for node in survey.graph.nodes:
        op = node.op
        if op is None or op in seen or module_of(op).startswith("minigrad."):
            continue
        seen.add(op)
        for k, rule in rules_of(node).items():
            try:
                verdict = check_rule(node, k)
            except Exception as error:
                verdict = f"DISAGREES with its inputs: {type(error).__name__}: {error}"
            if verdict.startswith("DISAGREES"):
                text = f"{rule.__name__} {verdict}"
                yield Finding("wrong rule", text, _definition(rule))


def _definition(rule: Callable[..., Any]) -> str:
    code = getattr(rule, "__code__", None)
    if code is None:
        return ""
    return f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"


CHECKS: tuple[Callable[[Survey], Iterator[Finding]], ...] = (
    *(_shared, symptoms.saturated, symptoms.softmax, symptoms.softmax_twice, symptoms.detached),
    *(symptoms.broadcast, symptoms.same_indices, symptoms.symmetric),
    symptoms.outliers,
)
CHECKS_OF_A_PASS: tuple[Callable[[Survey], Iterator[Finding]], ...] = (
    *(symptoms.ignored, symptoms.ignored_rows, symptoms.dying, symptoms.grows),
    *(symptoms.truncated, symptoms.padding, symptoms.hooks),
    *(symptoms.carried_history, _dtypes, _zero),
)
