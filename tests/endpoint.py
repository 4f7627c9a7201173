"""A model endpoint for tests: a real HTTP server whose words are scripted.

A double, because a model's words cannot be had on demand and faults not at all. Requests and answers follow
https://platform.openai.com/docs/api-reference/chat/create field by field, as far as Umbau reads them: `model`,
`messages`, `temperature`, `max_tokens`, `seed`; `choices[0].message.content`, `choices[0].finish_reason`, `usage`.
"""

from __future__ import annotations

import json
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self


@dataclass
class Says:
    """One answer. `body` replaces the whole of it, for answers that are no completions."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    after: float = 0.0
    finish: str = "stop"
    hang_up: bool = False
    """End the connection in the middle of the answer."""


Script = Callable[[dict[str, Any]], Says | str]


class Endpoint:
    """`says`: answers in order, the last one again and again; or a function of the request.

    `ping`: what a question of one word is answered with; as any other when it is None.
    """

    def __init__(self, *says: Says | str, script: Script | None = None) -> None:
        self.queue = deque(says)
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.pings: list[dict[str, Any]] = []
        self.ping: Says | None = None
        self.keys: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else the body waits 40 ms for the headers to be confirmed

            def do_POST(self) -> None:
                if owner.gone:
                    self.close_connection = True  # it was kept from before
                else:
                    owner.answer(self)

            def log_message(self, *args: Any) -> None: ...

        self.handler, self.gone = Handler, False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.scheme = "http"

    def behind_tls(self, certificate: Path) -> Self:
        """Answer at https, with this certificate and key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "https"
        return self

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_port}/v1"

    def stop(self) -> None:
        """Be gone: who connects is refused."""
        self.gone = True
        self.server.shutdown()
        self.server.server_close()

    def start_again(self) -> None:
        """Be back, at the same port."""
        self.server = ThreadingHTTPServer(self.server.server_address, self.handler)
        self.server.daemon_threads = True
        self.gone = False
        self.__enter__()

    def say(self, *says: Says | str) -> None:
        self.queue = deque(says)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        request = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        assert handler.path == "/v1/chat/completions"
        self.keys.append(handler.headers.get("authorization", ""))
        if request["messages"] == [{"role": "user", "content": "ping"}]:
            self.pings.append(request)
            said = self.ping or (self.script(request) if self.script else self.queue[0])
        else:
            self.requests.append(request)
            said = self.script(request) if self.script else self.queue[0]
            if not self.script and len(self.queue) > 1:
                self.queue.popleft()
        says = Says(said) if isinstance(said, str) else said
        time.sleep(says.after)
        body = says.body if says.body is not None else _completion(request, says)
        try:
            handler.send_response(says.status)
            handler.send_header("content-length", str(len(body)))
            for name, value in says.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body[: len(body) // 2] if says.hang_up else body)
            if says.hang_up:
                handler.close_connection = True
        except OSError:  # the client has given up
            pass

    def __enter__(self) -> Self:
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def _completion(request: dict[str, Any], says: Says) -> bytes:
    prompt = sum(len(message["content"]) for message in request["messages"])
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": request["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": says.text}, "finish_reason": says.finish}],
        "usage": {
            "prompt_tokens": prompt // 4,
            "completion_tokens": len(says.text) // 4,
            "total_tokens": (prompt + len(says.text)) // 4,
        },
    }
    return json.dumps(answer).encode()
