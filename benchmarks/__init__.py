"""Measurements against hand-written NumPy and against peers, each pair in one run: `python -m benchmarks`."""
