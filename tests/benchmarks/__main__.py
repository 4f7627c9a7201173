from tests.benchmarks import fstrings, machinery, planning, protocols, sandbox, slots

for benchmark in (fstrings, planning, machinery, slots, protocols, sandbox):
    benchmark.main()
