"""Removes from an environment the modules that were installed from the checkout: an edit would change nothing in them,
and they may be those of an older commit. Prints the folders of the checkout where they are imported from instead.

A program of its own, which needs nothing but Python: it goes through what a build made, and so runs in the same walls.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path


def main(environment: Path, checkout: Path) -> None:
    files: dict[str, list[str]] = defaultdict(list)
    for folder, _, names in os.walk(checkout):
        for name in names:
            files[name].append(str(Path(folder, name).relative_to(checkout)))
    missing: dict[str, set[str]] = {}
    for site, module in _installed(environment, checkout.as_uri()):
        places = [path for path in files[module.rpartition("/")[2]] if f"/{path}".endswith(f"/{module}")]
        data = (site / module).read_bytes()
        same = [path for path in places if (checkout / path).read_bytes() == data]
        missing[module] = {path.removesuffix(module).rstrip("/") for path in same or places}
        (site / module).unlink()
    found: list[str] = []
    while counts := Counter(folder for folders in missing.values() for folder in folders):
        most = max(counts.values())
        found.append(
            min((folder for folder, count in counts.items() if count == most), key=lambda one: (len(one), one))
        )
        missing = {module: folders for module, folders in missing.items() if found[-1] not in folders}
    print(json.dumps(found))


def _installed(environment: Path, url: str) -> Iterator[tuple[Path, str]]:
    """Yield site-packages and path of each module that was installed from the folder at `url`, or one below it."""
    for origin in environment.glob("lib/python*/site-packages/*.dist-info/direct_url.json"):
        came = json.loads(origin.read_text())
        if "dir_info" not in came or not f"{came['url']}/".startswith(f"{url}/"):
            continue
        with (origin.parent / "RECORD").open(newline="") as record:
            for path, *_ in csv.reader(record):
                if path.endswith(".py") and not path.startswith(("/", "..")):
                    yield origin.parents[1], path


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
