import numpy as np
import pytest

import minigrad as mg

collect_ignore = ["make_torch_results.py"]  # it needs PyTorch


@pytest.fixture(autouse=True)
def _same_numbers_in_every_run():
    mg.seed(0)
    yield
    mg.set_default_dtype(np.float32)
