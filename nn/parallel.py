"""Training in several processes: each computes the gradients of its rows, MPI averages them."""

from __future__ import annotations

import atexit
import os
import sys
import time
import zlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np

import minigrad as mg
from nn.module import Module

Array = np.ndarray[Any, Any]
LAUNCHERS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")  # mpiexec sets one in its processes


class Parallel:
    """The processes that `mpiexec -n N python train.py` has started; without it, one process.

    Each process trains on its share of the rows, then all average their gradients, so that each
    takes the step that one process would take on the whole batch:

        ∂loss/∂W = Σ_r w_r ∂loss_r/∂W / Σ_r w_r        w_r the rows of process r

    comm: an mpi4py communicator; by default that of all processes.

    What a process misses ends the run with a message, and no gradient is set: an error in one
    process ends all of them, and `average` raises RuntimeError where another process has ended.
    Raises ImportError under mpiexec without the extra: pip install 'minigrad-bptt[mpi]'.

    >>> import numpy as np, nn
    >>> parallel = nn.Parallel()
    >>> net = parallel.broadcast(nn.Linear(3, 2))
    >>> x = parallel.shard(np.ones((8, 3)), axis=0)
    >>> net(x).sum().backward()
    >>> parallel.average(net)
    >>> parallel.rank, parallel.size, x.shape
    (0, 1, (8, 3))
    """

    def __init__(self, comm: Any = None) -> None:
        self.comm = _world() if comm is None else comm
        self.rank: int = 0 if self.comm is None else self.comm.rank
        self.size: int = 1 if self.comm is None else self.comm.size
        self._gone = np.empty(0, int)  # the processes that have ended
        if self.size > 1:
            sys.excepthook = self._end_all
            atexit.register(self._leave)

    def shard(self, x: Any, axis: int) -> Any:
        """The rows of this process: its part of x along an axis, the batch.

        Raises ValueError where the rows cannot be shared out evenly.
        """
        rows = np.shape(x)[axis]
        if rows % self.size:
            raise ValueError(
                f"shard: {rows} rows of axis {axis} cannot be shared evenly by {self.size} "
                f"processes; take {rows - rows % self.size}, or cut uneven parts yourself and "
                f"write average(net, weight=rows)"
            )
        count = rows // self.size
        before = (slice(None),) * (axis % np.ndim(x))
        return x[(*before, slice(self.rank * count, (self.rank + 1) * count))]

    def broadcast(self, module: Module) -> Module:
        """Give every process the parameters and buffers of process 0; returns the module."""
        if self.size > 1:
            self._meet(module.state_dict(), 1.0)
            module.load_state_dict(self.comm.bcast(module.state_dict()))
        return module

    def average(self, target: Any, weight: float = 1.0) -> Any:
        """Replace gradients by their weighted means over all processes.

        target: a module, whose `.grad` are set; or a dict of arrays, as a compiled step gives:
        then the means are returned in a new dict.
        weight: how many rows (or tokens) the loss of this process is a mean over.
        A parameter without a gradient in some process counts there as 0.
        Raises ValueError in every process where names or shapes differ; then nothing is set.
        """
        if isinstance(target, Mapping):
            arrays = {
                name: x.data if isinstance(x, mg.Tensor) else np.asarray(x)
                for name, x in target.items()
            }
            return self._means(arrays, dict.fromkeys(arrays, True), weight)[0]
        parameters = dict(target.named_parameters())
        given = {name: p.grad is not None for name, p in parameters.items()}
        grads = {
            name: np.zeros_like(p.data) if p.grad is None else p.grad.data
            for name, p in parameters.items()
        }
        means, somewhere = self._means(grads, given, weight)
        for name in somewhere:
            parameters[name].grad = means[name]
        return None

    def _means(
        self, arrays: dict[str, Array], given: dict[str, bool], weight: float
    ) -> tuple[dict[str, Array], list[str]]:
        """The weighted means, and the names that some process has given."""
        if self.size == 1 or not arrays:
            return arrays, [name for name in arrays if given[name]]
        share = weight / self._meet(arrays, weight)
        flat = np.concatenate([np.ravel(array) for array in arrays.values()])
        flags = np.array(list(given.values()), flat.dtype)
        total = np.empty(flat.size + flags.size, flat.dtype)
        self.comm.Allreduce(np.concatenate([flat * flat.dtype.type(share), flags]), total)
        ends = np.cumsum([array.size for array in arrays.values()])
        *parts, found = np.split(total, ends)
        means = {
            name: part.reshape(array.shape)
            for (name, array), part in zip(arrays.items(), parts, strict=True)
        }
        return means, [name for name, count in zip(arrays, found, strict=True) if count]

    def _meet(self, arrays: Mapping[str, Array], weight: float) -> float:
        """Before arrays are exchanged: the sum of all weights; raises where they cannot be."""
        shapes = repr([(name, x.shape, x.dtype.str) for name, x in arrays.items()])
        if not self._gone.size:
            leaves, checksums, weights = self._gather(False, zlib.crc32(shapes.encode()), weight)
            self._gone = np.flatnonzero(leaves)
        if self._gone.size:
            gone = ", ".join(map(str, self._gone))
            raise RuntimeError(f"process {gone} of {self.size} has ended; nothing was averaged")
        if len(set(checksums)) > 1:
            raise ValueError(
                f"process {self.rank} of {self.size} has other names, shapes or dtypes than the "
                f"others; nothing was averaged; here: {shapes}"
            )
        if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.sum() > 0):
            raise ValueError(f"average: weights must be 0 or more, one above 0, found {weights}")
        return float(weights.sum())

    def _leave(self) -> None:
        """At the end of this process: tell the others, which may wait for it."""
        if not self._gone.size:
            self._gather(True, 0, 0.0)

    def _gather(self, leaving: bool, checksum: int, weight: float) -> Array:
        """A column for each process: whether it ends, its checksum, its weight."""
        rows = np.empty((self.size, 3))
        self.comm.Allgather(np.array([leaving, checksum, weight], np.float64), rows)
        return rows.T

    def _end_all(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        """An error that nobody catches: print it, and end every process."""
        print(f"process {self.rank} of {self.size} has failed:", file=sys.stderr)
        sys.__excepthook__(kind, error, traceback)
        sys.stderr.flush()
        time.sleep(0.5)  # the launcher drops what it has not passed on when it ends everybody
        self.comm.Abort(1)


def _world() -> Any:
    """The communicator of all processes, or None where there is no MPI."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: no MPI library was found
        if any(os.environ.get(name, "1") != "1" for name in LAUNCHERS):
            raise ImportError(
                "nn.Parallel was started by mpiexec, but MPI cannot be loaded; "
                "pip install 'minigrad-bptt[mpi]'"
            ) from error
        return None
    return MPI.COMM_WORLD
