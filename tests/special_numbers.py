"""NaN, infinities, zeros, ties and empty arrays: what every operation makes of them.

    python -m tests.special_numbers          rows and verdicts, operation by operation
    python -m tests.special_numbers full     every check of each operation, not only its first two
    python -m tests.special_numbers sqrt     the rows of some operations, each by itself
    python -m tests.special_numbers docs     write the exceptions into docs/derivatives.md

Each check of the one table of operations is run at special points.  Order 0 is NumPy's value.  Of
order 1 and 2, every element of a gradient is the limit of those at regular points near by, in long
double and from all sides; or it is not finite; or the list of exceptions below says why.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import minigrad as mg  # noqa: E402
from minigrad.primitive import registry  # noqa: E402
from tests.minigrad.ops.test_derivatives import CHECKS, COMPOSED, ENGINE_ONLY  # noqa: E402

NAN, INF = np.nan, np.inf
Arrays = list[Any]
VALUES = {
    "NaN": NAN,
    "+inf": INF,
    "-inf": -INF,
    "0": 0.0,
    "-0": -0.0,
    "1": 1.0,
    "-1": -1.0,
    "1e-310": 1e-310,
    "1e-160": 1e-160,
    "1e20": 1e20,
    "-1e20": -1e20,
    "1e200": 1e200,
    "-1e200": -1e200,
}
PAIRS = {"two 0": (0.0, 0.0), "two +inf": (INF, INF), "+inf and -inf": (INF, -INF)}
WHOLE = {"all 0": 0.0, "all -inf": -INF, "all +inf": INF, "all NaN": NAN, "all 2": 2.0}
OUT_OF_RANGE = ("1e-310", "1e-160", "1e200", "-1e200")  # squares leave the range of float64
QUICK = {  # what the suite looks at
    *("NaN", "+inf", "-inf", "0", "-1", "1e200", "two 0", "tie", "+inf and -inf"),
    *("all 0", "all -inf", "empty"),
}
PRECISE = np.longdouble  # in which limits are taken, but for LAPACK, which knows float64 only
TINY = np.finfo(PRECISE).tiny
NEAR = {
    PRECISE: {
        "0": (TINY ** PRECISE(0.125), TINY ** PRECISE(0.25)),
        "number": (1e-8, 1e-12),
        "inf": (1e20, 1e40),
    }
}
NEAR[np.float64] = {"0": (1e-30, 1e-60), "number": (1e-8, 1e-10), "inf": (1e8, 1e12)}
REGULAR = (0.37, -1.9, 25.0, 1.3)  # numbers in place of a NaN, to see what depends on it


class Point(NamedTuple):
    """Inputs with special numbers at some places: (input, flat index), and how they are called."""

    label: str
    inputs: Arrays
    places: list[tuple[int, int]]
    regular: Arrays


class Row(NamedTuple):
    """What was found of one operation at one special number, at one order."""

    name: str
    check: int
    label: str
    order: int
    verdict: str
    found: str


class Exceptional(NamedTuple):
    """Where a finite derivative is a convention, and which one.

    names: of operations; labels: special numbers; orders: 1, 2.
    """

    where: str
    derivative: str
    names: str
    labels: str
    orders: tuple[int, ...] = (1,)


ORDERS = (1, 2)
TIES = "two 0, two +inf, tie, all 0, all 2, all -inf, all +inf"
MISSING = "NaN, all NaN"
EXTREMES = "max min maximum minimum fmax fmin ptp nanmax nanmin ufunc-methods"
EXCEPTIONS = [
    Exceptional("`relu`, `abs` at 0", "0", "relu absolute abs fabs", "0, -0, two 0, all 0"),
    Exceptional(
        "`elu`, `leaky_relu` at 0",
        "that on the left",
        "elu leaky_relu",
        "0, -0, two 0, all 0",
        ORDERS,
    ),
    Exceptional(
        "`angle` of real numbers around 0",
        "0; to order 2 not finite",
        "angle",
        "0, -0, 1e-310, 1e-160, two 0, all 0",
        ORDERS,
    ),
    Exceptional("`frexp` at powers of 2", "that of the piece found", "frexp", "1, -1, all 2"),
    Exceptional("`frexp` at 0", "1", "frexp", "0, -0, two 0, all 0"),
    Exceptional(
        "`trim_zeros`, whose length depends on what is 0",
        "to the elements found",
        "trim_zeros",
        ", ".join([*VALUES, *PAIRS, *WHOLE]),
    ),
    Exceptional("`clip` on its boundary", "1 for x, 0 for the bound", "clip", "1, -1, tie, two 0"),
    Exceptional(
        "`copysign(a, b)` at a = 0; at b = 0 or NaN",
        "0; by the sign bit of b",
        "copysign",
        "0, -0, two 0, all 0, NaN, all NaN, +inf and -inf",
    ),
    Exceptional(
        "`heaviside(0, b)`", "1 for b: it is the value there", "heaviside", "0, -0, two 0, all 0"
    ),
    Exceptional(
        "`remainder`, `fmod`, `divmod`, `modf` at a jump",
        "that of the piece the value belongs to",
        "remainder fmod divmod modf",
        "0, -0, 1, -1, two 0, tie, all 0, all 2, +inf, -inf, two +inf, +inf and -inf, all -inf, "
        "all +inf",
    ),
    Exceptional(
        "ties of `max`, `min` over an axis; of `maximum(a, b)`, `minimum(a, b)`",
        "shared evenly; half to each, so that `maximum(x, x)` has the slope of x",
        EXTREMES,
        TIES,
    ),
    Exceptional(
        "ties of `np.maximum.accumulate`, `np.minimum.accumulate`",
        "to the latest",
        "cummax cummin ufunc-methods",
        TIES,
    ),
    Exceptional(
        "ties of `sort`, `partition`, `unique`, `median`, `quantile`; NaN in the first three",
        "to the elements found; of `unique`, to the first; NaN counts as the greatest",
        "sort partition unique median quantile percentile",
        TIES + ", NaN, all NaN",
    ),
    Exceptional(
        "NaN in `fmax`, `fmin`, `nansum`, `nanmax` and their like, `nan_to_num`; ±∞ in the latter",
        "0: the element counts as missing",
        "fmax fmin nansum nanprod nanmean nanvar nanstd nanmax nanmin nancumsum nan_to_num",
        "NaN, all NaN, +inf, -inf, two +inf, +inf and -inf, all -inf, all +inf",
        ORDERS,
    ),
    Exceptional(
        "`norm`, `hypot`, `arctan2` at the origin, `std` of a constant",
        "0; the second derivative is not finite",
        "norm hypot arctan2 std nanstd vector-and-matrix-norms vector_norm matrix_norm",
        "two 0, all 0, all 2, tie",
    ),
    Exceptional(
        "`norm` of order 1 or ∞ at elements that are 0, or equal",
        "as of `abs`, `max` and `min`",
        "vector-and-matrix-norms vector_norm matrix_norm",
        "0, -0, two 0, all 0, tie, two +inf, +inf and -inf, all +inf, all -inf",
    ),
    Exceptional("`x**0` at 0", "0", "power float_power", "two 0, all 0"),
    Exceptional(
        "`power` at −∞ with a broken exponent, where C's `pow` has a value",
        "that of the absolute value",
        "power float_power",
        "-inf, +inf and -inf, all -inf",
        ORDERS,
    ),
    Exceptional(
        "`logsumexp`, `logaddexp`, `softmax` of −∞ alone",
        "0",
        "logsumexp logaddexp logcumsumexp",
        "all -inf",
    ),
    Exceptional(
        "`interp` at a point of xp; at several that are equal, or infinite",
        "that of the piece to the right, at the last one to the left",
        "interp",
        "0, -0, 1, -1, two 0, two +inf, tie, all 0, all 2, all -inf, all +inf",
        ORDERS,
    ),
    Exceptional(
        "eigenvalues or singular values that are equal",
        "to the vectors found; to order 2, and of the vectors, not finite",
        "eigh eigvalsh svdvals vector-and-matrix-norms vector_norm matrix_norm cond",
        "all 0, all 2",
    ),
    Exceptional(
        "the signs of the vectors of `svd` and `qr`, which LAPACK turns around at 0",
        "that of the signs found",
        "svd qr",
        "0, -0, two 0",
        ORDERS,
    ),
    Exceptional(
        "`lstsq` with infinities in b, where LAPACK scales all of them",
        "NaN in place of some finite numbers, or the reverse",
        "lstsq",
        "+inf, -inf, two +inf, +inf and -inf, all +inf, all -inf",
        (0, 1, 2),
    ),
    Exceptional(
        "`pinv`, `lstsq` of a matrix that has not full rank",
        "along moves that keep the rank",
        "pinv lstsq",
        "all 0, all 2",
        ORDERS,
    ),
    Exceptional(
        "`cholesky` of a matrix that is singular up to rounding",
        "that of the factor found",
        "cholesky",
        "all 2",
        ORDERS,
    ),
    Exceptional(
        "`corrcoef`, `cov` of numbers whose squares overflow",
        "that of the value, which is NumPy's",
        "corrcoef cov",
        "1e200, -1e200",
        ORDERS,
    ),
    Exceptional(
        "`power` with exponents of 1e200",
        "not finite to order 2, where powers overflow on the way",
        "power float_power ufunc-methods",
        "1e200, -1e200",
        (2,),
    ),
    Exceptional(
        "the condition of `where`, `select`, `choose`",
        "a constant: the slope is that of the choice made",
        "where",
        "0, -0, two 0, all 0, NaN, all NaN",
        ORDERS,
    ),
]


def points(inputs: Arrays) -> Iterator[Point]:
    """The special points beside some regular inputs."""
    firsts = [(k, 0) for k, x in enumerate(inputs) if x.size]
    for (label, value), place in itertools.product(VALUES.items(), firsts):
        yield with_values(label, inputs, [place], [value])
    for label, values in PAIRS.items():
        for pair in pairs(inputs):
            yield with_values(label, inputs, pair, values)
    for pair in pairs(inputs):
        (k, at), _ = pair
        yield with_values("tie", inputs, pair, [inputs[k].flat[at]] * 2)
    for label, value in WHOLE.items():
        for k, x in enumerate(inputs):
            places = [(k, at) for at in range(x.size)]
            if x.size > 1:
                yield with_values(label, inputs, places, [value] * x.size)
    for length in sorted({n for x in inputs for n in x.shape if n}):
        yield Point("empty", [without(x, length) for x in inputs], [], inputs)


def pairs(inputs: Arrays) -> Iterator[list[tuple[int, int]]]:
    """Two places: in one input, and at the start of two inputs."""
    for k, x in enumerate(inputs):
        if x.size > 1:
            yield [(k, 0), (k, 1)]
    if len(inputs) > 1 and inputs[0].size and inputs[1].size:
        yield [(0, 0), (1, 0)]


def with_values(label: str, inputs: Arrays, places: Any, values: Any) -> Point:
    """A point with the values at the places."""
    changed = [np.array(x, np.float64) for x in inputs]
    for (k, at), value in zip(places, values, strict=True):
        changed[k].flat[at] = value
    return Point(label, changed, list(places), inputs)


def without(x: Any, length: int) -> Any:
    """x with every axis of this length empty."""
    return x[tuple(slice(0) if n == length else slice(None) for n in x.shape)]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without warnings; and without NumPy's SVD of infinities, in which LAPACK may never end."""

    def svd(a: Any, *options: Any, **keywords: Any) -> Any:
        if not np.isfinite(a).all():
            raise np.linalg.LinAlgError("SVD did not converge")
        return true_svd(a, *options, **keywords)

    module = sys.modules[np.linalg.svd.__module__]
    module = sys.modules.get("numpy.linalg._linalg", module)
    true_svd = module.svd
    module.svd = svd
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        module.svd = true_svd


