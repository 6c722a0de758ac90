"""The page that says where each line of a first course is: everything that it names exists."""

from __future__ import annotations

import argparse
import importlib.util
import re
from operator import attrgetter
from pathlib import Path

import pytest

import demos
import minigrad as mg
import nn
from demos.vanishing_and_exploding import untrained

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = [DOCS / "lesson.md", DOCS / "vi" / "lesson.md"]
OWNERS = {"nn": nn, "mg": mg, "graph": mg.Graph}
TOLD = [
    *("mạng nơ-ron", "hàm kích hoạt", "lan truyền ngược", "dữ liệu tuần tự", "trải theo thời gian"),
    *("giá cổ phiếu", "dịch máy", "phân tích cảm xúc", "nhận dạng giọng nói", "chatbot"),
    *("xử lý ngôn ngữ tự nhiên", "cổng quên", "cổng đầu vào", "cổng đầu ra", "trung tính"),
    *("cuộn giấy dài", "sổ ghi chép thông minh", "hai phần", "trang trước và trang sau"),
    *("nhiều lần", "cốc nối tiếp", "hệ thống van thông minh", "giới hạn lượng nước"),
    *("biến mất gradient", "nổ gradient", "phụ thuộc dài hạn", "cắt gradient", "lưu đồ"),
    *("cập nhật trọng số", "phân loại", "cảm biến", "những từ đầu tiên", "chọn đúng loại RNN"),
    *("1 × h", "T = 500", "tích cực", "BPTT"),
    *("h⁽ˡ⁾ = σ(W⁽ˡ⁾ h⁽ˡ⁻¹⁾ + b⁽ˡ⁾)", "y_t = f(x_1, …, x_t)", "Hôm nay trời rất ___"),
    *("H_t = φ(X_t W_xh + H_{t−1} W_hh + b_h)", "O_t = H_t W_hq + b_q", "x_1 … x_T"),
]


@pytest.fixture(params=PAGES, ids=["en", "vi"])
def page(request: pytest.FixtureRequest) -> str:
    return request.param.read_text(encoding="utf-8")


def test_all_that_the_course_tells_is_in_the_list(page: str) -> None:
    assert [term for term in TOLD if term.lower() not in page.lower()] == []


def test_every_row_says_where(page: str) -> None:
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) > 40
    told = re.compile(r"`|\]\(|\"RNN|two classes|left out|hai lớp|bỏ qua|below|bên dưới|ở đây|here")
    assert [row for row, where in rows if not told.search(where)] == []


def test_what_is_named_exists(page: str) -> None:
    for name in re.findall(r"python -m demos\.(\w+)", page):
        assert name in demos.NAMES
    for name in re.findall(r"python -m (tests\.\w+)", page):
        assert importlib.util.find_spec(name)
    names = re.findall(r"`((?:nn|mg|graph)\.\w+)`", page)
    assert len(names) > 10
    for name in names:
        owner, _, attribute = name.partition(".")
        assert attrgetter(attribute)(OWNERS[owner])


def test_each_strip_that_is_named_is_drawn(page: str) -> None:
    strips = {
        name for name in re.findall(r'"([^"]+)"', page) if name.startswith(("RNN ", "LSTM", "GRU"))
    }
    assert strips >= {"RNN 0.5", "RNN 1", "RNN 3", "LSTM", "GRU", "RNN 3, norm ≤ 1"}
    drawn = untrained(argparse.Namespace(gain=None, cell=None, seed=0, scale=1.0), 2)
    assert strips <= set(drawn)


def test_every_demo_is_in_the_list(page: str) -> None:
    missing = [name for name in demos.NAMES if f"demos.{name}" not in page]
    assert missing == ["custom_cells"]  # papers that a first course does not tell of
