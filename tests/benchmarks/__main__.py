from tests.benchmarks import fstrings, machinery, planning, protocols, slots

for benchmark in (fstrings, planning, machinery, slots, protocols):
    benchmark.main()