# values and derivatives


def weights(shape: tuple[int, ...], seed: int) -> Any:
    """Fixed random factors, so that nothing cancels by chance."""
    return np.asarray(np.random.default_rng(seed).uniform(0.5, 1.5, shape))


def weighted(parts: Any, seed: int) -> mg.Tensor:
    """Σ w · part over all parts."""
    total = mg.tensor(np.zeros(()))
    for k, part in enumerate(parts):
        total = total + (part * weights(part.shape, seed + k)).sum()
    return total


def outputs(y: Any) -> list[Any]:
    """The floating results of an operation."""
    parts = y if isinstance(y, tuple | list) else [y]
    return [part for part in parts if np.asarray(getattr(part, "data", part)).dtype.kind == "f"]


def derivatives(fn: Any, inputs: Arrays, dtype: Any, order: int) -> tuple[Arrays, Arrays]:
    """The results, and the gradient of Σ w y (order 1), or of Σ v of that gradient (order 2)."""
    xs = [mg.tensor(np.asarray(x, dtype), requires_grad=True) for x in inputs]
    ys = outputs(fn(*xs))
    found = gradients(ys, xs, 3, create_graph=order == 2)
    if order == 2:
        found = gradients([dx for dx in found if dx.requires_grad], xs, 11)
    return [y.data for y in ys], [dx.data for dx in found]


