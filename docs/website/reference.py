"""The API reference: every public name, as it is at run time, as pages in Markdown.

Most operations are objects that a decorator makes from a function, some from a row of a table, so
a tool that only reads the source does not find them.  Here each object is asked for its signature,
its docstring and its line.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import minigrad
import nn
from minigrad.cached import cached_property

SOURCE = "https://github.com/minigrad-bptt/minigrad/blob/main"
WIDTH = 72  # of a signature on one line

# Page: its title, and which modules define what stands on it; what none of them defines comes last.
PAGES = {
    "minigrad": {
        "tensors": ("Tensors and recording", "tensor operators scope paths timesteps source norms"),
        "graphs": ("Graphs", "public graph edges states"),
        "derivatives": ("Derivatives", "backward functional gradcheck primitive"),
        "edits": ("Edits and clipping", "edits clip"),
        "findings": ("Measures and findings", ""),
        "pictures": ("Pictures", "render"),
        "debugger": ("Debugger", "debugger"),
        "programs": ("Programs", "program"),
        "operations": ("Operations", "ops"),
    },
    "nn": {
        "cells": (
            "Cells and unrolling",
            "cell cells unroll wrappers attention check testing structure padding",
        ),
        "layers": (
            "Layers and modules",
            "recurrent layers linear embedding dropout normalization convolution module parameter",
        ),
        "training": (
            "Training",
            "loss ctc optim schedule init sequence truncated parallel summary",
        ),
        "exchange": ("Weights and other libraries", ""),
    },
}
OTHERS = {"minigrad": "findings", "nn": "exchange"}
PREFIX = {"minigrad": "mg", "nn": "nn"}

EQUATION = re.compile(r"\s*[^\s.:]+ +(=|←) \S")
PARAMETER = re.compile(r"([a-z_]\w*=?(?:, [a-z_]\w*=?)*): ")


class Entry(NamedTuple):
    """A public name: as users write it, and what it stands for."""

    package: str
    name: str
    value: Any

    @property
    def written(self) -> str:
        """The name as it is written in programs."""
        return f"{PREFIX[self.package]}.{self.name}"

    @property
    def anchor(self) -> str:
        """The name by which links find it."""
        return f"{self.package}.{self.name}"

    @property
    def page(self) -> str:
        """The page that it stands on."""
        module = module_of(self.value).partition(".")[2].partition(".")[0]
        for page, (_, modules) in PAGES[self.package].items():
            if module in modules.split():
                return page
        return OTHERS[self.package]


class Raw(str):
    """An annotation that is shown as it is written."""

    __slots__ = ()
    __repr__ = str.__str__


def public_names(package: types.ModuleType) -> list[str]:
    """The names that a package offers."""
    return sorted(getattr(package, "__all__", [x for x in vars(package) if not x.startswith("_")]))


def entries() -> list[Entry]:
    """Every public name that is no module, and the functions of modules such as `nn.init`."""
    found = []
    for package in (minigrad, nn):
        for name in public_names(package):
            value = getattr(package, name)
            if not isinstance(value, types.ModuleType):
                found.append(Entry(package.__name__, name, value))
            elif not hasattr(value, "__path__"):
                found += members_of_module(package.__name__, name, value)
    return found


def members_of_module(package: str, module: str, value: types.ModuleType) -> Iterator[Entry]:
    """The functions and classes that a public module defines."""
    for name, item in vars(value).items():
        if not name.startswith("_") and getattr(item, "__module__", None) == value.__name__:
            yield Entry(package, f"{module}.{name}", item)


def module_of(value: Any) -> str:
    """The module in which something was written."""
    value = inspect.unwrap(value) if callable(value) else value
    return getattr(value, "__module__", None) or type(value).__module__


def signature(value: Any) -> str:
    """The parameters of something that can be called; "" where it has none to show."""
    try:
        plain = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parameters = [
        parameter.replace(annotation=shown(parameter.annotation))
        for parameter in plain.parameters.values()
        if parameter.name != "self"
    ]
    result = inspect.Signature.empty
    if not inspect.isclass(value) and plain.return_annotation not in (None, "None"):
        result = shown(plain.return_annotation)
    text = str(plain.replace(parameters=parameters, return_annotation=result))
    return text.replace(" -> Any", "")


def shown(annotation: Any) -> Any:
    """An annotation as one writes it; none where it says nothing."""
    if annotation in ("Any", Any):
        return inspect.Parameter.empty
    written = getattr(annotation, "__forward_arg__", annotation)
    return Raw(written) if isinstance(written, str) else written


def call(name: str, value: Any) -> str:
    """How something is called, over several lines where one is too short."""
    text = signature(value)
    if len(name) + len(text) <= WIDTH:
        return name + text
    inside, _, after = text[1:].rpartition(")")
    lines = "".join(f"    {part},\n" for part in at_commas(inside))
    return f"{name}(\n{lines}){after}"


def at_commas(text: str) -> list[str]:
    """The parameters of a signature, split at the commas that stand in no bracket and no text."""
    parts = [""]
    depth, quote = 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def markdown(docstring: str) -> str:
    """A docstring as Markdown; examples, equations and indented lines stay as they are."""
    return "\n\n".join(map(block, re.split(r"\n\s*\n", docstring.strip())))


def block(text: str) -> str:
    """One paragraph of a docstring as Markdown."""
    if text.lstrip().startswith(">>>"):
        return f"```pycon\n{inspect.cleandoc(text)}\n```"
    lines = text.split("\n")
    equations = [line for line in lines if EQUATION.match(line)]
    if len(equations) == 1 and len(lines) > 1:  # a sentence that happens to begin like one
        equations = []
    parts: list[tuple[str, list[str]]] = []
    for line in lines:
        kind = kind_of(line, equations)
        if not parts or parts[-1][0] != kind or kind == "item":
            parts.append((kind, []))
        if kind == "text" and len(parts) > 1 and parts[-2][0] == "item":
            parts.pop()  # the line goes on with what was said of the parameter
        parts[-1][1].append(line)
    return "\n\n".join(paragraph(kind, "\n".join(lines)) for kind, lines in parts)


def kind_of(line: str, equations: list[str]) -> str:
    """Whether a line of a docstring is code, begins what is said of a parameter, or is text."""
    if line.startswith(" ") or line in equations:
        return "code"
    return "item" if PARAMETER.match(line) else "text"


def paragraph(kind: str, text: str) -> str:
    """Lines of one kind as Markdown."""
    if kind == "code":
        return f"```text\n{text.rstrip()}\n```"
    found = PARAMETER.match(text)
    if kind == "item" and found:
        return f"- `{found[1]}`: {escaped(text[found.end() :])}"
    return escaped(text)


def escaped(text: str) -> str:
    """A sentence whose asterisks, underscores and angle brackets are letters, outside of `code`."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*_<\[\]])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def linked(text: str, known: dict[str, str]) -> str:
    """Markdown in which `names` of the reference lead to their entries."""

    def link(found: re.Match[str]) -> str:
        if found[1] not in known:
            return found[0]
        return f"[`{found[1]}`]({known[found[1]]})"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = [re.sub(r"(?<!`)`([\w.]+)`(?!`)(?!\])", link, part) for part in parts[::2]]
    return "".join(parts)


