"""The page in a real browser: clicks, keys, drags, and every number that it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.norms import norm
from tests.minigrad.render.browser import Opened, chromium, opened
from tests.minigrad.render.networks import by_hand, fed_back, recurrent

SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


def number(text: str) -> float:
    """A number as the page writes it: 2.5·10⁻⁷."""
    text = text.replace("−", "-").replace("·10", "e").translate(SUPERSCRIPTS)
    return float(text)


def told(page: Opened) -> list[tuple[str, float]]:
    """The gradients that the panel tells, by name."""
    found = re.findall(r"‖∂L/∂(.+?)‖ = (\S+)", page.text("#panel dl"))
    return [(name.translate(SUBSCRIPTS), number(value)) for name, value in found]


def walk(page: Opened) -> Iterator[str]:
    """All stops of the pass, from the first to the last."""
    while True:
        yield page.text("#status")
        if page.look("document.getElementById('next').disabled"):
            return
        page.press("ArrowRight")


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_each_gradient_shown_is_that_of_the_state_it_names(
    browser: Any, tmp_path: Path, cell: str
) -> None:
    graph = mg.Graph(recurrent(cell, 4))
    nodes = {
        f"{state.name}{t}": node for state in graph.states for (t,), node in state.nodes.items()
    }
    grads = dict(zip(nodes, mg.grad(graph.outputs[0], list(nodes.values())), strict=True))
    seen = set()
    with opened(browser, graph.render(tmp_path / "x.html")) as page:
        for _ in walk(page):
            for name, value in told(page):
                if name in grads:
                    assert value == pytest.approx(norm(grads[name]), rel=2e-3)
                    seen.add(name)
    assert seen == set(nodes)


def test_a_small_value_and_its_gradient_are_told_in_full(browser: Any, tmp_path: Path) -> None:
    w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9)
    for t in range(3):
        with mg.time_step(t):
            h = w * h
    with opened(browser, mg.Graph(h).render(tmp_path / "x.html")) as page:
        seen = {}
        for status in walk(page):
            t = re.findall(r"t = (\d)", status)[0]
            seen[t] = number(page.text("#value")), number(page.text("#entries"))
    expected = {"2": (0.0072, 1.0), "1": (0.036, 0.2), "0": (0.18, 0.04)}
    assert seen.keys() == expected.keys()
    for t, pair in expected.items():
        assert seen[t] == pytest.approx(pair, rel=2e-3)


def test_back_undoes_on_and_steps_go_by_time(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("LSTM", 5)).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        begun = page.text("#status")
        page.press("ArrowRight", "ArrowRight", "ArrowRight")
        third, panel = page.text("#status"), page.text("#panel")
        page.press("ArrowRight", "ArrowLeft")
        assert (page.text("#status"), page.text("#panel")) == (third, panel)
        page.press("Home")
        assert page.text("#status") == begun
        times = []
        for _ in range(5):
            page.press("Shift+ArrowRight")
            times.append(re.findall(r"t = (\d)", page.text("#status"))[0])
        assert times == ["4", "3", "2", "1", "0"]
        page.tab.click("#back_step")
        assert "t = 1" in page.text("#status")
        page.press("End")
        assert "t = 0" in page.text("#status")
        assert page.look("document.getElementById('next').disabled")


def test_a_click_shows_a_node_and_what_it_hands_on(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("RNN", 3)).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        page.press("End")
        page.tab.locator('g.box[aria-label^="h₁,"]').first.click()
        assert page.text("#panel h2").startswith("h₁")
        assert "nn/cells.py" in page.text("#panel")
        for part in ("#hands", "#receives"):
            sizes = page.tab.locator(f"{part} b").all_inner_texts()
            assert sizes
            assert all(number(size) > 0 for size in sizes)
        page.press("Escape")
        assert not page.text("#panel h2").startswith("h₁")


def test_the_strip_is_clicked_and_dragged(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("RNN", 40)).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        box = page.tab.locator(".strip canvas").bounding_box()
        left, width = box["x"] + 46, box["width"] - 50
        page.tab.mouse.move(left + width * 10.5 / 40, box["y"] + 30)
        page.tab.mouse.down()
        assert "t = 10 " in page.text("#status")
        page.tab.mouse.move(left + width * 25.5 / 40, box["y"] + 30)
        page.tab.mouse.up()
        assert "t = 25 " in page.text("#status")
        page.tab.wait_for_timeout(300)
        assert page.look("location.hash") == "#at=25"
        labels = page.tab.locator("g.box[aria-current]").all()
        assert len(labels) == 1
        assert labels[0].bounding_box()["x"] > 0


def test_a_link_opens_one_step(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("RNN", 40)).render(tmp_path / "x.html")
    with opened(browser, path, at="#at=25") as page:
        assert "t = 25 " in page.text("#status")


def test_it_opens_at_a_highlighted_node_unless_the_link_says_another_step(
    browser: Any, tmp_path: Path
) -> None:
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(6):
        with mg.time_step(t):
            h = w * h
    graph = mg.Graph(h)
    path = graph.render(tmp_path / "x.html", highlight=graph.find(t=3), steps="2:5")
    with opened(browser, path) as page:
        assert "t = 3 " in page.text("#status")
    with opened(browser, path, at="#at=1") as page:
        assert "t = 1 " in page.text("#status")


def test_only_a_window_of_steps_is_in_the_document(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("LSTM", 300)).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        few = page.look("document.querySelectorAll('g.box').length")
        assert 10 < few < 200
        for _ in range(60):
            page.press("Shift+ArrowRight")
        assert page.look("document.querySelectorAll('g.box').length") < 200


def test_views_change_and_a_double_click_opens_a_cell_at_its_step(
    browser: Any, tmp_path: Path
) -> None:
    path = mg.Graph(recurrent("LSTM", 6)).render(tmp_path / "x.html", view="cells")
    with opened(browser, path) as page:
        page.press("Shift+ArrowRight", "Shift+ArrowRight")
        assert "t = 4" in page.text("#status")
        page.tab.locator("g.box[aria-current]").dblclick()
        assert page.look("document.querySelector('#view [aria-pressed=true]').value") == "ops"
        assert "t = 4" in page.text("#status")
        page.press("v")
        assert page.look("document.querySelector('#view [aria-pressed=true]').value") == "cells"


def test_it_plays_and_pauses(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("RNN", 30)).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        begun = page.text("#status")
        page.tab.locator("#speed input").fill("4")
        page.tab.click("#play")
        page.tab.wait_for_timeout(400)
        page.tab.locator("#speed input").fill("0")  # slower, at once
        page.tab.wait_for_timeout(100)
        slow = page.text("#status")
        page.tab.wait_for_timeout(600)
        assert page.text("#status") == slow
        page.tab.click("#play")
        stood = page.text("#status")
        assert stood != begun
        page.tab.wait_for_timeout(200)
        assert page.text("#status") == stood


def test_the_picture_keeps_up_with_quick_steps(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("LSTM", 60, every_step=True)).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        page.tab.wait_for_timeout(400)
        page.look("timeStep(1)")
        assert page.look("here().world.classList.contains('gliding')")
        page.look("for (let k = 0; k < 9; k += 1) timeStep(1)")
        assert not page.look("here().world.classList.contains('gliding')")
        box = page.tab.locator("g.box[aria-current]").bounding_box()
        assert 0 < box["x"] < 900


def test_forward_shows_what_a_value_is_made_from(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("RNN", 3)).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        page.press("b")
        assert "forward" in page.text("#status")
        assert "t = 0" in page.text("#status")
        assert "W_xh" in page.text("#inputs")


def test_predict_asks_before_it_reveals(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("RNN", 5)).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        page.press("Shift+ArrowRight", "p", "Shift+ArrowRight")
        assert "t = 4" in page.text("#status")
        assert "t = 3" in page.text("#ask")
        page.press("1")
        assert "1" in page.text("#ask p")
        page.press("Enter")
        assert page.tab.locator("#ask").is_hidden()
        assert "t = 3" in page.text("#status")


def test_two_graphs_stand_at_one_step_on_one_scale(browser: Any, tmp_path: Path) -> None:
    loss = recurrent("RNN", 12)
    graphs = {"RNN": mg.Graph(loss), "clipped": mg.Graph(loss).clip_edges(max_norm=1e-3)}
    path = mg.compare(graphs).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        assert page.tab.locator(".stage").count() == 2
        for _ in range(4):
            page.press("Shift+ArrowRight")
        assert page.look("stages.map((stage) => stage.stop.t)") == [8, 8]
        assert "≤ 0.001" in page.text(".stage:nth-of-type(2)")


def test_sliders_show_the_graph_of_each_setting(browser: Any, tmp_path: Path) -> None:
    def make(gain: float, scale: float) -> dict[str, mg.Graph]:
        mg.seed(0)
        cell = nn.RNNCell(2, 4)
        cell.W_hh.data = gain * cell.W_hh.data
        xs = scale * np.random.default_rng(0).standard_normal((5, 1, 2))
        ys, _ = nn.Unroll(cell)(xs)
        return {"RNN": mg.Graph((ys[-1] ** 2).mean()), "clipped": mg.Graph(ys[-1].sum())}

    gains, scales = [0.5, 1.0, 3.0], [0.1, 1.0]
    path = mg.compare(make, gain=gains, scale=scales).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        page.press("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight")
        sliders = page.tab.locator("#knobs input")
        for i, gain in enumerate(gains):
            for k, scale in enumerate(scales):
                sliders.nth(0).fill(str(i))
                sliders.nth(1).fill(str(k))
                assert page.text("#knobs").split() == ["gain", f"{gain:g}", "scale", f"{scale:g}"]
                graph = make(gain, scale)["RNN"]
                (state,) = graph.states
                expected = norm(mg.grad(graph.outputs[0], [state.nodes[(2,)]])[0])
                assert dict(told(page))["h2"] == pytest.approx(expected, rel=2e-3)
                page.tab.wait_for_timeout(300)
                assert page.look("location.hash") == f"#at=2&gain={gain:g}&scale={scale:g}"
                assert page.look("stages.map((stage) => stage.stop.t)") == [2, 2]
    with opened(browser, path, at="#at=1&gain=3") as page:
        assert page.text("#knobs").split()[:2] == ["gain", "3"]
        assert "t = 1 " in page.text("#status")


def test_other_nodes_of_a_step_are_looked_at_by_keys(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("RNN", 4)).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        page.press("End")
        seen = set()
        for _ in range(page.look("here().stop.column.vertices.length")):
            page.press("ArrowDown")
            seen.add(page.text("#panel h2"))
            assert page.text("#said").split(",")[0] in page.text("#panel h2")
        assert len(seen) >= 5
        page.press("ArrowDown", "ArrowUp", "Escape")
        assert page.look("here().chosen") is None


def test_the_strip_says_where_and_why_a_gradient_fades(browser: Any, tmp_path: Path) -> None:
    mg.seed(0)
    ys, _ = nn.RNN(2, 8)(np.random.default_rng(0).standard_normal((30, 1, 2)))
    graph = mg.Graph((ys[-1] ** 2).mean())
    (state,) = graph.states
    sizes = [norm(g) for g in mg.grad(graph.outputs[0], list(state.nodes.values()))]
    faded = max(t for t, size in enumerate(sizes) if size < max(sizes) / 1000)
    with opened(browser, graph.render(tmp_path / "x.html")) as page:
        assert "tanh(a) ×0." in page.text(".why")
        assert f"from t = {faded} back" in page.text(".caption")
        page.tab.click(".caption .link")
        assert f"t = {faded} " in page.text("#status")
        page.press("p")
        assert page.tab.locator(".why, .verdict, .link").count() == 0


@pytest.mark.parametrize("make", [fed_back, lambda steps: recurrent("LSTM", steps)])
def test_all_that_the_panel_tells_first_is_of_one_state(
    browser: Any, tmp_path: Path, make: Any
) -> None:
    graph = mg.Graph(make(6))
    states = {state.name: state.nodes for state in graph.states}
    with opened(browser, graph.render(tmp_path / "x.html", view="cells")) as page:
        page.press("End")
        for t in range(1, 5):
            page.look(f"goTo(here(), here().stopOf({t}))")
            title = page.text("#panel h2").translate(SUBSCRIPTS).split()[0]
            (name, size), *others = told(page)
            assert name == title == f"{title[0]}{t}"
            (grad,) = mg.grad(graph.outputs[0], [states[title[0]][t,]])
            assert size == pytest.approx(norm(grad), rel=1e-3)
            assert size > 0
            assert f"gradient {page.look(f'normText(Math.log10({norm(grad)}))')}" in page.text(
                "#said"
            )
            assert {name[0] for name, _ in others} == {*states} - {title[0]}
            received = page.tab.locator("#receives .flow span").all_inner_texts()
            assert len(received) == len(set(received)) >= 2


def test_the_scale_says_where_norms_lie_outside_of_it(browser: Any, tmp_path: Path) -> None:
    graph = mg.Graph(recurrent("RNN", 6))
    for scale, written in ((None, ""), ((-2, -1), "≥"), ((3, 5), "≤"), ((-1.1, -1), "≤≥")):
        with opened(browser, graph.render(tmp_path / "x.html", scale=scale)) as page:
            assert "".join(re.findall("[≤≥]", page.text("#scale"))) == written
            assert re.match("gradient norm (≤ )?10", page.text("#scale"))


def test_a_drag_and_the_wheel_move_the_picture(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("RNN", 20)).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        box = page.tab.locator(".stage svg").bounding_box()
        x, y = box["x"] + 300, box["y"] + 40
        before = page.look("here().camera.x * here().camera.k")
        page.tab.mouse.move(x, y)
        page.tab.mouse.down()
        page.tab.mouse.move(x + 150, y, steps=5)
        page.tab.mouse.up()
        after = page.look("here().camera.x * here().camera.k")
        assert before - after == pytest.approx(150, abs=2)
        scale = page.look("here().camera.k")
        page.tab.mouse.wheel(0, -300)
        page.tab.wait_for_timeout(100)
        assert page.look("here().camera.k") > scale
        page.press("0")
        assert page.look("here().camera.k") == page.look("here().fit")


def test_lecture_mode(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("RNN", 6)).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        small = page.look("here().camera.k")
        page.press("l")
        assert page.look("document.body.classList.contains('lecture')")
        assert page.look("here().camera.k") > 1.2 * small
        assert page.look("parseFloat(getComputedStyle(document.body).fontSize)") >= 18
        page.press("l")
        assert not page.look("document.body.classList.contains('lecture')")


def test_it_plays_in_the_frame_of_a_notebook(browser: Any, tmp_path: Path) -> None:
    shown = mg.Graph(recurrent("RNN", 5)).page()._repr_html_()
    (tmp_path / "notebook.html").write_text(f"<!doctype html><body>{shown}", encoding="utf-8")
    tab, errors = browser.new_page(), []
    tab.on("console", lambda message: errors.append(message.text))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto((tmp_path / "notebook.html").as_uri())
    frame = tab.frames[1]
    frame.wait_for_selector("body[data-ready]", timeout=20_000)
    frame.click("#next_step")
    assert "t = 4" in frame.inner_text("#status")
    assert errors == []
    tab.close()


def test_a_debugger_draws_a_page_that_opens_where_it_stands(browser: Any, tmp_path: Path) -> None:
    script, path = tmp_path / "train.py", tmp_path / "x.html"
    script.write_text(
        "import minigrad as mg\n"
        "w, h = mg.tensor(0.5, requires_grad=True, name='w'), mg.tensor(1.0)\n"
        "for t in range(6):\n"
        "    with mg.time_step(t): h = w * h\n"
        "h.backward()\n"
    )
    words = [sys.executable, "-m", "minigrad.debugger", str(script)]
    typed = f"until t == 3\ndraw {path}\nquit\n"
    subprocess.run(words, input=typed, text=True, capture_output=True, timeout=120)
    with opened(browser, path) as page:
        assert "t = 3 " in page.text("#status")


def test_of_what_goes_to_many_some_are_listed(browser: Any, tmp_path: Path) -> None:
    w, total = mg.tensor(0.5, requires_grad=True, name="w"), []
    for t in range(100):
        with mg.time_step(t):
            total.append(np.tanh(w * t))
    with opened(browser, mg.Graph(np.stack(total).sum()).render(tmp_path / "x.html")) as page:
        lists = []
        for _ in range(3):
            lists += page.tab.locator("#hands").all_inner_texts()
            page.press("ArrowRight")
        longest = max(lists, key=len)
        assert longest.endswith("… and 60 more")


def test_hostile_names_stay_text(browser: Any, tmp_path: Path) -> None:
    evil = "</script><b id=evil>]]>&lt;\"'\\"
    w = mg.tensor(np.ones((2, 2)), requires_grad=True, name=evil)
    h = mg.tensor(np.ones((1, 2)), name="h_init")
    for t in range(3):
        with mg.time_step(t), mg.scope("<img src=x onerror=alert(1)>"):
            h = np.tanh(h @ w)
    path = mg.Graph(h.sum()).render(tmp_path / "x.html", title=evil)
    with opened(browser, path) as page:
        page.press("End")
        assert page.look("document.querySelector('#evil, img')") is None
        assert page.text("#title") == evil
        assert evil in page.text("#parameters")
        assert page.look("document.title").split() == evil.split()


def test_a_name_with_a_subscript_and_its_step_share_one(browser: Any, tmp_path: Path) -> None:
    w, h = mg.tensor(np.eye(2), requires_grad=True, name="w"), np.zeros((1, 2))
    for t in range(12):
        with mg.time_step(t):
            y_prev = mg.tensor(np.full((1, 2), float(t)))
            h = np.tanh(y_prev + h @ w)
    with opened(browser, mg.Graph(h.sum()).render(tmp_path / "x.html"), at="#t=11") as page:
        page.press("End")
        hung = page.tab.locator(".stage g tspan").all_text_contents()
        assert "prev,0" in hung
        assert not [text for text in hung if "₀" in text]


def test_a_graph_without_time(browser: Any, tmp_path: Path) -> None:
    x = mg.tensor(np.ones((3, 4)))
    net = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2))
    with opened(browser, mg.Graph((net(x) ** 2).sum()).render(tmp_path / "x.html")) as page:
        page.press("End")
        assert "outside of time" in page.text("#status")
        assert page.tab.locator(".strip canvas").count() == 1


def test_without_a_number_to_start_from_the_page_says_so(browser: Any, tmp_path: Path) -> None:
    w, h = mg.tensor(np.ones(3), requires_grad=True, name="w"), mg.tensor(np.ones(3))
    for t in range(3):
        with mg.time_step(t):
            h = w * h
    with opened(browser, mg.Graph(h).render(tmp_path / "x.html")) as page:
        assert "only a number has a backward pass" in page.text("#notes")
        page.press("ArrowRight")
        assert "forward" in page.text("#status")
    leaf = mg.tensor(1.0, requires_grad=True)
    with opened(browser, mg.Graph(leaf).render(tmp_path / "y.html")) as page:
        assert "there is no operation" in page.text("#panel")
        assert page.tab.locator("footer button:enabled").count() == 0


def test_a_gradient_of_zero_is_told(browser: Any, tmp_path: Path) -> None:
    w, h = mg.tensor(0.0, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(4):
        with mg.time_step(t):
            h = w * h
    with opened(browser, mg.Graph(h).render(tmp_path / "x.html")) as page:
        page.press("End")
        assert page.text("#gradient").endswith("= 0 (exactly zero)")
        assert page.text("#parameters").endswith("‖∂L/∂w‖ = 0")


def test_what_is_not_finite_is_shown(browser: Any, tmp_path: Path) -> None:
    w, h = mg.tensor(1e38, requires_grad=True, name="w"), mg.tensor(1.0)
    with np.errstate(all="ignore"):
        for t in range(4):
            with mg.time_step(t):
                h = w * h
        path = mg.Graph(h - h).render(tmp_path / "x.html")
    with opened(browser, path) as page:
        page.press("End")
        assert "NaN" in page.text("#panel") or "∞" in page.text("#panel")


def test_nested_time(browser: Any, tmp_path: Path) -> None:
    w, h = mg.tensor(0.9, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(3):
        with mg.time_step(t, "row"):
            for s in range(2):
                with mg.time_step(s, "col"):
                    h = np.tanh(w * h)
    with opened(browser, mg.Graph(h).render(tmp_path / "x.html")) as page:
        seen = {status.split(" · ")[1]: page.text("#gradient") for status in walk(page)}
        headings = page.tab.locator(".stage g > text").all_text_contents()
        assert any(text.startswith("row = 0") for text in headings)
        assert any(text.startswith("t = 0, 1 ") for text in headings)
        assert "h_init" in page.text("#panel")
    assert list(seen) == [f"t = {t}, {s}" for t in (2, 1, 0) for s in (1, 0)]


def test_a_loss_at_every_step(browser: Any, tmp_path: Path) -> None:
    with opened(browser, mg.Graph(by_hand(4)).render(tmp_path / "x.html")) as page:
        page.press("End")
        assert "t = 0" in page.text("#status")


def test_vietnamese(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("RNN", 3)).render(tmp_path / "x.html", lang="vi")
    with opened(browser, path) as page:
        assert page.look("document.documentElement.lang") == "vi"
        assert "lan truyền ngược" in page.text("#status")


@pytest.mark.parametrize(("width", "height"), [(390, 780), (780, 390)])
@pytest.mark.parametrize("lang", ["en", "vi"])
def test_a_phone(browser: Any, tmp_path: Path, width: int, height: int, lang: Any) -> None:
    path = mg.Graph(recurrent("LSTM", 6)).render(tmp_path / "x.html", lang=lang)
    phone = {"viewport": {"width": width, "height": height}, "has_touch": True}
    with opened(browser, path, **phone) as page:
        assert page.look("document.documentElement.scrollWidth") <= width
        page.tab.tap("#next_step")
        box = page.tab.locator("g.box[aria-current]").bounding_box()
        assert 0 <= box["x"] <= width
        assert page.tab.locator(".stage").bounding_box()["height"] >= 170
        assert page.tab.locator("header").bounding_box()["height"] <= 90
        button = page.tab.locator("#play").bounding_box()
        assert button["height"] >= 40
        assert button["y"] + button["height"] <= height


def test_keyboard_and_screen_reader(browser: Any, tmp_path: Path) -> None:
    path = mg.Graph(recurrent("RNN", 4)).render(tmp_path / "x.html")
    with opened(browser, path, reduced_motion="reduce") as page:
        unnamed = page.look(
            "[...document.querySelectorAll('button')].filter("
            "(b) => b.offsetParent && !(b.getAttribute('aria-label') || b.textContent.trim())).length"
        )
        assert unnamed == 0
        page.press("Shift+ArrowRight")
        assert "gradient" in page.text("#said")
        strip = page.tab.locator(".strip canvas")
        assert strip.get_attribute("role") == "slider"
        page.tab.wait_for_timeout(100)
        assert strip.get_attribute("aria-valuenow") == "3"


@pytest.mark.parametrize(("lang", "words"), [("en", "is played with"), ("vi", "chạy bằng")])
def test_a_page_without_scripts_says_what_it_needs(
    browser: Any, tmp_path: Path, lang: Any, words: str
) -> None:
    path = mg.Graph(recurrent("RNN", 3)).render(tmp_path / "x.html", lang=lang)
    with opened(browser, path) as page:
        assert page.tab.locator("#needs").count() == 0
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(Path(path).as_uri())
    tab.locator("#needs").wait_for(state="visible")
    assert words in tab.inner_text("#needs")
    context.close()
