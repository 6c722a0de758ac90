"""An editor's debugger, as the editor drives it: the Debug Adapter Protocol, spoken to debugpy."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

import minigrad
from minigrad.ops import elementwise

ROOT = Path(minigrad.__file__).parents[1]
PROGRAM = """\
import numpy as np
import minigrad as mg

w = mg.tensor(np.ones((500, 500)), requires_grad=True, name="w")
with mg.time_step(3):
    h = np.tanh(w)
graph = mg.Graph(h.sum())
for step in graph.backward_steps():
    print(step.index)
graph.backward()
print("done", w.grad.shape)
"""


class Editor:
    """A client of the protocol: requests get responses, events wait in a queue."""

    def __init__(self, port: int) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self.numbers = itertools.count(1)
        self.events: Queue[dict[str, Any]] = Queue()
        self.responses: Queue[dict[str, Any]] = Queue()
        self.file = self.socket.makefile("rb")
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        while header := self.file.readline():
            self.file.readline()
            message = json.loads(self.file.read(int(header.split(b":")[1])))
            (self.events if message["type"] == "event" else self.responses).put(message)

    def send(self, command: str, **arguments: Any) -> int:
        number = next(self.numbers)
        body = json.dumps(
            {"seq": number, "type": "request", "command": command, "arguments": arguments}
        ).encode()
        self.socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        return number

    def wait(self, number: int) -> dict[str, Any]:
        while True:
            response = self.responses.get(timeout=30)
            if response["request_seq"] == number:
                assert response["success"], response
                return response.get("body", {})

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        return self.wait(self.send(command, **arguments))

    def expect(self, event: str) -> dict[str, Any]:
        while True:
            found = self.events.get(timeout=30)
            if found["event"] == event:
                return found.get("body", {})

    def frames(self, thread: int) -> list[dict[str, Any]]:
        return self.ask("stackTrace", threadId=thread)["stackFrames"]

    def variables(self, frame: int) -> dict[str, str]:
        scopes = self.ask("scopes", frameId=frame)["scopes"]
        found = self.ask("variables", variablesReference=scopes[0]["variablesReference"])[
            "variables"
        ]
        return {variable["name"]: variable["value"] for variable in found}


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Editor]]:
    """Start the adapter, and in it the program, with breakpoints set as pairs (file, line)."""
    pytest.importorskip("debugpy", reason="the extra `test` brings debugpy")
    started: list[Any] = []

    def start(*breakpoints: tuple[str, int]) -> Editor:
        program = tmp_path / "program.py"
        program.write_text(PROGRAM)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        started.append(
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "debugpy.adapter",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(port),
                ],
                stdout=subprocess.DEVNULL,
            )
        )
        editor = Editor(port)
        started.append(editor)
        editor.ask("initialize", adapterID="test", pathFormat="path", linesStartAt1=True)
        launched = editor.send(
            "launch", program=str(program), cwd=str(tmp_path), env={"PYTHONPATH": str(ROOT)}, justMyCode=False,
            console="internalConsole", python=[sys.executable], noDebug=False,
        )  # fmt: skip
        editor.expect("initialized")
        for file in dict.fromkeys(file for file, _ in breakpoints):
            lines = [{"line": line} for name, line in breakpoints if name == file]
            editor.ask("setBreakpoints", source={"path": file or str(program)}, breakpoints=lines)
        done = editor.send("configurationDone")
        editor.wait(done)
        assert launched < done
        return editor

    yield start
    for thing in reversed(started):
        if isinstance(thing, Editor):
            thing.send("disconnect", terminateDebuggee=True)
            time.sleep(0.2)
            thing.socket.close()
        else:
            thing.terminate()
            thing.wait(10)


def rule_line() -> int:
    lines = Path(elementwise.__file__).read_text().splitlines()
    return lines.index("def tanh_dx(dy, y, x):") + 2


def test_a_breakpoint_in_a_rule_shows_the_rule_the_node_and_the_step(
    launch: Callable[..., Editor],
) -> None:
    editor = launch((elementwise.__file__, rule_line()))
    stopped = editor.expect("stopped")
    frames = editor.frames(stopped["threadId"])
    assert frames[0]["name"].endswith("tanh_dx")
    assert frames[0]["line"] == rule_line()
    assert set(editor.variables(frames[0]["id"])) >= {"dy", "y", "x"}
    by_name = {frame["name"].split(".")[-1]: frame for frame in reversed(frames)}
    loop = editor.variables(by_name["backward_steps"]["id"])
    assert loop["step"] == "t=3  h = np.tanh(w)   dh |500|"
    assert loop["node"] == "tensor(shape=(500, 500), norm=380.8, dtype=float64, op=tanh)"
    assert max(map(len, loop.values())) < 2000  # no dumps of megabytes
    editor.ask("next", threadId=stopped["threadId"])
    editor.expect("stopped")
    editor.ask("continue", threadId=stopped["threadId"])
    assert editor.frames(editor.expect("stopped")["threadId"])[0]["name"].endswith(
        "tanh_dx"
    )  # now in `backward`


@pytest.mark.slow
def test_one_steps_from_the_loop_into_the_rule(launch: Callable[..., Editor]) -> None:
    editor = launch(("", 9))
    thread = editor.expect("stopped")["threadId"]
    assert editor.variables(editor.frames(thread)[0]["id"])["step"].startswith("h.sum()")
    editor.ask("continue", threadId=thread)
    editor.expect("stopped")
    names = []
    for _ in range(40):
        editor.ask("stepIn", threadId=thread)
        editor.expect("stopped")
        names.append(editor.frames(thread)[0]["name"].split(".")[-1])
        if names[-1] == "tanh_dx":
            break
    assert names[-1] == "tanh_dx"
    editor.ask("continue", threadId=thread)
    editor.expect("terminated")
