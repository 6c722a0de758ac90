from __future__ import annotations

collect_ignore_glob = [
    "*make_torch*.py"
]  # scripts that remake stored results; they need PyTorch, the suite does not
