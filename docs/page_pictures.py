"""Photographs the page that one plays: stills for the documentation, a film for the README.

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
from demos import vanishing_and_exploding  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"
SIZE = {"width": 1080, "height": 620}
LARGE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}
STEPS = 12
FRAMES = 22


def lesson(path: Path) -> str:
    """The page that is photographed: a vanilla RNN with its loss at the end."""
    mg.seed(0)
    ys, _ = nn.RNN(2, 8)(np.random.default_rng(0).standard_normal((STEPS, 1, 2)))
    graph = mg.Graph((ys[-1] ** 2).mean())
    return graph.render(path, title="Why the RNN forgets")


def opened(browser: Any, path: str, size: dict[str, int], at: str = "") -> Any:
    """A page in a window of a size."""
    tab = browser.new_page(viewport=size)
    tab.goto(Path(path).absolute().as_uri() + at)
    tab.wait_for_selector("body[data-ready]")
    tab.wait_for_timeout(400)
    return tab


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
        page = lesson(Path(folder) / "lesson.html")
        shots = film(opened(browser, page, SIZE))
        grid = vanishing_and_exploding.sliders(30, 0).render(Path(folder) / "sliders.html")
        setting = "#at=26&gain=1.5&input_scale=1&forget_bias=2"
        stills = {
            "page-sliders": opened(browser, grid, LARGE, setting).screenshot(),
            "page-phone": opened(browser, page, PHONE, "#at=9").screenshot(),
        }
        browser.close()
    stills["page"] = shots[-1]
    for name, shot in stills.items():
        picture = Image.open(io.BytesIO(shot)).convert("RGB")
        picture.quantize(128).save(FOLDER / f"{name}.png", optimize=True)
        print(FOLDER / f"{name}.png")
    pictures = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    palette = pictures[-1].quantize(40)
    small = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    small[0].save(
        FOLDER / "page.gif",
        save_all=True,
        append_images=small[1:],
        duration=[500] * (FRAMES - 1) + [2500],
        loop=0,
        optimize=True,
    )
    print(FOLDER / "page.gif")


if __name__ == "__main__":
    main()
