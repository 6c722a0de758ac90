"""The language of what is printed for people: English, or Vietnamese where the environment asks.

It asks with `MINIGRAD_LANG=vi`, or with a locale like `LANG=vi_VN.UTF-8`.  Names that programs
compare (`.verdict`) stay English.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Language = Literal["en", "vi"]
VARIABLES = ("MINIGRAD_LANG", "LC_ALL", "LC_MESSAGES", "LANG")  # the first one that is set counts
_chosen = ContextVar[Language | None]("language", default=None)


def language() -> Language:
    """The language that a program has chosen with `using`, else that of the environment.

    >>> os.environ["MINIGRAD_LANG"] = "vi"; language()
    'vi'
    >>> os.environ["MINIGRAD_LANG"] = "en"
    """
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    asked = next(filter(None, map(os.environ.get, VARIABLES)), "")
    return "vi" if asked[:2].lower() == "vi" else "en"


@contextmanager
def using(chosen: Language) -> Iterator[None]:
    """Everything in one language, whatever the environment asks for.

    >>> with using("vi"): say("vanishing")
    'biến mất'
    """
    token = _chosen.set(chosen)
    try:
        yield
    finally:
        _chosen.reset(token)


class Catalogue(dict[str, str]):
    """Texts by their English, each with the names of its values in braces; call it with a text.

    A text that it lacks stays English.

    >>> Catalogue({"{n} steps": "{n} bước"})("{n} steps", n=3)
    '3 steps'
    """

    def __call__(self, text: str, /, **values: object) -> str:
        """The text in the language in force, with its values."""
        if language() == "vi":
            text = self.get(text, text)
        return text.format(**values) if values else text  # it may be a name with braces


say = Catalogue(
    {
        # verdicts
        "vanishing": "biến mất",
        "exploding": "nổ",
        "healthy": "khỏe mạnh",
        "cut": "bị cắt",
        "cancels": "tự khử",
        "not finite": "không hữu hạn",
        "unknown": "không rõ",
        # the evidence of a verdict
        "{state}: {verdict}, no gradient arrives": "{state}: {verdict}, không có gradient nào tới",
        "{size:.3g} at t={t}": "{size:.3g} tại t={t}",
        "{state}: {verdict}, what flows to it adds up to rounding errors; {sizes}": (
            "{state}: {verdict}, các phần chảy tới cộng lại chỉ còn sai số làm tròn; {sizes}"
        ),
        "{name} with what each step adds:": "{name} kể cả phần mỗi bước góp:",
        "{state}: {verdict}, ×{ratio:.3g} a step": "{state}: {verdict}, ×{ratio:.3g} mỗi bước",
        "memory more steps than can be told": "nhớ được nhiều bước hơn mức đo được",
        "memory {n:.0f} steps": "nhớ được {n:.0f} bước",
        "mean φ′ {means}": "φ′ trung bình {means}",
        "nothing gets past t={steps}": "không gì đi qua được t={steps}",
        "below the smallest number of its dtype before t={t}": (
            "nhỏ hơn số bé nhất của kiểu số ở các bước trước t={t}"
        ),
        "axis {axis}": "trục {axis}",
        "gradient norm (log scale)": "chuẩn của gradient (thang log)",
        # pictures and pages
        "{n} of {rows} rows": "{n} trong {rows} hàng",
        "{n} weights": "{n} trọng số",
        "{n} operations": "{n} phép tính",
        "{symbol} of {n}": "{symbol} của {n}",
        "{limit} at {n} of {total}": "{limit} ở {n} trên {total}",
        "mask {n} of {total}": "mặt nạ {n} trên {total}",
        "{states} of another step": "{states} của bước khác",
        "a number": "một số",
        "mean": "trung bình",
        "backward": "lan truyền ngược",
        "backward, {step}": "ngược, {step}",
        "any step of {name}": "bước bất kỳ của {name}",
        "{step}, one of {total} steps": "{step}, một trong {total} bước",
        "gradient norm": "chuẩn của gradient",
        "share of this step": "phần đóng góp của bước này",
        "value | gradient": "giá trị | gradient",
        "share of this use": "phần đóng góp của lần dùng này",
        "shares of all parameters of this cell": "phần đóng góp của mọi tham số của ô này",
        # pages
        "shape": "kích thước",
        "made by": "tạo bởi",
        "called from": "gọi từ",
        "scope": "phạm vi",
        "operations": "phép tính",
        "other paths": "các đường khác",
        "×{ratio} a step": "×{ratio} mỗi bước",
        "×{ratio} a step along the recurrence": "×{ratio} mỗi bước dọc theo hồi quy",
        "all nodes, in the order of the pass": "mọi nút, theo thứ tự lan truyền",
        "below a thousandth of its peak from t = {t} back": (
            "dưới một phần nghìn của đỉnh từ t = {t} trở về trước"
        ),
        "never below a thousandth of its peak": "không bao giờ dưới một phần nghìn của đỉnh",
        "no time steps": "không có bước thời gian",
        "there is no operation in this graph": "đồ thị này không có phép tính nào",
        (
            "the output has shape {shapes}: only a number has a backward pass; add .sum() or a loss"
        ): (
            "đầu ra có kích thước {shapes}: chỉ một số mới có lan truyền ngược; hãy thêm .sum()"
            " hoặc một hàm mất mát"
        ),
        "nothing here requires a gradient: there is no backward pass to play": (
            "không có gì ở đây cần gradient: không có lan truyền ngược để chạy"
        ),
        (
            "{operations} operations are more than a page holds: it has the last {kept} of "
            "{steps} steps; mg.Graph(loss).truncate(k) or a shorter run shows others"
        ): (
            "{operations} phép tính nhiều hơn một trang chứa được: trang có {kept} bước cuối "
            "trong {steps} bước; mg.Graph(loss).truncate(k) hoặc chuỗi ngắn hơn cho thấy các "
            "bước khác"
        ),
        # what is written under a picture
        "folded: {names}": "đã gộp: {names}",
        "one step stands for {steps}": "một bước thay cho {steps}",
        "{n} of {axis}": "{n} của {axis}",
        "at {step}: {found}": "ở {step}: {found}",
        "{name} in place of {state}": "{name} thay cho {state}",
        "not drawn: {steps}": "không vẽ: {steps}",
        "{n} of {total} steps of {axis}": "{n} trong {total} bước của {axis}",
        "steps differ, drawn is {steps}": "các bước khác nhau, hình vẽ {steps}",
        "t = {t} of {axis}": "t = {t} của {axis}",
        "not drawn: {n} of {total} highlighted nodes": (
            "không vẽ: {n} trong {total} nút được đánh dấu"
        ),
        "one operation for all steps, drawn step by step: {names}": (
            "một phép tính cho mọi bước, vẽ từng bước: {names}"
        ),
        "not recorded, since it needs no gradient: what makes {names}": (
            "không ghi lại, vì không cần gradient: những gì tạo ra {names}"
        ),
        "{blocks} blocks of {least} to {most} operations": (
            "{blocks} khối, mỗi khối {least} đến {most} phép tính"
        ),
        "{block}: {n} operations": "{block}: {n} phép tính",
        "{block}: {least} to {most} operations": "{block}: {least} đến {most} phép tính",
        "and": "và",
        "drawn with {options}: more does not fit": "vẽ với {options}: nhiều hơn thì không vừa",
        "text of {size:.0f} pixels: no smaller picture of it is known": (
            "chữ cao {size:.0f} điểm ảnh: không biết hình nào nhỏ hơn của nó"
        ),
        "{k} of {total}: {place}": "{k} trong {total}: {place}",
        "outside of time": "ngoài trục thời gian",
        "back to t = {t}": "lùi tới t = {t}",
        # the legend of a picture
        "input": "đầu vào",
        "state": "trạng thái",
        "memory": "bộ nhớ",
        "cell": "ô",
        "output": "đầu ra",
        "product": "tích",
        "operation": "phép tính",
        "nonlinearity": "hàm phi tuyến",
        "other operation": "phép tính khác",
        "loss": "mất mát",
        "loss, output": "mất mát, đầu ra",
        "initial state, constant": "trạng thái đầu, hằng số",
        "parameter": "tham số",
        "earlier step": "bước trước",
        "gradient 0": "gradient bằng 0",
        "no gradient reaches it": "không có gradient nào tới",
        # the tables of reports
        "total": "tổng",
        "crossing": "phần qua bước",
        "ratio": "tỉ số",
        "jacobian": "Jacobi",
        "truncated to {k}": "rút ngắn còn {k}",
        "norm ratio": "tỉ số chuẩn",
        "angle": "góc",
        "all": "tất cả",
        "clipped": "bị cắt",
        "median norm": "chuẩn trung vị",
        "largest": "lớn nhất",
        "smallest factor": "hệ số nhỏ nhất",
        "{n} of {total}": "{n} trên {total}",
        "nothing met a limit: no clipping ran while the report was open": (
            "không có gì chạm giới hạn: không lần cắt nào chạy trong lúc báo cáo mở"
        ),
        # flow in the debugger
        "×{ratio:.3g} a step so far: {verdict}": "×{ratio:.3g} mỗi bước cho tới đây: {verdict}",
        "×{ratio:.3g} a step: {verdict}": "×{ratio:.3g} mỗi bước: {verdict}",
    }
)
