"""A mark for tests that need a C compiler."""

import pytest

from minigrad.program import native


def has_compiler() -> bool:
    try:
        native.compiler()
    except native.NativeError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="there is no C compiler")
