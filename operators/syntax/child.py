"""The guarded child: reads one request after another from stdin and answers on stdout.

Requests and answers are a 4-byte length and JSON: {"call": "module:function", "with": {...}}, where the module is one
of this package; then {"gives": value}, {"skip": reason} or {"error": traceback}. An empty answer comes first, when the
child is ready. What a codemod prints goes nowhere.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import struct
import sys
import threading
import traceback
from typing import BinaryIO

from operators.data import Skip, told
from operators.syntax import quicker

STACK = 256 << 20  # bytes; with RECURSION, a legal sum of 2,000 terms is parsed and visited
RECURSION = 20_000
OBJECTS = 100_000  # made before Python looks for cycles: a tree has many objects and no cycle


def main() -> None:
    """Serve until stdin ends."""
    threading.stack_size(STACK)
    sys.setrecursionlimit(RECURSION)
    quicker.install()
    gc.freeze()
    gc.set_threshold(OBJECTS)
    # What a codemod reads or prints, and whatever it starts, must not come between.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    thread = threading.Thread(target=_serve, args=(requests, answers))
    thread.start()
    thread.join()


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    answers.write(struct.pack(">I", 0))
    answers.flush()
    try:
        while head := requests.read(4):
            (length,) = struct.unpack(">I", head)
            answer = _answer(requests.read(length))
            answers.write(struct.pack(">I", len(answer)) + answer)
            answers.flush()
    except MemoryError:
        os.abort()  # as LibCST does when it gets no more: that is the file's fault


def _answer(asked: bytes) -> bytes:
    try:
        request = json.loads(asked)
        module, function = request["call"].split(":")
        call = getattr(importlib.import_module(f"operators.syntax.{module}"), function)
        return json.dumps({"gives": call(**request["with"])}).encode()
    except Skip as why:
        answer = {"skip": str(why)}
    except (RecursionError, MemoryError) as error:
        answer = {"skip": f"too deep or too large to parse ({type(error).__name__})"}
    except BaseException as error:  # a codemod that calls sys.exit() has failed, nothing else
        answer = {"error": f"{told(error)}\n{traceback.format_exc(limit=-6)}"}
    return json.dumps(answer).encode()


if __name__ == "__main__":
    main()
