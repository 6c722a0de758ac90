"""The page as a file: what is in it, how large it is, what it refuses."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.language import using
from minigrad.render import __main__ as command
from minigrad.render.page import TEMPLATE
from minigrad.render.words import WORDS, words
from tests.minigrad.render.networks import NETWORKS, recurrent


def held(path: str) -> tuple[dict[str, Any], Any]:
    """The data of a page, and its numbers."""
    packed = re.findall(r'id="data">([^<]*)<', Path(path).read_text(encoding="utf-8"))[0]
    payload = zlib.decompress(base64.b64decode(packed))
    size = int.from_bytes(payload[:4], "little")
    return json.loads(payload[4 : 4 + size]), np.frombuffer(payload[4 + size :], "<f4")


def test_the_script_is_javascript() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node on this machine")
    script = (
        TEMPLATE.read_text(encoding="utf-8").rpartition("<script>")[2].partition("</script>")[0]
    )
    done = subprocess.run([node, "--check", "-"], input=script.encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_the_template_stays_readable() -> None:
    lines = TEMPLATE.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 900
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    "word", ["dominant-baseline", "baseline-shift", "ariaPressed", "ariaValue", ".role", "webkit"]
)
def test_nothing_is_used_that_browsers_read_otherwise(word: str) -> None:
    """WebKit raises what hangs below a central baseline; Firefox before 119 has no aria properties."""
    assert word not in TEMPLATE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("lang", "summary", "uses"),
    [
        ("en", "1 time step, 1 operation, 1 parameter", "1 time"),
        ("vi", "1 bước thời gian, 1 phép tính, 1 tham số", "1 lần"),
    ],
)
def test_one_thing_is_no_several(lang: str, summary: str, uses: str, tmp_path: Path) -> None:
    w = mg.tensor(0.5, requires_grad=True, name="w")
    with mg.time_step(0):
        graph = mg.Graph(w * w.data)
    data, _ = held(graph.render(tmp_path / "x.html", lang=lang))
    assert data["tapes"][0]["summary"] == summary
    assert data["tapes"][0]["parameters"][0]["uses"] == uses


def test_every_word_is_there_in_both_languages_and_used() -> None:
    for english, vietnamese in WORDS.values():
        assert english.strip()
        assert vietnamese.strip()
        filled = [set(re.findall(r"{\w+}", text)) for text in (english, vietnamese)]
        assert filled[0] == filled[1]
    render = Path(TEMPLATE).parent
    written = [path.read_text("utf-8") for path in render.iterdir() if path.is_file()]
    code = "\n".join(text for text in written if "WORDS = {" not in text)
    asked = set(re.findall(r'\bsay\("([^"]+)"[,)]', TEMPLATE.read_text("utf-8")))
    assert asked <= words().keys()
    quoted = set(re.findall(r'"([^"\n]*)"', code)) | set(re.findall(r'id: "(\w+)"', code))
    kept = {f"help.{name}" for name in quoted} | quoted
    assert WORDS.keys() <= kept


def test_the_policy_allows_this_script_and_no_network(tmp_path: Path) -> None:
    text = Path(mg.Graph(recurrent("RNN", 3)).render(tmp_path / "x.html")).read_text("utf-8")
    script = text.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)\s*=|https?://(?!www.w3.org)", text.partition('id="data"')[0])


def test_columns_that_look_alike_share_a_template(tmp_path: Path) -> None:
    data, numbers = held(mg.Graph(recurrent("LSTM", 30)).render(tmp_path / "x.html"))
    for view in data["books"][0]["views"].values():
        assert len(view["columns"]) >= 30
        assert len(view["templates"]) <= 5
    widths = [
        template["count"] * template["width"]
        for view in data["books"][0]["views"].values()
        for template in view["templates"]
    ]
    assert sum(widths) == len(numbers)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_link_ends_at_boxes_that_are_there(tmp_path: Path, name: str) -> None:
    data, _ = held(mg.Graph(NETWORKS[name](4)).render(tmp_path / "x.html"))
    for view in data["books"][0]["views"].values():
        templates = view["templates"]
        columns = [templates[column[0]] for column in view["columns"] if not column[5]]
        whole = [templates[column[0]] for column in view["columns"] if column[5]]
        for k, template in [*enumerate(columns), *((0, one) for one in whole)]:
            for away, slot in (
                end for link in template["links"] for end in (link["source"], link["target"])
            ):
                owner = whole[0] if away == "g" else columns[k + away]
                assert away == "g" or k + away >= 0
                assert slot < len(owner["boxes"])


@pytest.mark.parametrize("name", NETWORKS)
def test_what_no_operation_makes_is_called_as_its_box(tmp_path: Path, name: str) -> None:
    """An initial state is no h₀, which the first step makes."""
    data, _ = held(mg.Graph(NETWORKS[name](3)).render(tmp_path / "x.html"))
    book = data["books"][0]
    templates = [one for view in book["views"].values() for one in view["templates"]]
    told = 0
    for box in (box for one in templates for box in one["boxes"]):
        label = box["label"].replace("\x01init\x01", "_init").replace("\x01", "_")
        if not box["stop"] and box["info"] >= 0 and label[0].isalpha():
            info = book["infos"][box["info"]]
            assert label == info["name"] + ("\0" if "\0" in label else "")
            told += 1
    assert told


@pytest.mark.parametrize(("steps", "limit"), [(5, 80_000), (50, 250_000)])
def test_a_page_is_small(tmp_path: Path, steps: int, limit: int) -> None:
    path = Path(mg.Graph(recurrent("LSTM", steps)).render(tmp_path / "x.html"))
    assert path.stat().st_size <= limit


def test_the_same_program_gives_the_same_page(tmp_path: Path) -> None:
    pages = [
        Path(mg.Graph(recurrent("GRU", 4)).render(tmp_path / f"{k}.html")).read_bytes()
        for k in range(2)
    ]
    assert pages[0] == pages[1]


def test_gradients_may_stand_beside_a_loss(tmp_path: Path) -> None:
    w, h = mg.tensor(np.ones((2, 2)), requires_grad=True, name="w"), mg.tensor(np.ones((1, 2)))
    for t in range(3):
        with mg.time_step(t):
            h = np.tanh(h @ w)
    loss = h.sum()
    (dw,) = mg.grad(loss, [w], create_graph=True)
    data, _ = held(mg.Graph(loss, dw).render(tmp_path / "x.html"))
    assert data["tapes"][0]["backward"]
    assert data["tapes"][0]["series"][0]["peak"] is not None


def test_drawing_a_page_leaves_gradients_alone(tmp_path: Path) -> None:
    w = mg.tensor(0.5, requires_grad=True, name="w")
    mg.Graph(w * w).render(tmp_path / "x.html")
    assert w.grad is None


@pytest.mark.parametrize("option", [{"fit": "slide"}, {"per_row": 3}, {"time": "rolled"}])
def test_options_of_pictures_are_refused(tmp_path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        mg.Graph(recurrent("RNN", 3)).render(tmp_path / "x.html", **option)
    assert list(tmp_path.iterdir()) == []


def said(data: dict[str, Any]) -> list[str]:
    """All that the pictures and notes of a page say."""
    templates = [one for view in data["books"][0]["views"].values() for one in view["templates"]]
    texts = [box["label"] for one in templates for box in one["boxes"]]
    texts += [frame["text"] for one in templates for frame in one["frames"]]
    return texts + data["tapes"][0]["notes"]


@pytest.mark.parametrize("around", ["en", "vi"])
@pytest.mark.parametrize("name", ["masked", "attention", "embedded", "by hand"])
def test_a_page_speaks_one_language_whatever_the_environment_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, around: str
) -> None:
    monkeypatch.setenv("MINIGRAD_LANG", around)
    graph = mg.Graph(NETWORKS[name](3))
    foreign = {
        "vi": r"\b(of|rows|weights|steps|operations?|folded|loss)\b",
        "en": "[ạảấầậắặểệịọồộớợụưừứử]",
    }
    for lang, others in foreign.items():
        data, _ = held(graph.render(tmp_path / "x.html", lang=lang))  # type: ignore[arg-type]
        assert [text for text in said(data) if re.search(others, text)] == []
        with using(lang):  # type: ignore[arg-type]
            assert data["words"] == words()


def test_a_picture_has_no_language(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lang"):
        mg.Graph(recurrent("RNN", 3)).render(tmp_path / "x.svg", lang="vi")


def test_a_notebook_shows_it_in_a_frame() -> None:
    shown = mg.Graph(recurrent("RNN", 3)).page(title="<b>")._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts"')
    assert "<script" not in shown


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import minigrad as mg\n"
        "w, h = mg.tensor(0.5, requires_grad=True, name='w'), mg.tensor(1.0)\n"
        "for t in range(3):\n"
        "    with mg.time_step(t): h = w * h\n"
        "h.backward()\n"
    )
    path = tmp_path / "x.html"
    assert command.main([str(script), "-o", str(path), "--lang", "vi"]) == 0
    assert held(str(path))[0]["words"]["play"] == "▶ chạy"
    assert str(path) in capsys.readouterr().out


def test_it_opens_at_a_highlighted_node(tmp_path: Path) -> None:
    graph = mg.Graph(recurrent("RNN", 6))
    path = graph.render(tmp_path / "x.html", highlight=graph.find(name="h", t=3), steps="2:5")
    marked = held(path)[0]["tapes"][0]["at"]
    assert marked is not None
    earlier = held(graph.render(tmp_path / "y.html", steps="0:2"))[0]["tapes"][0]["at"]
    assert 0 < earlier < marked
    assert held(graph.render(tmp_path / "z.html"))[0]["tapes"][0]["at"] is None
    with pytest.raises(ValueError, match="highlight"):
        graph.render(tmp_path / "x.html", highlight=mg.tensor(1.0))


def power(w: float, steps: int = 3) -> mg.Graph:
    """h = w h, so many times."""
    weight, h = mg.tensor(w, requires_grad=True, name="w"), mg.tensor(0.9)
    for t in range(steps):
        with mg.time_step(t):
            h = weight * h
    return mg.Graph(h)


def test_settings_share_what_is_alike_and_hold_a_graph_once(tmp_path: Path) -> None:
    cached = functools.cache(power)
    sweep = mg.compare(lambda w, other: {"power": cached(w)}, w=[0.5, 1, 2], other=["a", "b"])
    data, _ = held(sweep.render(tmp_path / "x.html"))
    assert len(data["books"]) == 1
    assert len(data["tapes"]) == 3
    assert [one[0][1] for one in data["settings"]] == [0, 0, 1, 1, 2, 2]
    assert [knob["name"] for knob in data["knobs"]] == ["w", "other"]
    assert [knob["values"] for knob in data["knobs"]] == [["0.5", "1", "2"], ["a", "b"]]


def test_a_page_of_settings_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="21 × 21 values are 441 settings"):
        mg.compare(power, w=range(21), steps=range(21))
    long = mg.compare(lambda k: power(0.5, 130_000), k=[1, 2])
    with pytest.raises(ValueError, match="260000 operations"):
        long.render(tmp_path / "x.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "grid", "message"),
    [
        (power, {}, "needs the values"),
        (power, {"w": []}, "w= takes the values"),
        (power, {"w": "0.5"}, "w= takes the values"),
        (lambda w: w, {"w": [0.5]}, "must give an mg.Graph"),
        (lambda w: {}, {"w": [0.5]}, "must give an mg.Graph"),
        (lambda w: {str(w): power(w)}, {"w": [0.5, 1]}, "same titles"),
    ],
)
def test_what_is_no_grid_is_refused(make: Any, grid: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mg.compare(make, **grid)


def test_sliders_are_on_pages_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sliders are on a page"):
        mg.compare(power, w=[0.5]).render(tmp_path / "x.svg")
    with pytest.raises(TypeError, match="w= takes a function"):
        mg.compare({"a": power(0.5)}, w=[0.5])  # type: ignore[call-overload]
    assert "iframe" in mg.compare(power, w=[0.5]).page()._repr_html_()
