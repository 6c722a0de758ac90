"""Networks in the formats of other programs: ONNX."""

from nn.interchange.export import to_onnx

__all__ = ["to_onnx"]
