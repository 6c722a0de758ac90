"""Graphs written out as programs: the backward pass to read, the training step to run."""

from minigrad.program.backward_source import BackwardSource, backward_source
from minigrad.program.cache import clear_cache
from minigrad.program.compiled import Step, compile

__all__ = ["BackwardSource", "Step", "backward_source", "clear_cache", "compile"]
