"""The words of the page one plays, in English and in Vietnamese."""

from __future__ import annotations

from typing import Literal

from minigrad import naming
from minigrad.language import language

LANGUAGES = ("en", "vi")

# key of a word: English, Vietnamese; {a} is filled in when it is shown
WORDS = {
    # views and phases
    "ops": ("operations", "phép tính"),
    "affine": ("affine", "affine"),
    "blocks": ("blocks", "khối"),
    "cells": ("cells", "ô"),
    "f": ("forward", "lan truyền xuôi"),
    "b": ("backward", "lan truyền ngược"),
    # buttons
    "play": ("▶ play", "▶ chạy"),
    "pause": ("❚❚ pause", "❚❚ dừng"),
    "on": ("t−1 »", "t−1 »"),
    "undo": ("« t+1", "« t+1"),
    "forth": ("t+1 »", "t+1 »"),
    "unforth": ("« t−1", "« t−1"),
    "predict": ("predict", "dự đoán"),
    "lecture": ("lecture", "trình chiếu"),
    "speed": ("speed", "tốc độ"),
    "go": ("go on", "tiếp tục"),
    # what keys and buttons do
    "help.first": ("to the beginning", "về đầu"),
    "help.last": ("to the end", "đến cuối"),
    "help.back": ("one node back", "lùi một nút"),
    "help.next": ("one node on", "tiến một nút"),
    "help.back_step": ("one time step back", "lùi một bước thời gian"),
    "help.next_step": ("one time step on", "tiến một bước thời gian"),
    "help.play": ("play, pause", "chạy, dừng"),
    "help.predict": ("predict, then reveal", "dự đoán rồi xem"),
    "help.lecture": ("lecture: full screen", "trình chiếu toàn màn hình"),
    "help.help": ("keys", "phím tắt"),
    "help.phase": ("forward or backward", "xuôi hay ngược"),
    "help.view": (
        "operations, blocks or cells (or double-click a box)",
        "phép tính, khối hay ô (hoặc bấm đúp)",
    ),
    "help.zoom": (
        "closer, farther (or turn the wheel; drag to look around)",
        "phóng to, thu nhỏ (hoặc lăn bánh xe; kéo để di chuyển)",
    ),
    "help.whole": ("fit", "vừa khung"),
    "help.around": ("look at another node of the step", "xem nút khác của bước này"),
    "help.leave": ("back to the active node", "về nút đang xét"),
    "help.why": (
        "the mean factor of each operation, on the strongest way from one step to the one before",
        "hệ số trung bình của mỗi phép tính, trên đường mạnh nhất từ một bước về bước trước",
    ),
    # the panel
    "value": ("value", "giá trị"),
    "gradient": ("gradient", "gradient"),
    "parameters": ("Parameters", "Tham số"),
    "share": ("share", "phần đóng góp"),
    "used": ("used {n}", "dùng {n}"),  # times
    "hands": ("Hands on to", "Truyền tiếp cho"),
    "receives": ("Receives from", "Nhận từ"),
    "inputs": ("Made from", "Tính từ"),
    "rule": ("Gradient rule", "Quy tắc đạo hàm"),
    "program": ("The program", "Chương trình"),
    "unreached": ("the pass has not come here yet", "lan truyền chưa tới đây"),
    "none": ("no gradient flows here", "không có gradient đi qua"),
    "zero": ("exactly zero", "đúng bằng không"),
    "more": ("… and {n} more", "… và {n} mục nữa"),
    "mean": ("mean", "trung bình"),
    "range": ("range", "khoảng"),
    "beyond": ("beyond what the page holds", "vượt quá phạm vi của trang"),
    "start": ("the pass begins here, with ∂L/∂L = 1", "bắt đầu từ đây, với ∂L/∂L = 1"),
    # the status and the strip
    "at": ("{phase} · {when} · node {k} of {all}", "{phase} · {when} · nút {k} trên {all}"),
    "outside": ("outside of time", "ngoài trục thời gian"),
    "scale": ("gradient norm", "chuẩn của gradient"),
    # predict, then reveal
    "question": (
        "{name} is {norm}. One step earlier, at t = {t}, the gradient is …",
        "{name} là {norm}. Lùi một bước, tại t = {t}, gradient sẽ …",
    ),
    "smaller": ("1  smaller", "1  nhỏ hơn"),
    "same": ("2  about the same", "2  gần như nhau"),
    "larger": ("3  larger", "3  lớn hơn"),
    "right": ("Right", "Đúng"),
    "wrong": ("Not so", "Chưa đúng"),
    "became": (
        "{verdict}: it is {norm}, ×{r}. {a} of {b} right.",
        "{verdict}: nó là {norm}, ×{r}. Đúng {a} trên {b}.",
    ),
    # what a browser says that cannot play it
    "needs": (
        "This page is played with JavaScript, in Firefox 115, Chrome 110, Safari 16.4 or newer.",
        "Trang này chạy bằng JavaScript, trong Firefox 115, Chrome 110, Safari 16.4 hoặc mới hơn.",
    ),
}

Thing = Literal["step", "time", "time step", "operation", "parameter"]
COUNTED: dict[Thing, str] = {
    "step": "bước", "time": "lần", "time step": "bước thời gian", "operation": "phép tính",
    "parameter": "tham số",
}  # fmt: skip


def counted(n: int, what: Thing) -> str:
    """A number of things, in the language in force."""
    return naming.count(n, what) if language() == "en" else f"{n} {COUNTED[what]}"


def words() -> dict[str, str]:
    """All words of a page, in the language in force."""
    number = LANGUAGES.index(language())
    return {key: texts[number] for key, texts in WORDS.items()}
