"""The guarded child: reads one request after another from stdin and answers on stdout.

Requests and answers are a 4-byte length and JSON: {"call": "module:function", "with": {...}}, where the module is one
of this package; then {"gives": value}, {"skip": reason} or {"error": traceback}. What a codemod prints goes nowhere.
"""

from __future__ import annotations

import importlib
import json
import os
import struct
import sys
import threading
import traceback
from typing import Any

from operators.data import Skip
from operators.syntax import quicker

STACK = 256 << 20  # bytes; with RECURSION, a legal sum of 2,000 terms is parsed and visited
RECURSION = 20_000


def main() -> None:
    """Serve until stdin ends."""
    threading.stack_size(STACK)
    sys.setrecursionlimit(RECURSION)
    quicker.install()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    thread = threading.Thread(target=_serve, args=(answers,))
    thread.start()
    thread.join()


def _serve(answers: Any) -> None:
    while head := sys.stdin.buffer.read(4):
        (length,) = struct.unpack(">I", head)
        request = json.loads(sys.stdin.buffer.read(length))
        answer = json.dumps(_answer(request)).encode()
        answers.write(struct.pack(">I", len(answer)) + answer)
        answers.flush()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        module, function = request["call"].split(":")
        call = getattr(importlib.import_module(f"operators.syntax.{module}"), function)
        return {"gives": call(**request["with"])}
    except Skip as why:
        return {"skip": str(why)}
    except (RecursionError, MemoryError) as error:
        return {"skip": f"too deep or too large to parse ({type(error).__name__})"}
    except Exception:
        return {"error": traceback.format_exc(limit=-6)}


if __name__ == "__main__":
    main()
