"""What a program cannot do."""


class CompileError(ValueError):
    """The message says what cannot be compiled, where it stands, and what to write instead."""


class WrongProgramError(RuntimeError):
    """A compiled step does not give what the engine gives."""
