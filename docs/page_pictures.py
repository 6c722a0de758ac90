"""Photographs the page that one plays: a still for the documentation, a film for the README.

Both need a Chromium, Playwright and Pillow; where one is missing the pictures stay as they are.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import minigrad as mg  # noqa: E402
import nn  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"
SIZE = {"width": 1080, "height": 620}
STEPS = 12
FRAMES = 22


def lesson(path: Path) -> str:
    """The page that is photographed: a vanilla RNN with its loss at the end."""
    mg.seed(0)
    ys, _ = nn.RNN(2, 8)(np.random.default_rng(0).standard_normal((STEPS, 1, 2)))
    graph = mg.Graph((ys[-1] ** 2).mean())
    return graph.render(path, title="Why the RNN forgets")


def film(tab: Any) -> list[bytes]:
    """One photograph for each second stop of the backward pass."""
    shots = []
    for _ in range(FRAMES):
        shots.append(tab.screenshot())
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("ArrowRight")
        tab.wait_for_timeout(300)
    return shots


def main() -> None:
    """Photograph, and print each path."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from PIL import Image
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        print(f"the page is not photographed: {error}")
        return
    if program is None:
        print("the page is not photographed: there is no Chromium")
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page(viewport=SIZE)
        tab.goto(Path(lesson(Path(folder) / "lesson.html")).as_uri())
        tab.wait_for_selector("body[data-ready]")
        shots = film(tab)
        browser.close()
    pictures = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    palette = pictures[-1].quantize(40)
    small = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    pictures[-1].quantize(128).save(FOLDER / "page.png", optimize=True)
    small[0].save(
        FOLDER / "page.gif",
        save_all=True,
        append_images=small[1:],
        duration=[500] * (FRAMES - 1) + [2500],
        loop=0,
        optimize=True,
    )
    print(FOLDER / "page.png", FOLDER / "page.gif", sep="\n")


if __name__ == "__main__":
    main()
