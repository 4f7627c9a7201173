"""Benchmarks: each prints its figures side by side, from one run. `python -m tests.benchmarks` runs all of them."""
