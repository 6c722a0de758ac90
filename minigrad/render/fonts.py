"""A font for machines that have none, where PNG and PDF would show empty boxes.  Imports nothing of
minigrad."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.fonts",
    "~/.local/share/fonts",
    "/usr/share/texmf/fonts",
)


@lru_cache(maxsize=1)
def environment() -> dict[str, str]:
    """What to add to the environment of Graphviz: nothing where there are fonts, else those that
    matplotlib ships."""
    if (
        not sys.platform.startswith("linux")
        or "FONTCONFIG_FILE" in os.environ
        or any(map(_has_font, FOLDERS))
    ):
        return {}
    found = importlib.util.find_spec("matplotlib")
    fonts = Path(found.origin).parent / "mpl-data/fonts/ttf" if found and found.origin else None
    if fonts is None or not fonts.is_dir():
        warnings.warn(
            "no font on this machine: text in PNG and PDF will be empty boxes (not in SVG); "
            "install fonts, or matplotlib, which ships some",
            stacklevel=2,
        )
        return {}
    folder = tempfile.mkdtemp(prefix="minigrad-fonts-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    config = Path(folder) / "fonts.conf"
    config.write_text(f"<fontconfig><dir>{fonts}</dir><cachedir>{folder}</cachedir></fontconfig>")
    return {"FONTCONFIG_FILE": str(config)}


def _has_font(folder: str) -> bool:
    path = Path(folder).expanduser()
    return any(next(path.rglob(f"*.{kind}"), None) for kind in ("ttf", "otf", "ttc", "pfb"))
