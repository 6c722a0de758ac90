"""Saving and loading whole training states.

Files hold arrays and nothing else, so that a stranger's file cannot run code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import minigrad as mg
from nn import files
from nn.files import Array, Header

EXTRA = "@"  # the names of what is not in the target begin with it
MAX_GENERATOR = 100_000  # bytes; the largest state of NumPy's generators has 6000


def save(target: Any, path: str | os.PathLike[str], **extra: Any) -> None:
    """Write a module, or a dict of modules, optimisers, schedules and NumPy generators, to a file.

    path: ends in `.npz` or `.safetensors`.  The file is written beside its place and then moved
    there; a link is followed, and the mode of an old file is kept.
    extra: numbers or arrays to keep with it; `load` returns them.
    Raises OSError if the path cannot be written, TypeError for what is not made of numbers, and
    ValueError for names that could not be loaded again.

    >>> import minigrad as mg, nn, tempfile
    >>> net = nn.RNN(3, 4); opt = nn.Adam(net)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nn.save({"net": net, "opt": opt, "rng": mg.generator()}, f"{folder}/run.npz", epoch=3)
    ...     nn.load({"net": net, "opt": opt, "rng": mg.generator()}, f"{folder}/run.npz")
    {'epoch': 3}
    """
    path = os.fspath(path)
    files.suffix_of(path)
    arrays = {name: np.asarray(value) for name, value in _flat(target).items()}
    if marked := [name for name in arrays if name.startswith(EXTRA)]:
        raise ValueError(f"save: the name {marked[0]!r} begins with {EXTRA!r}, which marks extras")
    arrays |= {f"{EXTRA}{name}": np.asarray(value) for name, value in extra.items()}
    for name, value in arrays.items():
        if value.dtype.kind not in "biuf":
            raise TypeError(f"save: {name} holds {value.dtype}; only numbers can be saved")
        if "\0" in name or not _is_encodable(name):
            raise ValueError(f"save: the name {name!r} cannot be written; use another one")
    files.write(path, arrays)


def load(target: Any, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Set everything in `target`, built like the one that was saved, from a file of `save`.

    Returns the extra.  Names, shapes and sizes are compared before an array is read, and all is
    set in one step.  Raises ValueError for a file that is damaged, of another kind or of another
    target; then nothing is changed.
    """
    path = os.fspath(path)
    with files.reading(path) as reader:
        _fitting(path, lambda: _match(target, _without_extra(_examples(reader.headers))))
        arrays = reader.read()
    changes = mg.Changes()
    _fitting(path, lambda: _prepare(target, _without_extra(arrays), changes))
    extra = {name[len(EXTRA) :]: value for name, value in arrays.items() if _is_extra(name)}
    numbers = {name: value if value.ndim else value.item() for name, value in extra.items()}
    changes.commit()
    return numbers


def _fitting(path: str, action: Callable[[], None]) -> None:
    """Run an action; what it raises for arrays that do not fit, as one ValueError."""
    try:
        action()
    except Exception as error:  # a hostile generator state overflows or recurses
        raise ValueError(f"load: {path} does not fit: {error}") from None


def _examples(headers: Mapping[str, Header]) -> dict[str, Array]:
    """Zeros of each shape and dtype that take no memory."""
    return {
        name: np.broadcast_to(np.zeros((), header.dtype), header.shape)
        for name, header in headers.items()
    }


def _without_extra(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value for name, value in arrays.items() if not _is_extra(name)}


def _is_extra(name: str) -> bool:
    return name.startswith(EXTRA)


def _is_encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


# targets: modules, optimisers, schedules, generators, and dicts of them


def _parts(target: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a dict with the prefix of their names; a target that is no dict has none."""
    if not isinstance(target, Mapping):
        yield "", target
        return
    names = ", ".join(map(str, target))
    if any("/" in str(key) for key in target):
        raise ValueError(f"names in a dict to save must be without '/', found {names}")
    if len({str(key) for key in target}) < len(target):
        raise ValueError(f"names in a dict to save must differ as text, found {names}")
    for key, part in target.items():
        yield f"{key}/", part


def _flat(target: Any) -> dict[str, Any]:
    """All arrays and numbers of a target by name."""
    found: dict[str, Any] = {}
    for prefix, part in _parts(target):
        own = _flat(part) if isinstance(part, Mapping) else _state_of(part)
        found |= {prefix + name: value for name, value in own.items()}
    return found


def _state_of(part: Any) -> dict[str, Any]:
    if isinstance(part, np.random.Generator):
        import json  # the slow imports wait until a file is written or read

        state = part.bit_generator.state
        text = json.dumps(state, default=lambda value: np.asarray(value).tolist())
        return {"state": np.frombuffer(text.encode(), np.uint8)}
    if not hasattr(part, "prepare_load"):
        found = type(part).__name__
        raise TypeError(
            f"a module, optimiser, schedule or generator can be saved, found {found}; "
            "write nn.save(net, path), nn.load(net, path)"
        )
    return dict(part.state_dict())


def _match(target: Any, arrays: Mapping[str, Any]) -> None:
    """Raise unless names and shapes are those of a target."""
    for part, own in _arrays_of_parts(target, arrays):
        if isinstance(part, np.random.Generator):
            _check_generator(own)
        else:
            part.match_load(own)


def _prepare(target: Any, arrays: Mapping[str, Any], changes: mg.Changes) -> None:
    """Add what loading the arrays into a target changes."""
    for part, own in _arrays_of_parts(target, arrays):
        if isinstance(part, np.random.Generator):
            _prepare_generator(part, own, changes)
        else:
            part.prepare_load(own, changes)


def _arrays_of_parts(
    target: Any, arrays: Mapping[str, Any]
) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Each part of a target that is no dict, and its arrays."""
    if not isinstance(target, Mapping):
        _state_of(target)  # raises for what cannot be loaded
        yield target, arrays
        return
    unknown = sorted({name.partition("/")[0] for name in arrays} - set(map(str, target)))
    if unknown:
        raise ValueError(f"it also holds {', '.join(unknown)}; give these too, or save them apart")
    for prefix, part in _parts(target):
        own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        yield from _arrays_of_parts(part, own)


def _check_generator(arrays: Mapping[str, Any]) -> None:
    text = arrays["state"]
    if text.dtype != np.uint8 or text.ndim != 1 or text.size > MAX_GENERATOR:
        raise ValueError(f"the state of a generator is text, found {text.dtype} {text.shape}")


def _prepare_generator(
    generator: np.random.Generator, arrays: Mapping[str, Any], changes: mg.Changes
) -> None:
    import json

    _check_generator(arrays)
    state = json.loads(arrays["state"].tobytes())
    kind: Any = type(generator.bit_generator)
    kind(0).state = state  # raises what the change would raise
    changes.by(kind.state.__set__, generator.bit_generator, state)
