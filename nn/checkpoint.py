"""Saving and loading whole training states.

Files hold arrays and nothing else, so that a stranger's file cannot run code.  They are written
beside their place and then moved there, so that a crash leaves the old file whole.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def save(target: Any, path: str | os.PathLike[str], **extra: Any) -> None:
    """Write a module, or a dict of modules, optimisers, schedules and NumPy generators, to `.npz`
    or `.safetensors`.

    extra: numbers or arrays to keep with it; `load` returns them.  Raises OSError when the path
    cannot be written.

    >>> import minigrad as mg, nn, tempfile
    >>> net = nn.RNN(3, 4); opt = nn.Adam(net)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nn.save({"net": net, "opt": opt, "rng": mg.generator()}, f"{folder}/run.npz", epoch=3)
    ...     nn.load({"net": net, "opt": opt, "rng": mg.generator()}, f"{folder}/run.npz")
    {'epoch': 3}
    """
    path = os.fspath(path)
    arrays = {name: np.asarray(value) for name, value in _flat(target).items()}
    arrays |= {f"@{name}": np.asarray(value) for name, value in extra.items()}
    for name, value in arrays.items():
        if value.dtype.kind not in "biuf":
            raise TypeError(f"save: {name} holds {value.dtype}; only numbers can be saved")
    write = _FORMATS[_suffix(path)][0]
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{os.getpid()}.{time.time_ns()}")
    try:
        file = open(draft, "xb")  # noqa: SIM115
    except OSError as error:
        raise OSError(error.errno, f"cannot save here: {error.strerror}", path) from None
    try:
        with file:
            write(file, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def load(target: Any, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Set everything in `target`, built like the one that was saved, from a file of `save`; returns
    the extra.

    Raises ValueError for a file that is damaged, of another kind or of another target; then nothing
    is changed.
    """
    path = os.fspath(path)
    read = _FORMATS[_suffix(path)][1]
    try:
        arrays = read(path)
    except (FileNotFoundError, ImportError):
        raise
    except (
        Exception
    ) as error:  # what is damaged fails in as many ways as there are readers inside of readers
        raise ValueError(
            f"load: {path} is damaged, or not a {_suffix(path)} file of arrays: {error}"
        ) from None
    extra = {name[1:]: arrays.pop(name) for name in list(arrays) if name.startswith("@")}
    before = _flat(target)
    try:
        _restore(target, arrays)
    except (
        Exception
    ) as error:  # a hostile generator state overflows or recurses; half of the target may be set
        _restore(target, before)
        raise ValueError(f"load: {path} does not fit: {error}") from None
    return {name: value if value.ndim else value.item() for name, value in extra.items()}


def _flat(target: Any) -> dict[str, Any]:
    """All arrays and numbers of a target by name."""
    if isinstance(target, Mapping):
        if any("/" in str(key) for key in target):
            raise ValueError(
                f"names in a dict to save must be without '/', found {', '.join(map(str, target))}"
            )
        return {
            f"{key}/{name}": value
            for key, part in target.items()
            for name, value in _flat(part).items()
        }
    if isinstance(target, np.random.Generator):
        import json  # the slow imports wait until a file is written or read

        text = json.dumps(
            target.bit_generator.state, default=lambda value: np.asarray(value).tolist()
        )
        return {"state": np.frombuffer(text.encode(), np.uint8)}
    if not hasattr(target, "state_dict"):
        found = type(target).__name__
        raise TypeError(f"a module, optimiser, schedule or generator can be saved, found {found}")
    return dict(target.state_dict())


def _restore(target: Any, arrays: Mapping[str, Any]) -> None:
    if isinstance(target, Mapping):
        unknown = sorted({name.partition("/")[0] for name in arrays} - set(target))
        if unknown:
            raise ValueError(
                f"it also holds {', '.join(unknown)}; give these too, or save them apart"
            )
        for key, part in target.items():
            _restore(
                part,
                {
                    name[len(key) + 1 :]: v
                    for name, v in arrays.items()
                    if name.startswith(f"{key}/")
                },
            )
    elif isinstance(target, np.random.Generator):
        import json

        target.bit_generator.state = json.loads(np.asarray(arrays["state"]).tobytes())
    else:
        target.load_state_dict(arrays)


def _suffix(path: str) -> str:
    suffix = os.path.splitext(path)[1]
    if suffix not in _FORMATS:
        raise ValueError(
            f"{path}: a name that ends in {' or '.join(_FORMATS)} is needed, found {suffix!r}"
        )
    return suffix


def _write_npz(file: Any, arrays: dict[str, Array]) -> None:
    import zipfile

    with zipfile.ZipFile(file, "w") as archive:  # np.savez has names of its own, and would pickle
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, value, allow_pickle=False)


def _read_npz(path: str) -> dict[str, Array]:
    import zipfile

    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                arrays[name.removesuffix(".npy")] = np.lib.format.read_array(
                    file, allow_pickle=False
                )
                file.read()  # to the end, where the checksum is compared
    return arrays


def _write_safetensors(file: Any, arrays: dict[str, Array]) -> None:
    file.write(
        _safetensors().save({name: np.array(value, order="C") for name, value in arrays.items()})
    )


def _read_safetensors(path: str) -> dict[str, Array]:
    return dict(_safetensors().load_file(path))


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            ".safetensors files need the extra: pip install 'minigrad-bptt[safetensors]'"
        ) from None
    return safetensors.numpy


_FORMATS = {
    ".npz": (_write_npz, _read_npz),
    ".safetensors": (_write_safetensors, _read_safetensors),
}
