"""Backward passes written out as NumPy programs."""

from minigrad.program.backward_source import BackwardSource, backward_source

__all__ = ["BackwardSource", "backward_source"]
