from __future__ import annotations

import pytest

from operators.data import Skip
from operators.syntax.pinned import faults

ABOUT = "import numpy as np\nimport os\nfrom decimal import Decimal\n\n\ndef label(name): ...\n"
GOOD = "from app.labels import label\n\n\ndef test_label():\n    assert label('a') == 'A'\n"


def found(text: str) -> str:
    return "\n".join(what for _, what in faults(text, ["app.labels"], [ABOUT], ["app", "tests"]))


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace("from app.labels import label", "from app import labels\nfrom app.labels import label"),
        "import app.labels\n\n\ndef test_label():\n    assert app.labels.label('a') == 'A'\n",
        "from app import labels\n\n\ndef test_label():\n    assert labels.label('a') == 'A'\n",
        "import numpy\nimport pytest\nfrom tests.common import CASES\n" + GOOD,
        "import pytest\n"
        + GOOD.replace("assert label('a') == 'A'", "with pytest.raises(TypeError):\n        label(1)"),
        "import unittest\nfrom app.labels import label\n\n\nclass TestLabel(unittest.TestCase):\n"
        "    def test_label(self):\n        self.assertEqual(label('a'), 'A')\n",
        "from app.labels import label\n\n\ndef check(name, as_):\n    assert label(name) == as_\n\n\n"
        "def test_label():\n    check('a', 'A')\n",
        GOOD + "\n\ndef test_printed(capsys, caplog):\n    label('b')\n    assert capsys.readouterr().out == 'b'\n",
    ],
)
def test_what_a_generated_test_may_hold(text: str) -> None:
    assert found(text) == ""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("def test_", "def check_", "there is no test in it"),
        ("from app.labels import", "from other import", "does not import `app.labels`"),
        ("from app.labels import label", "from app import label", "does not import `app.labels`"),
        ("assert label('a') == 'A'", "label('a')", "`test_label` asserts nothing that could fail"),
        ("assert label('a') == 'A'", "assert label('a') or True", "asserts nothing that could fail"),
        ("assert", "import time; time.sleep(1)\n    assert", "a test must not wait"),
        ("from app", "import time as clock\nfrom app", "`time` is imported"),
        ("from app", "import sqlalchemy\nfrom app", "`sqlalchemy` is imported, which the code"),
        ("from app", "from . import label\nfrom app", "`..label` is imported"),
        ("assert", "open('x', 'w').write('x')\n    assert", "`open` is used: a test must not touch files"),
        ("assert", "import os; os.remove('x')\n    assert", "`os.remove` is used: a test must not touch files"),
        ("assert", "from pathlib import Path; Path('x').write_text('x')\n    assert", "`write_text()` is called"),
        ("assert", "import socket; socket.create_connection(('a', 1))\n    assert", "talks to the network"),
        ("assert", "import subprocess; subprocess.run(['ls'])\n    assert", "starts programs"),
        ("assert", "import os; os.system('ls')\n    assert", "starts programs"),
        ("assert", "import random; random.random()\n    assert", "another each time"),
        ("assert", "import os; os.environ['A'] = '1'\n    assert", "depends on where the test runs"),
        ("assert", "import inspect; inspect.getsource(label)\n    assert", "not at how it is written"),
        (
            "assert",
            "assert label.__code__.co_consts == (1,)\n    assert",
            "`__code__` is used: a test looks at what code",
        ),
        ("assert", "assert getattr(label, '__code__')\n    assert", "`__code__` is used"),
        ("assert", "assert __file__\n    assert", "`__file__` is used"),
        ("assert", "import sys; sys.modules['coverage'].stop()\n    assert", "depends on where the test runs"),
        ("assert", "__import__('app.labels')\n    assert", "imports by a name made up as it runs"),
        ("assert", "import app.labels\n    app.labels.label = str.upper\n    assert", "is set: changes code"),
        ("assert", "from app import labels\n    labels.SIGN = 'x'\n    assert", "`labels.SIGN` is set: changes code"),
        ("assert", "from app import labels\n    setattr(labels, 'SIGN', 1)\n    assert", "is called: changes code"),
        ("label():", "label(monkeypatch):\n    monkeypatch.undo()", "what is replaced for the test is not tested"),
        ("assert", "from unittest import mock; mock.patch('a.b')\n    assert", "replaced for the test"),
        ("def", "import pytest\n@pytest.mark.skip\ndef", "a test that is skipped shows nothing"),
        (
            "    assert label('a') == 'A'",
            "    try:\n        assert label('a')\n    except Exception:\n        pass",
            "hides",
        ),
        ("assert", "import sys; sys.exit(0)\n    assert", "can end a test run early"),
        ("assert", "eval('1')\n    assert", "runs text as code"),
    ],
)
def test_what_it_must_not_hold(old: str, new: str, told: str) -> None:
    assert old in GOOD
    assert told in found(GOOD.replace(old, new))


def test_one_that_does_not_parse_is_said_to_be_such() -> None:
    with pytest.raises(Skip, match="syntax error on line 1"):
        found("def test(:\n")
