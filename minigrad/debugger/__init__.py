"""The interactive debugger of backward passes, and backward passes written out as source.  Imports the engine."""

from minigrad.debugger.moving import Quit
from minigrad.debugger.shell import Breakpoint, Debugger, debug

__all__ = ["Breakpoint", "Debugger", "Quit", "debug"]
