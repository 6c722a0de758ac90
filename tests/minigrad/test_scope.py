from __future__ import annotations

import asyncio
import contextlib
import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad.scope import recording


def test_no_grad_is_a_context_and_a_decorator() -> None:
    w = mg.tensor(1.0, requires_grad=True)

    @mg.no_grad()
    def double(depth: int = 2) -> mg.Tensor:
        return double(depth - 1) if depth else w * 2

    assert not double().requires_grad
    assert (w * 2).requires_grad
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        raise ZeroDivisionError
    assert (w * 2).requires_grad


def test_time_steps_label_what_is_made_inside() -> None:
    w = mg.tensor(1.0, requires_grad=True)
    with mg.time_step(7):
        inside = w * 2
        with mg.time_step(2, axis="inner"):
            deeper = w * 2
    assert (w.t, inside.t, deeper.t, (w * 2).t) == (None, 7, 7, None)
    assert deeper.coordinates == {"time": 7, "inner": 2}
    assert inside.time.axis.name == "time"
    assert deeper.time[1].axis.parent is deeper.time.axis


def test_labels_are_restored_on_break_and_on_error() -> None:
    for t, _ in mg.timesteps(np.zeros((5, 1))):
        if t == 2:
            break
    assert mg.tensor(0.0).t is None
    with pytest.raises(KeyError):
        for _ in mg.timesteps(np.zeros((5, 1))):
            raise KeyError
    assert mg.tensor(0.0).t is None
    with pytest.raises(KeyError), mg.time_step(1), mg.scope("s"):
        raise KeyError
    assert (mg.tensor(0.0).t, mg.tensor(0.0).scope) == (None, "")


@pytest.mark.parametrize("kind", ["array", "tensor", "with grad", "list"])
def test_timesteps_yields_labelled_parts(kind: str) -> None:
    array = np.arange(6.0).reshape(3, 2)
    xs = {
        "array": array,
        "tensor": mg.tensor(array),
        "with grad": mg.tensor(array, requires_grad=True),
        "list": [mg.tensor(row) for row in array],
    }[kind]
    for reverse in (False, True):
        seen = []
        for t, x in mg.timesteps(xs, reverse=reverse):
            np.testing.assert_array_equal(x.data, array[t])
            assert x.requires_grad == (kind == "with grad")
            y = x * 1
            seen.append((t, y.t, mg.tensor(0.0).time[0].position))
        assert seen == [(t, t, k) for k, t in enumerate([2, 1, 0] if reverse else [0, 1, 2])]


def test_a_tensor_is_split_once() -> None:
    xs = mg.tensor(np.zeros((4, 2)), requires_grad=True)
    parts = [x for _, x in mg.timesteps(xs)]
    assert len({id(x.call.outputs) for x in parts}) == 1
    assert [x.role[:2] for x in parts] == [("input", "x")] * 4
    assert [x.t for x in parts] == [0, 1, 2, 3]


def test_each_outermost_loop_opens_an_axis_and_a_nested_one_does_not() -> None:
    axes = []
    for _, x in mg.timesteps(np.zeros((2, 3))):
        axes.append(x.time.axis)
        for _, y in mg.timesteps(x):
            axes.append((y * 1).time.axis if y.time is None else y.time.axis)
    for _, x in mg.timesteps(np.zeros((2, 3)), axis="decoder"):
        axes.append(x.time.axis)
    assert len(set(axes)) == 2
    assert [axis.name for axis in dict.fromkeys(axes)] == ["time", "decoder"]


def test_positions_of_bare_steps_follow_the_visits() -> None:
    w, h = mg.tensor(0.5, requires_grad=True), mg.tensor(1.0)
    for t in reversed(range(4)):
        with mg.time_step(t):
            h = w * h
    graph = mg.Graph(h)
    assert graph.time_steps == (3, 2, 1, 0)
    assert len(graph.state_edges) == 3


def test_a_time_step_must_be_an_int() -> None:
    with pytest.raises(TypeError, match="t must be an int, found float"), mg.time_step(1.5):  # type: ignore[arg-type]
        pass


def test_scopes_nest_and_know_who_called() -> None:
    with mg.scope("encoder"), mg.scope("cell"):
        x = mg.tensor(1.0)
    assert x.scope == "encoder.cell"
    assert x._scope.called_from.file == __file__


