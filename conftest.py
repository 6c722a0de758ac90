"""For every test and every doctest: what it changed for itself, it has put back."""

from __future__ import annotations

import importlib
import os
import random
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import hypothesis
import pytest

os.environ["MINIGRAD_LANG"] = "en"  # what the tests read, whatever their reader speaks

# How quickly examples are drawn depends on what else the machine does.
hypothesis.settings.register_profile(
    "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")

# Scripts that remake stored results need PyTorch, which the suite does not; programs for type
# checkers are read, not run.
collect_ignore_glob = ["*make_torch*.py", "tests/typing/*.py"]


REMEMBERED = {"minigrad.last_pass"}  # what `explain` and the warning about history look back at


# pytest would load a module that is collected first a second time, and then put that module in the
# place of the function that its package calls alike: minigrad.explain.
PACKAGES = ("minigrad", "minigrad.render", "minigrad.program", "minigrad.debugger", "nn")


def pytest_configure() -> None:
    """Load every package before pytest loads single modules of it."""
    for name in PACKAGES:
        importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests in another order: the one that MINIGRAD_TEST_ORDER, any text, leads to."""
    seed = os.environ.get("MINIGRAD_TEST_ORDER")
    if seed is not None:
        random.Random(seed).shuffle(items)


def context() -> dict[str, Any]:
    """The value of every context variable of the engine, such as how it records."""
    loaded = [vars(sys.modules[name]) for name in list(sys.modules) if name.startswith("minigrad.")]
    variables = {x for names in loaded for x in names.values() if isinstance(x, ContextVar)}
    return {x.name: value_of(x) for x in variables if x.name not in REMEMBERED}


def value_of(variable: ContextVar[Any]) -> Any:
    """The value, the default, or None."""
    try:
        return variable.get()
    except LookupError:
        return None


@pytest.fixture(autouse=True)
def recording_is_clean() -> Iterator[None]:
    """Fail a test that leaves the engine recording otherwise: it would change the next one."""
    before = context()
    yield
    after = context()
    changed = {name: after[name] for name in before if after[name] != before[name]}
    assert not changed, f"the test leaves this behind: {changed}"
