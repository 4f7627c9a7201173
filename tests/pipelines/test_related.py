"""What a model is shown of the rest of the repository, from the plan to the prompt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import callers, definitions
from pipelines.data import Plan, Task
from pipelines.job import Job
from pipelines.lanes import InProcess
from pipelines.plan import plan
from pipelines.recipe import recipe
from pipelines.work import Kit
from tests.conftest import Checkout
from tests.endpoint import Endpoint

CART = """\
import os

from shop import Price, rate
from .money import LIMIT
from .broken import lost
from .rates import *


def total(items, os=None):
    lost(unused, os.name)
    return Price.old(LIMIT) + rate('EUR')


def other():
    return total([])
"""
MONEY = f'''\
LIMIT = 9


class Price:
    """An amount."""

    cents: int

    def old(self, x=3):
        """Say."""
        total = 0
{"".join(f"        total += {number}{chr(10)}" for number in range(40))}
'''
RATES = """\
import functools


@functools.cache
def rate(code):
    return 1.0


def unused(): ...
"""
TESTS = """\
from shop.cart import (
    total,
)


class TestCart:
    def test_nothing(self):
        assert total([]) == 0

    def test_else(self):
        pass
"""
FILES = {
    "src/shop/__init__.py": "from .money import Price as Price\nfrom .rates import rate\n",
    "src/shop/money.py": MONEY,
    "src/shop/rates.py": RATES,
    "src/shop/broken.py": "def lost(:\n    pass\n",
    "src/shop/cart.py": CART,
    "tests/test_cart.py": TESTS,
    "tests/test_broken.py": "total([]\n",
    "tests/test_words.py": "subtotal = 1\n",
    "docs/a.md": "total\n",
}
SHOWN = '''\
docs/a.md (only to read)
```python
total
```

src/shop/money.py::Price (only to read)
```python
class Price:
    """An amount."""
...
    cents: int
...
    def old(self, x=3):
```

src/shop/money.py::LIMIT (only to read)
```python
LIMIT = 9
```

src/shop/rates.py::rate (only to read)
```python
@functools.cache
def rate(code):
    return 1.0
```

src/shop/cart.py::other (only to read)
```python
def other():
    return total([])
```

tests/test_cart.py::TestCart.test_nothing (only to read)
```python
    def test_nothing(self):
        assert total([]) == 0
```

src/shop/cart.py
```python
import os

from shop'''

Planned = Callable[..., tuple[Plan, Kit]]


@pytest.fixture
def planned(home: Path, tmp_path: Path, endpoint: Endpoint) -> Planned:
    def run(*show: str, cut: str = "symbol", contains: str = r"\.old\(", **settings: Any) -> tuple[Plan, Kit]:
        model = {"url": endpoint.url, "name": "scripted", **settings}
        said: dict[str, Any] = {
            "name": "j",
            "repos": [{"git": "billing"}],
            "select": {"contains": contains},
            "shard": {"by": cut},
            "steps": [{"rewrite": {"prompt": "Do it.", "model": model, "show": list(show), "context": ["docs/a.md"]}}],
        }
        spec = Job.model_validate(said)
        built = recipe(spec, tmp_path / "job.yaml")
        found = plan(spec, built, home, tmp_path)
        assert not found.trouble
        return found, Kit(built, None, {repo.name: repo.base for repo in found.repos})

    return run


def shown(found: Plan) -> dict[str, list[str]]:
    """Return of each shard the names of what it is shown with."""
    return {
        one.shard.name: list(dict.fromkeys(f"{span.path}::{span.symbol}" for span in one.shard.related))
        for one in found.planned
    }


def prompt(found: Plan, kit: Kit, endpoint: Endpoint) -> str:
    """Carry out the one shard and return what the model was asked."""
    endpoint.say("NO CHANGE NEEDED")
    (one,) = found.planned
    (((_, outcome),),) = InProcess().run(kit, [Task(one.shard)])
    assert outcome.status == "unchanged"
    asked: str = endpoint.requests[-1]["messages"][1]["content"]
    return asked


def test_what_the_prompt_holds(planned: Planned, checkout: Callable[..., Checkout], endpoint: Endpoint) -> None:
    checkout(FILES)
    assert prompt(*planned("definitions", "callers"), endpoint).startswith(SHOWN)


def test_what_does_not_fit_is_left_out_the_least_alike_first(
    planned: Planned, checkout: Callable[..., Checkout], endpoint: Endpoint
) -> None:
    checkout({**FILES, "docs/a.md": "words " * 40})
    texts = [
        prompt(*planned("definitions", "callers", context=room, max_tokens=10), endpoint)
        for room in range(800, 360, -20)
    ]
    counts = [text.count("(only to read)") for text in texts]
    assert (counts, counts[0], len(set(counts)) > 3) == (sorted(counts, reverse=True), 6, True)
    fewer = next(text for text, count in zip(texts, counts, strict=True) if count == 5)
    assert "words words" not in fewer


@pytest.mark.parametrize(
    ("show", "names"),
    [
        ([], []),
        (["definitions"], ["src/shop/money.py::Price", "src/shop/money.py::LIMIT", "src/shop/rates.py::rate"]),
        (["callers"], ["src/shop/cart.py::other", "tests/test_cart.py::TestCart.test_nothing"]),
    ],
)
def test_only_what_was_asked_for(
    show: list[str], names: list[str], planned: Planned, checkout: Callable[..., Checkout]
) -> None:
    checkout(FILES)
    assert shown(planned(*show)[0]) == {"src/shop/cart.py::total": names}


def test_of_a_whole_file_what_others_do_with_it(planned: Planned, checkout: Callable[..., Checkout]) -> None:
    checkout(FILES)
    assert shown(planned("callers", cut="file", contains="cents")[0]) == {
        "src/shop/money.py": ["src/shop/cart.py::total"],
    }


MOVES = {
    "the definition's file": ({"src/shop/rates.py": RATES.replace("1.0", "2.0")}, True),
    "more in the definition's file": ({"src/shop/rates.py": f"{RATES}x = 1\n"}, True),
    "a caller's file": ({"tests/test_cart.py": TESTS.replace("pass", "return")}, True),
    "a new caller": ({"src/shop/more.py": "def more():\n    total()\n"}, True),
    "a file that has to do with it no more": ({"tests/test_cart.py": "x = 1\n"}, True),
    "an unrelated file": ({"tests/test_words.py": "subtotal = 2\n"}, False),
    "a new file": ({"src/shop/other.py": "def f(): ...\n"}, False),
    "what only hands on": ({"src/shop/__init__.py": f"{FILES['src/shop/__init__.py']}VERSION = 2\n"}, False),
}


@pytest.mark.parametrize("move", MOVES)
def test_a_shard_is_done_again_when_what_it_is_shown_has_changed(
    move: str, planned: Planned, checkout: Callable[..., Checkout]
) -> None:
    files, again = MOVES[move]
    made = checkout(FILES)
    ((before,), (alone,)) = (planned(*show)[0].planned for show in (["definitions", "callers"], []))
    made.commit(files)
    ((after,), (still,)) = (planned(*show)[0].planned for show in (["definitions", "callers"], []))
    assert (before.shard.key != after.shard.key) == again
    assert alone.shard.key == still.shard.key, "of what is not shown nothing depends"


def test_there_is_an_end_to_it(planned: Planned, checkout: Callable[..., Checkout]) -> None:
    names = [f"f{number}" for number in range(3 * definitions.MOST)]
    users = "".join(f"def user{number}():\n    return use()\n\n\n" for number in range(3 * callers.MOST))
    checkout(
        {
            "a.py": "".join(f"def {name}(): ...\n" for name in names),
            "b.py": f"from a import {', '.join(names)}\n\n\ndef use():\n    old({', '.join(names)})\n",
            "c.py": f"from b import use\n\n\n{users}",
        }
    )
    (found,) = shown(planned("definitions", "callers", contains=r"old\(")[0]).values()
    assert found[: definitions.MOST] == [f"a.py::{name}" for name in names[: definitions.MOST]]
    assert found[definitions.MOST :] == [f"c.py::user{number}" for number in range(callers.MOST)]


ODD = {
    "not Python": {"a.txt": "use(f)\n"},
    "nothing of the repository": {"a.py": "from os import path\n\n\ndef f():\n    use(path.join)\n"},
    "itself": {"a.py": "from a import f\n\n\ndef f():\n    use(f)\n"},
    "too far up": {"a.py": "from ...b import g\n\n\ndef f():\n    use(g)\n", "b.py": "def g(): ...\n"},
    "binary": {"a.py": "from b import g\n\n\ndef f():\n    use(g)\n", "b.py": b"def g(): ...\n\0"},
    "a loop": {
        "a.py": "from b import g\n\n\ndef f():\n    use(g)\n",
        "b.py": "from c import g\n",
        "c.py": "from b import g\n",
    },
    "only imports": {"a.py": "def f():\n    use()\n", "b.py": "from a import f\nf = 2\n"},
}


@pytest.mark.parametrize("what", ODD)
def test_where_there_is_nothing_to_show(what: str, planned: Planned, checkout: Callable[..., Checkout]) -> None:
    checkout(ODD[what])
    spec = planned("definitions", "callers", contains=r"use\(", cut="file")[0]
    assert list(shown(spec).values()) in ([[]], [])


def test_more_names_than_git_can_be_asked_for(planned: Planned, checkout: Callable[..., Checkout]) -> None:
    """Then every file is looked at."""
    checkout(FILES)
    (repo,) = planned()[0].repos
    mirror, names = Path(repo.mirror), [f"a_rather_long_name_{number}" for number in range(200_000)]
    assert callers._holding(mirror, repo.commit, {"a.py": "1"}, names) == {"a.py": "1"}
    assert callers._holding(mirror, repo.commit, {"src/shop/cart.py": "1", "a.py": "2"}, [*names[:2000], "other"]) == {
        "src/shop/cart.py": "1"
    }


def test_names_that_no_line_should_have(planned: Planned, checkout: Callable[..., Checkout]) -> None:
    """What a module is called does not act on git."""
    checkout({"-x.py": "def größe():\n    use()\n", "b c.py": "def f():\n    größe()\n"})
    found = planned("definitions", "callers", contains=r"use\(")[0]
    assert shown(found) == {"-x.py::größe": ["b c.py::f"]}
