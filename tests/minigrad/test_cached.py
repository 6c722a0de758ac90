from __future__ import annotations

import threading

import pytest

from minigrad.cached import cached_property


class Counted:
    """Counts how often its property is computed."""

    calls = 0

    @cached_property
    def value(self) -> int:
        """The answer."""
        self.calls += 1
        return 42


def test_a_value_is_computed_once_and_documented() -> None:
    thing = Counted()
    assert (thing.value, thing.value, thing.calls) == (42, 42, 1)
    assert Counted.value.__doc__ == "The answer."


def test_an_interrupt_leaves_nothing_locked() -> None:
    class Interrupted:
        first = True

        @cached_property
        def value(self) -> int:
            """Fails once."""
            if self.first:
                self.first = False
                raise KeyboardInterrupt
            return 1

    thing = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        _ = thing.value
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(thing.value), daemon=True)
    thread.start()
    thread.join(10)
    assert found == [1]
