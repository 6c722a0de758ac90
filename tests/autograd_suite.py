"""HIPS autograd's own tests, run against minigrad through a thin adapter.

    python -m tests.autograd_suite PATH

PATH is a checkout of HIPS autograd, or its folder `tests`.  Modules under autograd's names stand in
for it: `autograd.numpy` is NumPy itself, whose functions work on tensors, and `autograd.grad` and
its relatives are minigrad's functional derivatives.  A table says how many tests of each file pass,
how many meet a refusal that says what to write, and how many are about something else: complex
numbers, Fourier transforms, SciPy, the insides of autograd.
"""

from __future__ import annotations

import functools
import itertools
import sys
import tempfile
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import minigrad as mg  # noqa: E402
from minigrad.columns import columns  # noqa: E402
from minigrad.functional import flatten, mapped  # noqa: E402

PASSED, REFUSED, FAILED, SKIPPED = "pass", "refused", "FAIL", "skipped"
COMPLEX = "complex numbers, Fourier transforms"
OUTSIDE = "insides of autograd, SciPy"
VERDICTS = (PASSED, REFUSED, FAILED, SKIPPED, COMPLEX, OUTSIDE)

# Tests of something that is not differentiation with NumPy: a test, or a whole file → what
OUT = {
    "test_fft.py": COMPLEX,
    "test_complex.py": COMPLEX,
    "test_scipy.py": OUTSIDE,
    "test_vspaces.py": OUTSIDE,
    "test_misc.py": OUTSIDE,  # flattening of containers, a cache of graphs
    "test_tests.py": OUTSIDE,  # the words of its own checks
    "test_wrappers.py::test_custom_where_dtypes": OUTSIDE,  # without tensors
    "test_wrappers.py::test_custom_where": OUTSIDE,
    "test_wrappers.py::test_wrapped_name_and_docs": OUTSIDE,
    "test_wrappers.py::test_deprecated": OUTSIDE,
    "test_wrappers.py::test_dtypes": OUTSIDE,  # among them complex ones
    "test_logic.py::test_falseyness": COMPLEX,
    "test_logic.py::test_unimplemented_falseyness": OUTSIDE,
}


class OutOfScopeError(Exception):
    """A test asks for something that minigrad says it does not have."""


# values of both sides


def tensors(tree: Any) -> Any:
    """Numbers and arrays as tensors of float64, in the same structure; other leaves as they are."""
    return mapped(lambda path, x: tensor(x), tree)


def tensor(x: Any) -> Any:
    if isinstance(x, mg.Tensor) or not isinstance(x, (float, int, np.ndarray, np.generic)):
        return x
    array = np.asarray(x)
    if array.dtype.kind == "c":
        raise OutOfScopeError(COMPLEX)
    return mg.tensor(array if array.dtype.kind == "f" else array.astype(np.float64))


def plain(tree: Any) -> Any:
    """Tensors without a history as arrays and numbers, which is what autograd gives."""

    def leaf(path: str, x: Any) -> Any:
        return x.data[()] if isinstance(x, mg.Tensor) and not x.requires_grad else x

    return mapped(leaf, tree)


def outputs(tree: Any) -> Any:
    """What a function gives, all of it tensors; what does not depend on its inputs is constant."""

    def leaf(path: str, x: Any) -> Any:
        return x if isinstance(x, (mg.Tensor, bool)) else mg.tensor(np.asarray(x, np.float64))

    return mapped(leaf, tree)


def of_arguments(fun: Callable[..., Any], chosen: Any, args: Any, keywords: Any) -> Any:
    """`fun` as a function of the chosen arguments, and their values as tensors."""
    places = list(chosen) if isinstance(chosen, (tuple, list)) else [chosen]

    def function(*values: Any) -> Any:
        given = list(args)
        for place, value in zip(places, values, strict=True):
            given[place] = value
        return outputs(fun(*given, **keywords))

    return function, tuple(tensors(args[place]) for place in places)


# the functions of autograd


def of_one_function(operator: Callable[..., Any]) -> Callable[..., Any]:
    """operator(function, values, several, ...) as autograd's: f(fun, argnum)(*args)."""

    @functools.wraps(operator)
    def make(fun: Callable[..., Any], argnum: Any = 0, *rest: Any) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            function, values = of_arguments(fun, argnum, args, keywords)
            found = operator(function, values, *rest)
            several = isinstance(argnum, (tuple, list))
            return plain(found if several else first(found))

        return call

    return make


def first(found: Any) -> Any:
    """The part of a result that belongs to the only argument."""
    return found[0] if isinstance(found, tuple) and len(found) == 1 else found


@of_one_function
def grad(function: Any, values: Any) -> Any:
    """Gradients of a function with one number as result."""
    return mg.vjp(function, values)[1]


