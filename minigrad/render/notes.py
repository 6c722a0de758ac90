"""What a picture folds, merges or leaves out, in words; they are written under it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from minigrad.language import say
from minigrad.render.nodes import op_name
from minigrad.render.picture import Box, Picture, Row
from minigrad.render.read import Reading

SEVERAL = 4  # blocks more than these are counted together


def notes_of(picture: Picture, reading: Reading, unrecorded: Iterable[str]) -> Iterable[str]:
    """All notes of a picture; unrecorded: the names of arrays that operations without gradient
    made."""
    if picture.rolled:
        yield from _stands_for({tile.row for tile in picture.tiles if tile.row.timed})
    yield from merged(picture.boxes)
    stepwise = dict.fromkeys(value.op for value in reading.drawn if value.part is not None)
    if stepwise:
        names = ", ".join(stepwise)
        yield say("one operation for all steps, drawn step by step: {names}", names=names)
    used = {value.node for value in reading.values if value.uses}
    unused = [value.node for value in reading.values if value.op and value.node not in used]
    nodes = sorted([*reading.folded, *unused], key=lambda node: node.serial)
    folded = Counter(op_name(node) for node in dict.fromkeys(nodes))
    if folded:
        names = ", ".join(f"{n} {op}" for op, n in folded.items())
        yield say("folded: {names}", names=names)
    if made := ", ".join(unrecorded):
        yield say("not recorded, since it needs no gradient: what makes {names}", names=made)


def _stands_for(rows: Iterable[Row]) -> Iterable[str]:
    """For how many steps the one that is drawn stands, on each axis where these are not the same."""
    timed = [row for row in rows if row.axes and row.total > 1]
    axes = sorted({(len(row.axes), row.axes[-1], row.total) for row in timed})
    several = len({total for *_, total in axes}) > 1
    counts = [str(total) for *_, total in axes[:1]]
    if several:
        counts = [say("{n} of {axis}", n=total, axis=axis) for _, axis, total in axes]
    if counts:
        yield say("one step stands for {steps}", steps=", ".join(counts))


def merged(boxes: Iterable[Box]) -> Iterable[str]:
    """How many operations the blocks and cells stand for."""
    found = defaultdict[str, dict[str, list[int]]](lambda: defaultdict(list))
    for box in boxes:
        if box.kind == "cell":
            found[box.label.split("\n")[0]][box.tile.row.name].append(len(box.parts))
    spans = {
        title: {name: (min(counts), max(counts)) for name, counts in rows.items()}
        for title, rows in found.items()
        if max(map(max, rows.values())) > 1
    }
    if len(spans) > SEVERAL:
        ends = [span for rows in spans.values() for span in rows.values()]
        yield say(
            "{blocks} blocks of {least} to {most} operations",
            blocks=len(spans), least=min(ends)[0], most=max(most for _, most in ends),
        )  # fmt: skip
        return
    for title, rows in spans.items():
        if len({*rows.values()}) == 1:
            rows = {"": max(rows.values())}
        for name, (least, most) in rows.items():
            block = f"{title} {name}".strip()
            if least == most:
                yield say("{block}: {n} operations", block=block, n=most)
            else:
                yield say(
                    "{block}: {least} to {most} operations", block=block, least=least, most=most
                )