def members(value: type) -> Iterator[tuple[str, Any]]:
    """The documented methods and properties of a class that no other public class documents."""
    public = {entry.value for entry in entries() if inspect.isclass(entry.value)}
    seen = set()
    for owner in value.__mro__:
        if owner is not value and (owner in public or not is_own(owner)):
            continue
        for name, item in vars(owner).items():
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            item = getattr(item, "__func__", item)
            if is_documentable(item) and inspect.getdoc(item):
                yield name, item


def is_own(owner: type) -> bool:
    """Whether a class is one of this project."""
    return owner.__module__.partition(".")[0] in PAGES


def is_documentable(item: Any) -> bool:
    """Whether a member of a class is a method or a property."""
    return callable(item) or is_property(item)


def is_property(item: Any) -> bool:
    """Whether a member of a class is read without a call."""
    return isinstance(item, property | cached_property)


def where(value: Any) -> str:
    """A line that leads to the source."""
    function = inspect.unwrap(getattr(value, "forward", value))
    try:
        path = inspect.getsourcefile(function) or ""
        line = inspect.getsourcelines(function)[1]
    except (TypeError, OSError):
        return ""
    _, found, inside = path.replace("\\", "/").rpartition(f"/{module_of(value).split('.')[0]}/")
    if not found:
        return ""
    address = f"{found[1:]}{inside}"
    return f"[{address}]({SOURCE}/{address}#L{line}){{ .where }}\n\n"


def described(entry: Entry) -> str:
    """The section of one public name."""
    value = entry.value
    text = f"## `{entry.written}` {{ #{entry.anchor} }}\n\n"
    if callable(value):
        text += f"```python\n{call(entry.written, value)}\n```\n\n"
    text += f"{markdown(inspect.getdoc(value) or '')}\n\n{where(value)}"
    if inspect.isclass(value):
        for name, item in members(value):
            text += member(entry, name, item)
    return text


def member(entry: Entry, name: str, item: Any) -> str:
    """The section of one method or property."""
    written = f"{entry.name}.{name}"
    text = f"### `{written}` {{ #{entry.anchor}.{name} }}\n\n"
    if not is_property(item):
        text += f"```python\n{call(name, item)}\n```\n\n"
    return text + f"{markdown(inspect.getdoc(item) or '')}\n\n"


def addresses(everything: list[Entry]) -> dict[str, str]:
    """Where each name is described, by the ways in which it is written."""
    found = {}
    for entry in everything:
        address = f"{entry.package}-{entry.page}.md#{entry.anchor}"
        found[entry.written] = address
        if inspect.isclass(entry.value):
            found[entry.name] = address
            for name, _ in members(entry.value):
                found[f"{entry.name}.{name}"] = f"{address}.{name}"
    return found


def pages() -> dict[str, str]:
    """The text of each page of the reference, by file name."""
    everything = entries()
    known = addresses(everything)
    written = {"index.md": overview(everything, known)}
    for package, titles in PAGES.items():
        for page, (title, _) in titles.items():
            here = [e for e in everything if (e.package, e.page) == (package, page)]
            if here:
                body = "".join(map(described, here))
                name = f"{package}-{page}.md"
                written[name] = linked(f"# {title}\n\n{body}", known)
    return written


def overview(everything: list[Entry], known: dict[str, str]) -> str:
    """The first page: all names with the first sentence about each."""
    text = "# Reference\n\n`import minigrad as mg` and `import nn`: every public name.\n"
    for package, titles in PAGES.items():
        for page, (title, _) in titles.items():
            rows = [
                f"| [`{e.written}`]({known[e.written]}) | {summary(e.value)} |\n"
                for e in everything
                if (e.package, e.page) == (package, page)
            ]
            if rows:
                heading = f"\n## {title} ({PREFIX[package]})\n\n| name | |\n|---|---|\n"
                text += heading + "".join(rows)
    return text


def summary(value: Any) -> str:
    """The first line of a docstring, for a table."""
    first = (inspect.getdoc(value) or "").partition("\n")[0]
    return escaped(first).replace("|", "\\|")