def gradients(ys: Any, xs: Any, seed: int, create_graph: bool = False) -> list[mg.Tensor]:
    """The gradient of Σ w y; zeros where it does not depend on an input."""
    total = weighted(ys, seed)
    if not total.requires_grad:
        return [mg.tensor(np.zeros(x.shape)) for x in xs]
    found = mg.grad(total, xs, create_graph=create_graph, allow_unused=True)
    return [
        mg.tensor(np.zeros(x.shape)) if dx is None else dx for x, dx in zip(xs, found, strict=True)
    ]


# limits


def limit(fn: Any, point: Point, order: int, dtype: Any) -> Arrays:
    """What the derivatives tend to, with NaN where nothing is approached.

    Of a NaN: what does not depend on the number that stands in its place.
    """
    ends, outside = [], []
    for path in paths(point):
        try:
            (ys, far), (_, close) = (derivatives(fn, path(k, dtype), dtype, order) for k in (0, 1))
        except np.linalg.LinAlgError:
            continue
        end = [settled(*both) for both in zip(far, close, strict=True)]
        (outside if any(np.isnan(y).any() for y in ys) else ends).append(end)
    if not ends and not outside:
        outside = [derivatives(fn, point.inputs, np.float64, order)[1]]
    if not ends:  # what leads to results outside of the domain has no derivative
        unknown = [np.where(leads_to_nan(fn, point, k), NAN, 0) for k in range(len(point.inputs))]
        ends = [[x + u for x, u in zip(outside[0], unknown, strict=True)]]
    return [functools.reduce(agreeing, one) for one in zip(*ends, strict=True)]


