"""Benchmarks: each prints its figures side by side, from one run. `python -m tests.benchmarks` runs the short ones;
others are told what to run on, or take their time, and are run by their name."""
