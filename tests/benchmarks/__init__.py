"""Benchmarks: each prints its figures side by side, from one run. `python -m tests.benchmarks` runs all but
`serving` and `prefixes`, which are told what to run on."""
