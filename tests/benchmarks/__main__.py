from tests.benchmarks import fstrings, machinery, planning, slots

for benchmark in (fstrings, planning, machinery, slots):
    benchmark.main()