def leads_to_nan(fn: Any, point: Point, k: int) -> Any:
    """Which elements of input k do those results depend on that are NaN."""
    x = point.inputs[k]
    found, lost = np.zeros(x.shape, bool), [np.isnan(y) for y in values(fn, point.inputs)]
    regular = point.regular
    for at in np.ndindex(x.shape):
        changed = [np.array(v) for v in regular]
        changed[k][at] = NAN
        reached = [np.isnan(y) for y in values(fn, changed)]
        found[at] = any((y & z).any() for y, z in zip(reached, lost, strict=True))
    return found


def values(fn: Any, inputs: Arrays) -> Arrays:
    """The floating results, as arrays."""
    return [np.asarray(getattr(y, "data", y)) for y in outputs(fn(*inputs))]


def settled(far: Any, near: Any) -> Any:
    """The second of two values on the way to a point, if it is no longer on the move; else NaN."""
    still = np.abs(near - far) <= 1e-3 * (1 + np.minimum(np.abs(near), np.abs(far)))
    return np.where(still, near, NAN)


def agreeing(one: Any, two: Any) -> Any:
    """What two sides agree on; else NaN."""
    return np.where(np.abs(one - two) <= 1e-2 * (1 + np.abs(one)), one, NAN)


def paths(point: Point) -> Iterator[Callable[[int, Any], Arrays]]:
    """Ways to come near a point: functions of the step, 0 or 1, and the dtype."""
    numbers = [point.inputs[k].flat[at] for k, at in point.places]
    m = len(numbers)
    if any(np.isnan(numbers)):
        for number in REGULAR:
            shifts = number + 0.1 * np.arange(m)
            replaced = [s if np.isnan(v) else v for v, s in zip(numbers, shifts, strict=True)]
            yield lambda step, dtype, replaced=replaced: placed(point, replaced)
        return
    rng = np.random.default_rng(5)
    directions = [*np.eye(m)] if m <= 2 else []
    directions += [*rng.uniform(0.5, 1.5, (1, m)), *rng.standard_normal((2, m))] if m > 1 else []
    for direction in [*directions, *[-d for d in directions]]:
        yield lambda step, dtype, direction=direction: placed(
            point,
            [near(v, d, step, dtype) for v, d in zip(numbers, direction, strict=True)],
        )


def near(value: float, direction: float, step: int, dtype: Any) -> Any:
    """A number close to the value; far out for an infinite one."""
    if np.isinf(value):
        far = NEAR[dtype]["inf"][step]
        return np.sign(value) * PRECISE(0.5 + abs(direction)) * PRECISE(far)
    h = NEAR[dtype]["number" if value else "0"][step]
    return PRECISE(value) + PRECISE(direction) * PRECISE(h)


