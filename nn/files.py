"""Files of arrays by name: `.npz` without pickle, and `.safetensors`.

What a file holds is known, and can be compared with what is needed, before an array is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
CHECKSUM = "minigrad.sha256"  # in the metadata of .safetensors files


class Header(NamedTuple):
    """The shape and the dtype of an array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Reader(NamedTuple):
    """An open file: the headers of its arrays, and a function that reads them all."""

    headers: dict[str, Header]
    read: Callable[[], dict[str, Array]]


def suffix_of(path: str) -> str:
    """The suffix of a path, if files of that kind can be written; else ValueError."""
    suffix = os.path.splitext(path)[1]
    if suffix not in FORMATS:
        raise ValueError(
            f"{path}: a name that ends in {' or '.join(FORMATS)} is needed, found {suffix!r}"
        )
    return suffix


def write(path: str, arrays: Mapping[str, Array]) -> None:
    """Write arrays beside their place, and move them there: a crash leaves the old file whole.

    A link is followed, and the old file's mode is kept.  Raises OSError where that fails.
    """
    pack = FORMATS[suffix_of(path)][0]
    place = os.path.realpath(path)
    mode = _mode_of(place)
    draft = os.path.join(os.path.dirname(place), f".{os.getpid()}.{time.time_ns()}.draft")
    try:
        with _new_file(draft, path) as file:
            pack(file, arrays)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(draft, mode)
        os.replace(draft, place)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise


def _new_file(draft: str, path: str) -> BinaryIO:
    try:
        return open(draft, "xb")
    except OSError as error:
        raise OSError(error.errno, f"cannot save here: {error.strerror}", path) from None


def _mode_of(path: str) -> int | None:
    """The permissions of an old file; None if there is none.  Raises OSError if it is no file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"cannot save here: {path} exists and is no regular file")
    return stat.S_IMODE(found.st_mode)


@contextlib.contextmanager
def reading(path: str) -> Iterator[Reader]:
    """Open a file of arrays.

    Raises FileNotFoundError; ImportError without the extra that the kind needs; ValueError for a
    file that is damaged, of another kind, or no file at all, on which it does not wait.
    """
    suffix = suffix_of(path)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError(f"load: {path} is no regular file")
        reader = _guarded(path, suffix, lambda: FORMATS[suffix][1](file, path))
        yield Reader(reader.headers, lambda: _guarded(path, suffix, reader.read))


def _guarded(path: str, suffix: str, action: Callable[[], Any]) -> Any:
    """The action; what it raises for a damaged file, from whichever reader, as one ValueError."""
    try:
        return action()
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(
            f"load: {path} is damaged, or not a {suffix} file of arrays: {error}"
        ) from None


# .npz: a zip file of .npy files, whose checksums zip compares


def _pack_npz(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    import zipfile

    with zipfile.ZipFile(file, "w") as archive:  # np.savez has names of its own, and would pickle
        for name, value in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, value, allow_pickle=False)
            archive.writestr(f"{name}.npy", part.getbuffer())


def _open_npz(file: BinaryIO, path: str) -> Reader:
    import zipfile

    archive = zipfile.ZipFile(file)
    headers: dict[str, Header] = {}
    for entry in archive.infolist():
        name = entry.filename.removesuffix(".npy")
        if name in headers:
            raise ValueError(f"it holds {name} twice")
        with archive.open(entry) as part:
            headers[name] = _npy_header(part, name)
            size = part.tell() + _bytes_of(headers[name])
        if size != entry.file_size:
            raise ValueError(f"{name} has {entry.file_size} bytes, and its shape needs {size}")

    def read() -> dict[str, Array]:
        arrays = {}
        for entry, name in zip(archive.infolist(), headers, strict=True):
            with archive.open(entry) as part:
                arrays[name] = np.lib.format.read_array(part, allow_pickle=False)
                part.read()  # to the end, where the checksum is compared
        return arrays

    return Reader(headers, read)


def _npy_header(part: Any, name: str) -> Header:
    version = np.lib.format.read_magic(part)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(part)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(part)
    else:
        raise ValueError(f"{name} is of the unknown version {version}")
    if dtype.hasobject:
        raise ValueError(f"{name} holds objects, which could run code")
    return Header(shape, dtype)


def _bytes_of(header: Header) -> int:
    size = header.dtype.itemsize
    for n in header.shape:
        size *= n
    return size


# .safetensors: the format has no checksum, so that one is kept in the metadata

DTYPES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BOOL": "?",
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U64": "u8",
    "U32": "u4",
    "U16": "u2",
    "U8": "u1",
}


def _pack_safetensors(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    whole = {name: np.array(value, order="C") for name, value in arrays.items()}
    file.write(_safetensors().numpy.save(whole, metadata={CHECKSUM: _checksum(whole)}))


def _open_safetensors(file: BinaryIO, path: str) -> Reader:
    opened = _safetensors().safe_open(path, framework="np")
    headers = {}
    for name in opened.keys():  # noqa: SIM118
        part = opened.get_slice(name)
        kind = part.get_dtype()
        if kind not in DTYPES:
            raise ValueError(f"{name} holds {kind}, which NumPy does not have")
        headers[name] = Header(tuple(part.get_shape()), np.dtype(DTYPES[kind]))

    def read() -> dict[str, Array]:
        arrays = {name: opened.get_tensor(name) for name in headers}
        wanted = (opened.metadata() or {}).get(CHECKSUM)
        if wanted is not None and wanted != _checksum(arrays):  # a file of others may have none
            raise ValueError("its checksum is another one")
        return arrays

    return Reader(headers, read)


def _checksum(arrays: Mapping[str, Array]) -> str:
    """SHA-256 of all names, dtypes, shapes and numbers."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = arrays[name]
        digest.update(f"{name}\0{value.dtype.str}\0{value.shape}\0".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            ".safetensors files need the extra: pip install 'minigrad-bptt[safetensors]'"
        ) from None
    return safetensors


FORMATS: dict[str, tuple[Any, Any]] = {
    ".npz": (_pack_npz, _open_npz),
    ".safetensors": (_pack_safetensors, _open_safetensors),
}
