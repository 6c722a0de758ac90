"""A small language for `translation`: sentences in English and in Vietnamese that grow by levels."""

import datetime
import importlib
import re

import numpy as np

from demos import cli
from demos.cli import say

Sentence = list[str]
WHO = {
    "my mother": "mẹ tôi",
    "my father": "bố tôi",
    "my sister": "chị tôi",
    "my grandmother": "bà tôi",
    "the doctor": "bác sĩ",
    "the children": "bọn trẻ",
    "our teacher": "thầy giáo",
    "we": "chúng tôi",
}
DID = {
    "went to the market": "đi chợ",
    "went to school": "đi học",
    "cooked rice": "nấu cơm",
    "read a book": "đọc sách",
    "came home": "về nhà",
    "watched a film": "xem phim",
    "called me": "gọi cho tôi",
    "drank coffee": "uống cà phê",
}
HOURS = [
    *("one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
]
GIỜ = [
    *("một", "hai", "ba", "bốn", "năm", "sáu"),
    *("bảy", "tám", "chín", "mười", "mười một", "mười hai"),
]
LEVELS = 4  # who did what; at what time; on which weekday; two clauses


def weekdays() -> list[tuple[str, str]]:
    """The seven days in English and Vietnamese."""
    try:
        format_date = importlib.import_module("babel.dates").format_date
    except ImportError:
        need = "the weekdays are written by Babel; install it:  pip install -e '.[demos]'"
        raise cli.UsageError(say(need)) from None
    days = [datetime.date(2024, 1, day) for day in range(1, 8)]
    return [tuple(format_date(day, "EEEE", locale=code) for code in ("en", "vi")) for day in days]


def clause(level: int, days: list, rng: np.random.Generator) -> tuple[str, str]:
    """Who did what; from level 1 on at what time, from level 2 on also on which weekday."""
    who, did = list(WHO)[rng.integers(len(WHO))], list(DID)[rng.integers(len(DID))]
    hour, (day, thứ) = rng.integers(len(HOURS)), days[rng.integers(len(days))]
    english, vietnamese = f"{who} {did}", f"{WHO[who]} {DID[did]}"
    if level > 0:
        english, vietnamese = f"{english} at {HOURS[hour]}", f"{vietnamese} lúc {GIỜ[hour]} giờ"
    if level > 1:
        english, vietnamese = f"on {day} {english}", f"{vietnamese} {thứ}"
    return english, vietnamese


def pairs(levels: np.ndarray, days: list, rng: np.random.Generator) -> list[list[Sentence]]:
    """Sentences of these levels: the English ones, and the Vietnamese ones."""
    made = [
        [clause(level, days, rng) for _ in range(2 if level == LEVELS - 1 else 1)]
        for level in levels
    ]
    texts = [[" , ".join(part[k] for part in clauses) for clauses in made] for k in (0, 1)]
    return [[re.findall(r"\w+|,", text) for text in of_language] for of_language in texts]


def facts(words: Sentence) -> list[str]:
    """Of a Vietnamese sentence of one clause: who did what, the hour, the weekday."""
    found = re.fullmatch("(.*) lúc (.*) giờ ?(.*)", " ".join(words))
    return list(found.groups()) if found else [" ".join(words), "", ""]
