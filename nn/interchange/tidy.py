"""What is written, without copies and without operators that nobody uses."""

from __future__ import annotations

from collections.abc import Iterator

from nn.interchange.writing import Block, Step


def tidy(main: Block) -> set[str]:
    """Take away copies and unused operators, in the bodies of loops too; the names still in use."""
    blocks = list(all_blocks(main))
    names: dict[str, str] = {}
    for block in blocks:
        if block is not main:
            name_outputs(block)
        without_copies(block, names)
    for block in blocks:
        block.steps = [renamed(step, names) for step in block.steps]
    while without_unused(blocks):
        pass
    return used(blocks)


def all_blocks(main: Block) -> Iterator[Block]:
    """A block, and the bodies of all loops in it, from the outside in."""
    waiting = [main]
    while waiting:
        block = waiting.pop()
        yield block
        waiting += [step.attributes["body"] for step in block.steps if "body" in step.attributes]


def name_outputs(body: Block) -> None:
    """Call the outputs of a body what their originals are called; outside, nobody sees them."""
    made = {name for step in body.steps if step.op != "Identity" for name in step.outputs}
    originals = {step.outputs[0]: step.inputs[0] for step in body.steps if step.op == "Identity"}
    for k, port in enumerate(body.outputs):
        original = originals.get(port.name, "")
        if original in made and original not in {other.name for other in body.outputs}:
            body.outputs[k] = port._replace(name=original)


def without_copies(block: Block, names: dict[str, str]) -> None:
    """Drop `Identity`; note in `names` what is called otherwise from then on.

    A copy gets the name of its original.  An output of the block gives its name to its original, if
    that is made in this block and is no output already.
    """
    made = {name for step in block.steps for name in step.outputs}
    outputs = {port.name for port in block.outputs}
    kept = []
    for step in block.steps:
        if step.op != "Identity":
            kept.append(step)
            continue
        (copy,), original = step.outputs, final(step.inputs[0], names)
        if copy not in outputs:
            names[copy] = original
        elif original in made and original not in outputs:
            names[original] = copy
        else:
            kept.append(step)
    block.steps = kept


def final(name: str, names: dict[str, str]) -> str:
    """The name that a value ends up with."""
    while name in names:
        name = names[name]
    return name


def renamed(step: Step, names: dict[str, str]) -> Step:
    """The operator with the final names of its inputs and outputs."""
    inputs = tuple(final(name, names) for name in step.inputs)
    return step._replace(inputs=inputs, outputs=tuple(final(name, names) for name in step.outputs))


def used(blocks: list[Block]) -> set[str]:
    """The names that some operator, or the outside, takes."""
    taken = {name for block in blocks for step in block.steps for name in step.inputs}
    return taken | {port.name for block in blocks for port in block.outputs}


def without_unused(blocks: list[Block]) -> bool:
    """Drop the operators whose outputs nobody takes; whether there were any."""
    taken, before = used(blocks), sum(len(block.steps) for block in blocks)
    for block in blocks:
        block.steps = [step for step in block.steps if taken & set(step.outputs)]
    return sum(len(block.steps) for block in blocks) < before