def test_threads_do_not_disturb_each_other() -> None:
    w = mg.tensor(0.5, requires_grad=True)
    barrier = threading.Barrier(2)
    graphs: dict[int, mg.Graph] = {}

    def unroll(number: int) -> None:
        h = mg.tensor(1.0)
        for t in range(6):
            with mg.time_step(t):
                barrier.wait(5)
                h = w * h
        graphs[number] = mg.Graph(h)

    threads = [threading.Thread(target=unroll, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(graphs[k].state_edges) for k in range(2)] == [5, 5]
    assert mg.tensor(0.0).t is None


def test_one_context_may_be_entered_twice() -> None:
    w, quiet = mg.tensor(1.0, requires_grad=True), mg.no_grad()
    with quiet, quiet:
        assert not (w * 2).requires_grad
    assert (w * 2).requires_grad


def test_a_step_may_be_any_integer() -> None:
    with mg.time_step(np.int64(3)):
        assert mg.tensor(0.0).t == 3


# every block takes back its own change, in whatever order blocks end


def state():
    now = recording.get()
    path = tuple((axis.name, t) for axis, t, _ in now.time or ())
    return now.enabled, path, now.scope and now.scope.path


CLEAN = (True, (), None)


def test_a_loop_that_outlives_its_block_leaves_recording_on():
    with mg.no_grad():
        loop = mg.timesteps(np.zeros(3))
        next(loop)
        assert state() == (False, (("time", 0),), None)
    assert state() == (True, (("time", 0),), None)
    loop.close()
    assert state() == CLEAN


def test_a_decorator_works_on_generators_and_coroutines():
    w = mg.tensor(2.0, requires_grad=True)

    @mg.no_grad()
    def numbers():
        received = yield (w * w).requires_grad
        yield (w * w).requires_grad, received
        return "end"

    generator = numbers()
    assert next(generator) is False
    assert (w * w).requires_grad  # it waits, and the block is closed
    assert generator.send(5) == (False, 5)
    with pytest.raises(StopIteration, match="end"):
        next(generator)

    @mg.no_grad()
    async def waiting():
        await asyncio.sleep(0)
        return (w * w).requires_grad

    assert asyncio.run(waiting()) is False
    with pytest.raises(TypeError, match="async generator"):

        @mg.no_grad()
        async def stream():
            yield 1

    assert state() == CLEAN


def test_a_generator_that_is_thrown_into_meets_the_error_inside_its_block():
    @mg.no_grad()
    def careful():
        try:
            yield 1
        except KeyError:
            yield recording.get().enabled

    generator = careful()
    next(generator)
    assert generator.throw(KeyError()) is False
    generator.close()
    assert state() == CLEAN


def test_one_block_serves_many_threads():
    off = mg.no_grad()
    w = mg.tensor(2.0, requires_grad=True)
    barrier = threading.Barrier(4)
    wrong = []

    @off
    def work():
        barrier.wait()
        if (w * w).requires_grad:
            wrong.append("recorded")
        barrier.wait()

    def run():
        for _ in range(20):
            work()
            if state() != CLEAN:
                wrong.append(state())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_async_generator_that_is_broken_off_takes_its_label_away():
    async def steps():
        for t, _ in mg.timesteps(np.zeros(6)):
            yield t

    async def main():
        async for _ in steps():
            break
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return mg.tensor(1.0).t

    assert asyncio.run(main()) is None


def test_blocks_that_close_in_another_order_take_only_their_own_away():
    outer, inner, third = mg.no_grad(), mg.scope("s"), mg.time_step(4)
    outer.__enter__()
    inner.__enter__()
    third.__enter__()
    outer.__exit__(None, None, None)
    assert state() == (True, (("time", 4),), "s")
    inner.__exit__(None, None, None)
    assert state() == (True, (("time", 4),), None)
    third.__exit__(None, None, None)
    assert state() == CLEAN


def test_a_loop_that_goes_on_in_another_thread_leaves_no_label_in_the_first():
    steps = mg.timesteps(np.ones(3))
    next(steps)
    assert mg.tensor(1.0).t == 0
    seen = []

    def go_on() -> None:
        seen.extend(t for t, _ in steps)
        seen.append(mg.tensor(1.0).t)

    thread = threading.Thread(target=go_on)
    thread.start()
    thread.join()
    assert seen == [1, 2, None]
    assert mg.tensor(1.0).t is None


def test_a_loop_that_ends_elsewhere_inside_of_a_block_leaves_no_label_behind_the_block():
    steps = mg.timesteps(np.ones(1))
    next(steps)
    with mg.scope("around"):
        thread = threading.Thread(target=lambda: list(steps))
        thread.start()
        thread.join()
    assert mg.tensor(1.0).t is None


def test_tasks_that_wait_inside_of_blocks_do_not_disturb_each_other():
    w = mg.tensor(2.0, requires_grad=True)

    async def without() -> bool:
        with mg.no_grad(), mg.scope("a"):
            await asyncio.sleep(0)
            return (w * 2).requires_grad

    async def step(t: int) -> tuple[int | None, int | None]:
        with mg.time_step(t):
            await asyncio.sleep(0.001 * (3 - t))
            return mg.tensor(1.0).t, (await asyncio.sleep(0, mg.tensor(1.0).t))

    async def cancelled() -> bool:
        task = asyncio.create_task(without())
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return (w * 2).requires_grad

    async def everything() -> list[object]:
        return await asyncio.gather(without(), *map(step, range(3)), cancelled())

    assert asyncio.run(everything()) == [False, (0, 0), (1, 1), (2, 2), True]
    assert (w * 2).requires_grad