@of_one_function
def elementwise_grad(function: Any, values: Any) -> Any:
    """The sum over the outputs."""
    return mg.vjp(lambda *xs: function(*xs).sum(), values)[1]


@of_one_function
def jacobian(function: Any, values: Any) -> Any:
    """∂output/∂input."""
    return mg.jacobian(function, values)


@of_one_function
def deriv(function: Any, values: Any) -> Any:
    """The derivative with respect to a number, forward."""
    return mg.jvp(function, values, tuple(np.ones(x.shape) for x in values))[1]


def hessian(fun: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """The Jacobian of the Jacobian."""
    return jacobian(jacobian(fun, argnum), argnum)


def value_and_grad(fun: Callable[..., Any], argnum: Any = 0) -> Callable[..., Any]:
    """The value, and the gradients."""

    def call(*args: Any, **keywords: Any) -> Any:
        function, values = of_arguments(fun, argnum, args, keywords)
        value, found = mg.vjp(function, values)
        found = found if isinstance(argnum, (tuple, list)) else found[0]
        return (plain(mg.tensor(value.data)) if not nested(args) else value), plain(found)

    return call


def nested(args: Any) -> bool:
    """Whether a call stands inside of another derivative."""
    return any(isinstance(x, mg.Tensor) for _, x in flatten(args))


def grad_and_aux(fun: Callable[..., Any], argnum: Any = 0) -> Callable[..., Any]:
    """The gradients of the first result, and the second."""

    def call(*args: Any, **keywords: Any) -> Any:
        slopes = grad(lambda *xs, **more: fun(*xs, **more)[0], argnum)(*args, **keywords)
        return slopes, fun(*args, **keywords)[1]

    return call


def make_vjp(fun: Callable[..., Any], x: Any) -> tuple[Callable[..., Any], Any]:
    """The function v → vᵀ ∂y/∂x, and y."""
    function, values = of_arguments(fun, 0, [x], {})

    def pull(v: Any) -> Any:
        return plain(mg.vjp(function, values, tensors(v))[1][0])

    return pull, plain(fun(x))


def make_jvp(fun: Callable[..., Any], argnum: Any = 0) -> Callable[..., Any]:
    """x → v → (y, ∂y/∂x v)."""

    def at(*args: Any, **keywords: Any) -> Callable[..., Any]:
        function, values = of_arguments(fun, argnum, args, keywords)
        return lambda v: tuple(
            plain(mapped(lambda path, y: y.detach(), part))
            for part in mg.jvp(function, values, (tensors(v),))
        )

    return at


def make_hvp(fun: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """x → (v → Hessian v, gradient)."""

    def at(*args: Any, **keywords: Any) -> Any:
        return make_vjp(grad(fun, argnum), args[argnum])

    return at


def hessian_tensor_product(fun: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """(x, v) → Hessian · v."""

    def call(*args: Any, **keywords: Any) -> Any:
        *others, v = args
        function, values = of_arguments(fun, argnum, others, keywords)
        return plain(mg.hvp(function, values, (v,))[1][0])

    return call


def tensor_jacobian_product(fun: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """(x, v) → v · Jacobian."""

    def call(*args: Any, **keywords: Any) -> Any:
        *others, v = args
        function, values = of_arguments(fun, argnum, others, keywords)
        wide = mg.jacobian(function, values)[0]
        return plain(mg.tensordot(v, wide, np.ndim(v)))

    return call


def make_ggnvp(
    f: Callable[..., Any],
    g: Callable[..., Any] = lambda x: 0.5 * np.sum(x**2, axis=-1),
    f_argnum: int = 0,
) -> Callable[..., Any]:
    """x → v → Jᵀ H J v, with H the Hessian of g."""

    def at(*args: Any, **keywords: Any) -> Callable[..., Any]:
        function, values = of_arguments(f, f_argnum, args, keywords)

        def product(v: Any) -> Any:
            y, forward = mg.jvp(function, values, (v,))
            _, bent = mg.hvp(g, y.detach(), forward.detach())
            return plain(mg.vjp(function, values, bent.detach())[1][0])

        return product

    return at


# the checks of autograd's test_util


def check_grads(
    fun: Callable[..., Any], argnum: Any = None, modes: Any = ("fwd", "rev"), order: int = 2
) -> Callable[..., Any]:
    """Derivatives up to the order against central differences; forward mode against reverse."""

    def check(*args: Any, **keywords: Any) -> None:
        chosen = range(len(args)) if argnum is None else argnum
        function, values = of_arguments(fun, named(chosen, len(args)), args, keywords)
        arrays = tuple(mapped(lambda path, x: getattr(x, "data", x), value) for value in values)
        mg.gradcheck(function, arrays, tolerance=1e-5)
        if "fwd" in (modes or ("fwd",)):
            check_forward(function, values)
        if order > 1:
            mg.gradgradcheck(function, arrays, tolerance=1e-4)
        if order > 2:
            mg.gradgradcheck(slopes_of(function), arrays, tolerance=1e-3)

    return check


def named(chosen: Any, count: int) -> list[int]:
    """The numbers of arguments, of one or of several."""
    return list(chosen) if isinstance(chosen, (tuple, list, range)) else [chosen % count]


def check_forward(function: Callable[..., Any], values: Any) -> None:
    """w · (J v) = (wᵀ J) · v for random v and w."""
    rng = np.random.default_rng(0)

    def like(tree: Any) -> Any:
        return mapped(lambda path, x: mg.tensor(np.array(rng.standard_normal(x.shape))), tree)

    y = function(*values)
    v, w = like(values), like(y)
    forward, back = mg.jvp(function, values, v)[1], mg.vjp(function, values, w)[1]
    np.testing.assert_allclose(inner(forward, w), inner(back, v), rtol=1e-8, atol=1e-8)


def inner(a: Any, b: Any) -> float:
    """Σ a b over two structures."""
    pairs = zip(flatten(a), flatten(b), strict=True)
    return sum(float(np.sum(x.data * y.data)) for (_, x), (_, y) in pairs)


def slopes_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The gradients of Σ y³, as a function to differentiate again."""

    def slopes(*xs: Any) -> Any:
        def total(*variables: Any) -> Any:
            ys = [y for _, y in flatten(function(*variables))]
            return functools.reduce(lambda a, b: a + b, [(y**3).sum() for y in ys])

        return mg.vjp(total, xs, create_graph=True)[1]

    return slopes


def combo_check(fun: Callable[..., Any], *options: Any, **more: Any) -> Callable[..., Any]:
    """`check_grads` for every combination of arguments; those with complex numbers are left out."""

    def check(*args: Any, **keywords: Any) -> None:
        named_values = [[(key, value) for value in values] for key, values in keywords.items()]
        for values in itertools.product(*args):
            for pairs in itertools.product(*named_values):
                if not any(np.iscomplexobj(x) for _, x in flatten(values)):
                    check_grads(fun, *options, **more)(*values, **dict(pairs))

    return check


def check_equivalent(x: Any, y: Any) -> None:
    """Equal shapes and numbers."""
    for (_, a), (_, b) in zip(flatten(x), flatten(y), strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6, atol=1e-6)


def scalar_close(a: Any, b: Any) -> bool:
    """Equal up to rounding."""
    return abs(a - b) < 1e-6 or abs(a - b) / abs(a + b) < 1e-6


# the insides of autograd that tests use


def unary_to_nary(operator: Callable[..., Any]) -> Callable[..., Any]:
    """operator(fun, x) as f(fun, argnum)(*args)."""

    def make(fun: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            def of_one(x: Any) -> Any:
                return fun(*args[:argnum], x, *args[argnum + 1 :])

            return operator(of_one, args[argnum])

        return call

    return make


def defvjp(op: Any, *makers: Callable[..., Any]) -> None:
    """Rules in autograd's form: maker(y, *inputs) gives the function dy → dx."""
    for name, maker in zip(op.inputs, makers):
        op.gradient(name)(lambda dy, y, *xs, maker=maker: maker(y, *xs)(dy))


def make_diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Matrices with the last axis as diagonal."""
    return np.expand_dims(x, -1) * np.eye(np.shape(x)[-1])


def isinstance_of(x: Any, kinds: Any) -> bool:
    """A tensor counts as an array."""
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    return isinstance(x, kinds) or (np.ndarray in kinds and isinstance(x, mg.Tensor))


def out_of_scope(*args: Any, **keywords: Any) -> Any:
    """Complex numbers."""
    raise OutOfScopeError(COMPLEX)


class Standing(types.ModuleType):
    """A module under a name of autograd's: what is given, then what another module has."""

    def __init__(self, name: str, other: Any = None, **names: Any) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self._other = other
        vars(self).update(names)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        return getattr(self._other, name)


def modules() -> dict[str, types.ModuleType]:
    """What stands in for autograd."""
    containers = {"list": list, "dict": dict, "tuple": tuple, "isinstance": isinstance_of}
    linalg = Standing(
        "autograd.numpy.linalg",
        np.linalg,
        T=lambda a: np.swapaxes(a, -1, -2),
        _dot=functools.partial(np.einsum, "...ij,...jk->...ik"),
    )
    random, fourier = Standing("random", np.random), Standing("fft", np.fft)
    numpy = Standing(
        "autograd.numpy", np, linalg=linalg, random=random, fft=fourier, make_diagonal=make_diagonal
    )
    derivatives = [grad, elementwise_grad, jacobian, deriv, hessian, value_and_grad, grad_and_aux]
    derivatives += [make_vjp, make_jvp, make_hvp, hessian_tensor_product, tensor_jacobian_product]
    derivatives += [make_ggnvp]
    names = {function.__name__: function for function in derivatives}
    primitive = {"primitive": mg.primitive, "vspace": np.shape, "primitive_vjps": {}}
    checks = {f.__name__: f for f in (check_grads, combo_check, check_equivalent, scalar_close)}
    parts = {
        "numpy": numpy,
        "numpy.linalg": linalg,
        "numpy.random": random,
        "numpy.fft": fourier,
        "core": Standing("core", make_vjp=make_vjp, **primitive),
        "extend": Standing("extend", defvjp=defvjp, **primitive),
        "tracer": Standing("tracer", isbox=lambda x: isinstance(x, mg.Tensor), **primitive),
        "builtins": Standing("builtins", **containers),
        "test_util": Standing("test_util", **checks),
        "wrap_util": Standing("wrap_util", unary_to_nary=unary_to_nary),
        "util": Standing("util"),
        "misc": Standing("misc", const_graph=out_of_scope, flatten=out_of_scope),
    }
    package = Standing(
        "autograd", checkpoint=lambda f: f, holomorphic_grad=out_of_scope, **names, **containers
    )
    for name, part in parts.items():
        if "." not in name:
            setattr(package, name, part)
    return {"autograd": package, **{f"autograd.{name}": part for name, part in parts.items()}}


# running them


class Table:
    """A plugin of pytest that notes the verdict on each test."""

    def __init__(self) -> None:
        self.verdicts: dict[str, str] = {}
        self.words: dict[str, str] = {}

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Called after the setup, the call and the teardown of a test."""
        name = f"{item.path.name}::{item.name}"
        error = call.excinfo.value if call.excinfo else None
        if call.when == "call" or error is not None:
            known = next((why for start, why in OUT.items() if name.startswith(start)), None)
            self.verdicts[name] = known or verdict(error)
            if error is not None:
                self.words[name] = " ".join(" <- ".join(messages(error)).split())


def messages(error: BaseException | None) -> Iterator[str]:
    """What an error says, and its causes."""
    while error is not None:
        yield f"{type(error).__name__}: {error}"
        error = error.__cause__


def verdict(error: BaseException | None) -> str:
    """What the outcome of a test means."""
    text = " ".join(messages(error))
    if error is None:
        return PASSED
    if isinstance(error, pytest.skip.Exception):
        return SKIPPED
    if isinstance(error, OutOfScopeError) or "complex" in text or "np.fft" in text:
        return COMPLEX
    told = any(words in text for words in ("write ", "@mg.primitive"))
    return REFUSED if told and not isinstance(error, AssertionError) else FAILED


def run(path: Path) -> Table:
    """Every test of a checkout, or of its folder `tests`."""
    folder = path / "tests" if (path / "tests").is_dir() else path
    files = sorted(str(file) for file in folder.glob("test_*.py") if OUT.get(file.name) != OUTSIDE)
    sys.modules.update(modules())
    sys.path.insert(0, str(folder))
    before, table = mg.get_default_dtype(), Table()
    mg.set_default_dtype(np.float64)
    options = ["-q", "-q", "--tb=no", "-p", "no:cacheprovider", "-W", "ignore"]
    with tempfile.TemporaryDirectory() as place, np.errstate(all="ignore"):
        settings = Path(place) / "pytest.ini"  # in place of the checkout's own
        settings.write_text("[pytest]\n")
        try:
            pytest.main([*options, "-c", str(settings), *files], [table])
        finally:
            mg.set_default_dtype(before)
    return table


def main() -> int:
    """Print the table, what is refused with its words, and what fails."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    table = run(Path(sys.argv[1]))
    counts: dict[str, Counter[str]] = {}
    for name, found in table.verdicts.items():
        counts.setdefault(name.partition("::")[0], Counter())[found] += 1
    total: Counter[str] = sum(counts.values(), Counter())
    rows = [["file", *VERDICTS]]
    for file, of_file in [*counts.items(), ("all", total)]:
        rows.append([file, *(str(of_file[kind]) for kind in VERDICTS)])
    print(columns(rows))
    for kind in (REFUSED, FAILED):
        for name, found in table.verdicts.items():
            if found == kind:
                print(f"{kind}  {name}: {table.words.get(name, '')}")
    return int(total[FAILED] > 0)


if __name__ == "__main__":
    sys.exit(main())
