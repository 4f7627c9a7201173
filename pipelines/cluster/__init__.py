"""Carries out tasks on Ray, in two lanes. The only room of ours, but for what serves, that imports Ray.

The working lane is Ray tasks, one core each: parsing, codemods, checks, test runs; shards of a few milliseconds share
one. The waiting lane is threaded actors that hold no core to speak of: a shard that waits for a model, or for a test
run that others share, costs a thread. A node gets a repository once, and keeps it.
"""

from pipelines.cluster.onray import OnRay
from pipelines.cluster.start import OBJECT_STORE, RAY_ENV

__all__ = ["OBJECT_STORE", "RAY_ENV", "OnRay"]
