"""The interactive debugger of backward passes."""

from minigrad.debugger.prompt import Quit
from minigrad.debugger.shell import Breakpoint, Debugger, debug

__all__ = ["Breakpoint", "Debugger", "Quit", "debug"]
