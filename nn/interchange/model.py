"""The file: records of operators as an ONNX model.  Only here is the package `onnx` used."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from nn.interchange.sizes import Merged
from nn.interchange.writing import Block, Step

OPSET, IR_VERSION = 18, 8  # of 2022: what onnxruntime 1.14 and later read


def the_package() -> Any:
    """The package `onnx`, or an error that says how to get it."""
    try:
        import onnx
    except ImportError:
        raise ImportError("to_onnx needs the extra: pip install 'minigrad-bptt[onnx]'") from None
    return onnx


def build(onnx: Any, merged: Merged, name: str) -> Any:
    """The model, checked."""
    main = merged.writer.blocks[0]
    graph = graph_of(onnx, merged, merged.main, [*merged.start, *main.steps], name)
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), key)
        for key, array in merged.constants.items()
    )
    model = onnx.helper.make_model(
        graph,
        producer_name="minigrad",
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def graph_of(onnx: Any, merged: Merged, blocks: list[Block], steps: list[Step], name: str) -> Any:
    """A block as an ONNX graph; `blocks` are those of all runs, whose sizes are compared."""
    inputs = [ports_of(onnx, merged, ports) for ports in zip(*[b.inputs for b in blocks])]
    outputs = [ports_of(onnx, merged, ports) for ports in zip(*[b.outputs for b in blocks])]
    made = len(steps) - len(blocks[0].steps)
    nodes = []
    for k, step in enumerate(steps):
        same = [step] if k < made else [block.steps[k - made] for block in blocks]
        nodes.append(node_of(onnx, merged, same))
    return onnx.helper.make_graph(nodes, name, inputs, outputs)


def node_of(onnx: Any, merged: Merged, same: list[Step]) -> Any:
    """An operator; one that loops has a graph as an attribute."""
    step, attributes = same[0], {}
    for key, value in step.attributes.items():
        if isinstance(value, Block):
            body_blocks = [other.attributes[key] for other in same]
            value = graph_of(onnx, merged, body_blocks, value.steps, f"{step.outputs[0]}/body")
        elif isinstance(value, np.dtype):
            value = onnx.helper.np_dtype_to_tensor_dtype(value)
        attributes[key] = value
    return onnx.helper.make_node(
        step.op, step.inputs, step.outputs, name=step.outputs[0], **attributes
    )


def ports_of(onnx: Any, merged: Merged, ports: Any) -> Any:
    """An input or output, with numbers and names as the lengths of its axes."""
    port = merged.dims(ports)
    dtype = onnx.helper.np_dtype_to_tensor_dtype(port.dtype)
    return onnx.helper.make_tensor_value_info(port.name, dtype, port.dims)


def save(onnx: Any, model: Any, path: str | os.PathLike[str]) -> None:
    """Write the file beside its place and move it there: a crash leaves an old one whole."""
    path = os.fspath(path)
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{os.getpid()}.{time.time_ns()}")
    try:
        with open(draft, "xb") as file:
            file.write(model.SerializeToString())
        os.replace(draft, path)
    except OSError as error:
        raise OSError(error.errno, f"cannot write here: {error.strerror}", path) from None
    finally:
        if os.path.exists(draft):
            os.unlink(draft)
