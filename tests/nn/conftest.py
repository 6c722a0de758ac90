collect_ignore = ["make_torch_results.py"]  # it needs PyTorch
