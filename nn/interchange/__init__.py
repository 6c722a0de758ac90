"""Networks in the formats of other programs: ONNX."""

from __future__ import annotations

import os
from typing import Any

from nn.module import Module


def to_onnx(
    module: Module,
    path: str | os.PathLike[str],
    *example: Any,
    lengths: Any = True,
    state: Any = False,
    **more: Any,
) -> None:
    """Write a network as an ONNX model, for any number of steps T and any batch B.

    RNN, LSTM and GRU become ONNX's own operators, every other cell a Scan whose body is one step of
    it, Embedding a Gather; all else is recorded operation by operation.  The model computes as the
    module does after `eval()`; the module itself is not changed.

    example, more: examples of what `forward` takes, tensors or structures of them, of any T and B
    that differ from each other.  Without any, the input is x (T, B, D), or tokens (T, B) where an
    Embedding comes first; (B, D) of a single cell.
    lengths: True: where `forward` takes lengths, the model has an input `lengths` (B) that may be
    left out.  An example: the model needs them.
    state: True: the model of a recurrent layer needs its first state too (`h_init`, `c_init`).

    The input is called `x`, those of an example as the parameters of `forward`.  Outputs are `y`,
    and the last state of recurrent layers and cells (`h_n`, `c_n`).

    Raises NotImplementedError that names the operation and its line where ONNX has no operator, and
    where the network does something else at another T or B; then nothing is written.  ImportError
    without the extra: pip install 'minigrad-bptt[onnx]'.

    >>> import nn, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nn.to_onnx(nn.LSTM(3, 4, bidirectional=True), f"{folder}/lstm.onnx")
    """
    from nn.interchange import elementwise, indexing, reductions, shaping  # they fill the table
    from nn.interchange.export import export

    export(module, path, example, {"lengths": lengths, "state": state, **more})
