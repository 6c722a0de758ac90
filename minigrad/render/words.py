"""The words of the page one plays, in English and in Vietnamese."""

from __future__ import annotations

from typing import Literal

from minigrad import naming
from minigrad.language import language, say

LANGUAGES = ("en", "vi")

VERDICTS = ("vanishing", "exploding", "healthy", "cut", "cancels", "not finite", "unknown")

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
    "shape": ("shape", "kích thước"),
    "made": ("made by", "tạo bởi"),
    "from": ("called from", "gọi từ"),
    "scope": ("scope", "phạm vi"),
    "operations": ("operations", "phép tính"),
    "parameters": ("Parameters", "Tham số"),
    "share": ("share", "phần đóng góp"),
    "used": ("used {n} times", "dùng {n} lần"),
    "hands": ("Hands on to", "Truyền tiếp cho"),
    "receives": ("Receives from", "Nhận từ"),
    "inputs": ("Made from", "Tính từ"),
    "rule": ("Gradient rule", "Quy tắc đạo hàm"),
    "program": ("The program", "Chương trình"),
    "unreached": ("the pass has not come here yet", "lan truyền chưa tới đây"),
    "none": ("no gradient flows here", "không có gradient đi qua"),
    "zero": ("exactly zero", "đúng bằng không"),
    "number": ("a number", "một số"),
    "more": ("… and {n} more", "… và {n} mục nữa"),
    "mean": ("mean", "trung bình"),
    "range": ("range", "khoảng"),
    "beyond": ("beyond what the page holds", "vượt quá phạm vi của trang"),
    "start": ("the pass begins here, with ∂L/∂L = 1", "bắt đầu từ đây, với ∂L/∂L = 1"),
    # why a gradient changes from step to step
    "others": ("other paths", "các đường khác"),
    "each": ("×{r} a step", "×{r} mỗi bước"),
    # the status and the strip
    "at": ("{phase} · {when} · node {k} of {all}", "{phase} · {when} · nút {k} trên {all}"),
    "outside": ("outside of time", "ngoài trục thời gian"),
    "nodes": ("all nodes, in the order of the pass", "mọi nút, theo thứ tự lan truyền"),
    "scale": ("gradient norm", "chuẩn của gradient"),
    "below": (
        "below a thousandth of its peak from t = {t} back",
        "dưới một phần nghìn của đỉnh từ t = {t} trở về trước",
    ),
    "never": (
        "never below a thousandth of its peak",
        "không bao giờ dưới một phần nghìn của đỉnh",
    ),
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
    # what the page says of the graph as a whole
    "summary": (
        "{steps} time steps, {operations} operations, {parameters} parameters",
        "{steps} bước thời gian, {operations} phép tính, {parameters} tham số",
    ),
    "summary.untimed": (
        "{operations} operations, {parameters} parameters, no time steps",
        "{operations} phép tính, {parameters} tham số, không có bước thời gian",
    ),
    "no operation": (
        "there is no operation in this graph",
        "đồ thị này không có phép tính nào",
    ),
    "no scalar": (
        "the output has shape {shapes}: only a number has a backward pass; add .sum() or a loss",
        "đầu ra có kích thước {shapes}: chỉ một số mới có lan truyền ngược; hãy thêm .sum() hoặc một hàm mất mát",
    ),
    "no gradient": (
        "nothing here requires a gradient: there is no backward pass to play",
        "không có gì ở đây cần gradient: không có lan truyền ngược để chạy",
    ),
    "too long": (
        "{operations} operations are more than a page holds: it has the last {kept} of {steps} "
        "steps; mg.Graph(loss).truncate(k) or a shorter run shows others",
        "{operations} phép tính nhiều hơn một trang chứa được: trang có {kept} bước cuối trong "
        "{steps} bước; mg.Graph(loss).truncate(k) hoặc chuỗi ngắn hơn cho thấy các bước khác",
    ),
}

COUNTED = {"step": "bước", "time": "lần"}


def counted(n: int, what: Literal["step", "time"]) -> str:
    """A number of steps or times, in the language in force."""
    return naming.count(n, what) if language() == "en" else f"{n} {COUNTED[what]}"


def words() -> dict[str, str]:
    """All words of a page, in the language in force."""
    number = LANGUAGES.index(language())
    found = {key: texts[number] for key, texts in WORDS.items()}
    return found | {name: say(name) for name in VERDICTS}
