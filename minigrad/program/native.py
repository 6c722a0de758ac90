"""Compiled loops: the C compiler that is found, the cache of what it made, NumPy's own BLAS.

Whatever goes wrong here (no compiler, one that fails or hangs, a cache that cannot be written) is a
`NativeError` with one line; the NumPy program runs then.
"""

from __future__ import annotations

import ctypes
import functools
import glob
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.program import cache
from minigrad.tensor import Array

FLAGS = (
    *("-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
    *("-shared", "-fPIC"),
)
LIMIT = 60  # seconds that a compiler may take


class NativeError(Exception):
    """Why there is no native code, in one line."""


@functools.cache
def compiler() -> tuple[str, str]:
    """The path of a C compiler and what it says of its version: $CC, cc, clang, gcc."""
    for name in (os.environ.get("CC"), "cc", "clang", "gcc"):
        path = shutil.which(name) if name else None
        if path:
            return path, _version(path)
    raise NativeError("no C compiler is found ($CC, cc, clang, gcc)")


def _version(path: str) -> str:
    try:
        ran = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=LIMIT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NativeError(f"{path} cannot be run: {error}") from None
    return ran.stdout


@functools.cache
def processor() -> str:
    """What decides which instructions the code may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def flags() -> tuple[str, ...]:
    """What the compiler is told; left alone, it uses half of the widest registers there are."""
    wide = platform.machine() in ("x86_64", "AMD64") and "avx512f" in processor().split()
    return (*FLAGS, "-mprefer-vector-width=512") if wide else FLAGS


@functools.cache
def blas() -> dict[str, int]:
    """The addresses of the matrix products of the BLAS that NumPy brought, by dtype; or none."""
    folder = Path(np.__file__).parent
    places = [folder.parent / "numpy.libs", folder / ".dylibs"]
    for file in (f for place in places for f in sorted(glob.glob(f"{place}/*openblas*"))):
        library = ctypes.CDLL(file)
        names = {"float32": "scipy_cblas_sgemm64_", "float64": "scipy_cblas_dgemm64_"}
        if all(hasattr(library, name) for name in names.values()):
            found = {dtype: getattr(library, name) for dtype, name in names.items()}
            return {dtype: _address(function) for dtype, function in found.items()}
    return {}


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def library(source: str) -> ctypes.CDLL:
    """The source, compiled and loaded; from the cache if it is there and whole."""
    path, version = compiler()
    key = cache.key(source, path, version, " ".join(flags()), processor(), platform.machine())
    folder = cache.folder()
    if folder is None:
        return _built_aside(source, path)
    file = folder / f"loops_{key}.so"
    if not _is_whole(file):
        code = _compiled(source, path)
        seal = cache.key(code.hex()).encode()
        if not (cache.write(file, code) and cache.write(file.with_suffix(".seal"), seal)):
            return _loaded_from(code)
    return _load(file)


def _is_whole(file: Path) -> bool:
    """Whether a cached library is there, unchanged since it was written."""
    try:
        seal = file.with_suffix(".seal").read_text()
        return seal == cache.key(file.read_bytes().hex())
    except OSError:
        return False


def _compiled(source: str, path: str) -> bytes:
    """What the compiler makes of the source."""
    with tempfile.TemporaryDirectory(prefix="minigrad_") as name:
        text, code = Path(name) / "loops.c", Path(name) / "loops.so"
        text.write_text(source)
        command = [path, *flags(), "-o", str(code), str(text), "-lm"]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise NativeError(f"{path} took more than {LIMIT} s") from None
        except OSError as error:
            raise NativeError(f"{path} cannot be run: {error}") from None
        if ran.returncode or not code.exists():
            first = next((line for line in ran.stderr.splitlines() if "error" in line), "")
            raise NativeError(f"{path} failed: {first}")
        return code.read_bytes()


def _built_aside(source: str, path: str) -> ctypes.CDLL:
    """Without a cache folder: built in a temporary one, which may go once the code is loaded."""
    return _loaded_from(_compiled(source, path))


def _loaded_from(code: bytes) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="minigrad_") as name:
        file = Path(name) / "loops.so"
        file.write_bytes(code)
        return _load(file)


def _load(file: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(file))
    except OSError as error:
        raise NativeError(f"the compiled code cannot be loaded: {error}") from None


class Native:
    """The loops of one program: `native(name, lengths, arrays)` is a loop bound to its arrays."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._library = library(source)
        products = blas()
        table = (ctypes.c_void_p * 2)(products.get("float32"), products.get("float64"))
        self._library.use_blas(table)

    def __call__(
        self, name: str, lengths: Sequence[int], arrays: Sequence[Array]
    ) -> Callable[[], None]:
        """A loop as a function without arguments; the arrays must stay where they are."""
        function = getattr(self._library, name)
        function.restype = None
        sizes = (ctypes.c_longlong * max(len(lengths), 1))(*lengths)
        table = (ctypes.c_void_p * max(len(arrays), 1))(*(a.ctypes.data for a in arrays))
        run = functools.partial(function, sizes, table)
        run.arrays = tuple(arrays)  # type: ignore[attr-defined]  # they live as long as the loop
        return run
