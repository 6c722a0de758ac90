"""Check a built site without a network: links lead somewhere, nothing is loaded from elsewhere."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a page points at, what it loads, and the places in it that others can point at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        given = {name: value or "" for name, value in attributes}
        self.places.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if given.get(LOADED.get(tag, ""), ""):
            self.loaded.append(given[LOADED[tag]])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(given["href"])


def is_elsewhere(address: str) -> bool:
    """Whether an address is on another machine."""
    split = urlsplit(address)
    return bool(split.netloc) or split.scheme not in ("", "file")


def problems(site: Path) -> list[str]:
    """What is wrong with the links of a site, one line each."""
    read = {file.resolve(): Page(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")}
    wrong = []
    for file, page in read.items():
        name = file.relative_to(site.resolve()).as_posix()
        elsewhere = filter(is_elsewhere, page.loaded)
        wrong += [f"{name} loads {address} from elsewhere" for address in elsewhere]
        for address in page.links + page.loaded:
            if not is_elsewhere(address) and not leads_somewhere(file, address, read):
                wrong.append(f"{name} points at {address}, which is not there")
    return sorted(set(wrong))


def leads_somewhere(file: Path, address: str, read: dict[Path, Page]) -> bool:
    """Whether the file and the place in it that an address names are there."""
    split = urlsplit(address)
    target = (file.parent / unquote(split.path)).resolve() if split.path else file
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return False
    place = unquote(split.fragment)
    if not place or target not in read or place.startswith("__"):  # the theme's own
        return True
    return place in read[target].places