def placed(point: Point, numbers: Any) -> Arrays:
    """The inputs of a point with other numbers at its places."""
    changed = [np.array(x, PRECISE) for x in point.inputs]
    for (k, at), number in zip(point.places, numbers, strict=True):
        changed[k].flat[at] = number
    return changed


# verdicts

GOOD = ("NumPy's value", "limit", "not finite", "convention", "refused")
BAD = ("WRONG VALUE", "WRONG", "LOST", "BROKEN")


def rows(name: str, check: int, fn: Any, inputs: Arrays, labels: Any = None) -> Iterator[Row]:
    """Every special point of one check (or those with these labels), at order 0, 1 and 2."""
    for point in points([np.asarray(x, np.float64) for x in inputs]):
        if labels is not None and point.label not in labels:
            continue
        with quiet():
            for order in (0, 1, 2):
                verdict, found = judged(name, fn, point, order)
                yield Row(name, check, point.label, order, verdict, found)
                if verdict in ("refused", "WRONG VALUE"):
                    break


def judged(name: str, fn: Any, point: Point, order: int) -> tuple[str, str]:
    """The verdict on one point at one order, and what was found."""
    try:
        expected = outputs(fn(*point.inputs))
    except Exception as error:
        return refused(fn, point, error)
    try:
        if order == 0:
            xs = [mg.tensor(x, requires_grad=True) for x in point.inputs]
            verdict, text = value_verdict(outputs(fn(*xs)), expected)
            if verdict in BAD and exception(name, point.label, 0):
                return "convention", text
            return verdict, text
        found = derivatives(fn, point.inputs, np.float64, order)[1]
    except np.linalg.LinAlgError as error:
        return "refused", f"{type(error).__name__}: {error}"
    except Exception as error:
        by_name = str(error).startswith(f"{name}: ")  # a sentence that says what is wrong
        return "refused" if by_name else "BROKEN", f"{type(error).__name__}: {error}"
    return gradient_verdict(name, fn, point, order, found)


def refused(fn: Any, point: Point, theirs: Exception) -> tuple[str, str]:
    """What NumPy refuses, we refuse."""
    try:
        y = fn(*[mg.tensor(x, requires_grad=True) for x in point.inputs])
    except Exception as error:
        return "refused", f"{type(error).__name__}: {error}"
    if not any(part.size for part in outputs(y)):
        return "refused", "by NumPy; here there is nothing in it"
    return "WRONG VALUE", f"{y!r}, NumPy: {type(theirs).__name__}: {theirs}"


def value_verdict(found: Arrays, expected: Arrays) -> tuple[str, str]:
    for y, z in zip(found, expected, strict=True):
        value, wanted = np.asarray(y.data), np.asarray(getattr(z, "data", z))
        scale = np.max(np.abs(wanted), where=np.isfinite(wanted), initial=0)
        same = value.shape == wanted.shape and np.allclose(
            value, wanted, rtol=1e-12, atol=1e-15 * scale, equal_nan=True
        )
        if not same:
            return "WRONG VALUE", f"{value.tolist()}, NumPy's {wanted.tolist()}"
    return "NumPy's value", ""


def gradient_verdict(
    name: str, fn: Any, point: Point, order: int, found: Arrays
) -> tuple[str, str]:
    """Each element against its limit."""
    if [dx.shape for dx in found] != [x.shape for x in point.inputs]:
        return "BROKEN", f"shapes {[dx.shape for dx in found]}"
    wanted = wanted_at(fn, point, order)
    verdicts, ys = set(), values(fn, point.inputs)
    for dx, target in zip(found, wanted, strict=True):
        for g, one in zip(dx.flat, np.asarray(target).flat, strict=True):
            verdicts.add(element_verdict(float(g), one, point, ys))
    text = f"{[np.asarray(dx, np.float64).tolist() for dx in found]}, limit "
    text += f"{[np.asarray(x, np.float64).tolist() for x in wanted]}"
    if verdicts & set(BAD) and exception(name, point.label, order):
        return "convention", text
    for verdict in ("WRONG", "LOST", "not finite", "limit"):
        if verdict in verdicts:
            return verdict, text
    return "limit", "nothing to differentiate"


def wanted_at(fn: Any, point: Point, order: int) -> Arrays:
    """The limit of the derivatives; of numbers that are only very large or small, their value."""
    exact = point.label in ("empty", "1e20", "-1e20", *OUT_OF_RANGE)
    for dtype in NEAR:
        try:
            if exact:
                ys, found = derivatives(fn, point.inputs, dtype, order)
                if not any(np.isnan(y).any() for y in ys):
                    return found
                inside = [leads_to_nan(fn, point, k) for k in range(len(point.inputs))]
                return [np.where(lost, NAN, x) for lost, x in zip(inside, found, strict=True)]
            return limit(fn, point, order, dtype)
        except TypeError:  # LAPACK knows no long double
            continue
        except np.linalg.LinAlgError:
            break
    return [np.full(x.shape, NAN) for x in point.inputs]


def element_verdict(found: float, wanted: Any, point: Point, ys: Arrays) -> str:
    """One element of a gradient: limit, not finite, WRONG, or LOST where it should be finite."""
    if not np.isfinite(found):
        finite = all(np.isfinite(x).all() for x in (*point.inputs, *ys))
        return "LOST" if finite and np.abs(wanted) < 1e150 else "not finite"
    close = np.abs(found - wanted) <= 1e-2 * np.abs(wanted) + 1e-3
    return "limit" if close else "WRONG"


def exception(name: str, label: str, order: int) -> Exceptional | None:
    """The documented reason for a finite derivative that is no limit."""
    for e in EXCEPTIONS:
        if (
            name.replace(" ", "-") in e.names.split()
            and label in e.labels.split(", ")
            and order in e.orders
        ):
            return e
    return None


# operations


def operations() -> dict[str, list[tuple[Any, ...]]]:
    """The checks of every operation; of one that has none yet, calls with vectors."""
    known = {**CHECKS, **COMPOSED}
    folder = str(ROOT / "minigrad")
    for op in registry.values():
        file = op.forward.__code__.co_filename
        if not file.startswith(folder) or not op.differentiable or op.name in ENGINE_ONLY:
            continue
        if op.__name__ not in known and not op.edit:
            known[op.__name__] = [(op, *[np.array([0.3, -0.7, 1.1]) for _ in op.inputs])]
    return known


def table(names: Any = None, checks: int | None = 2, labels: Any = None) -> Iterator[Row]:
    """The rows of some operations, all by default; of so many checks of each, at these points."""
    for name, cases in operations().items():
        if names is None or name in names:
            for k, (fn, *inputs) in enumerate(cases[:checks]):
                yield from rows(name, k, fn, inputs, labels)


PAGE = ROOT / "docs" / "derivatives.md"
BEGIN = "<!-- exceptions: written by `python -m tests.special_numbers docs` -->\n"
END = "<!-- end of exceptions -->\n"


def documented() -> str:
    """The page about derivatives with the table of exceptions of now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = [f"| {e.where} | {e.derivative} |\n" for e in EXCEPTIONS]
    heading = "| where | derivative |\n|---|---|\n"
    return "".join([before, BEGIN, heading, *rows, END, after])


def main(arguments: list[str]) -> None:
    """Print what the arguments ask for."""
    if arguments == ["docs"]:
        PAGE.write_text(documented(), encoding="utf-8")
        return
    full = "full" in arguments
    names = [name for name in arguments if name != "full"] or None
    counts: Counter[str] = Counter()
    by_name: dict[str, Counter[str]] = {}
    needed = set()
    for row in table(names, None if full else 2):
        counts[row.verdict] += 1
        by_name.setdefault(row.name, Counter())[row.verdict] += 1
        if row.verdict == "convention" and (e := exception(row.name, row.label, row.order)):
            needed.add(e.where)
        if row.verdict in BAD or names:
            where = f"{row.name}-{row.check}  {row.label}  order {row.order}"
            print(f"{'!' if row.verdict in BAD else ' '} {where}:  {row.verdict}  {row.found}")
    for name, found in by_name.items():
        print(f"{name:20} " + "  ".join(f"{found[v]:4} {v}" for v in (*GOOD, *BAD) if found[v]))
    if names is None:
        for e in EXCEPTIONS:
            if e.where not in needed:
                print(f"! no row needs the exception about {e.where}")
    print(f"{sum(counts.values())} rows: " + ", ".join(f"{n} {v}" for v, n in counts.items()))


if __name__ == "__main__":
    main(sys.argv[1:])
