"""An OpenAI-compatible server on this machine, over real HTTP, that answers by a function."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ChatStub:
    """Answers requests with ``answer(request)``: a text, or a status other than 200.

    Prompt tokens are its words, generated tokens those of the answer. Where they are asked for, it
    tells the log-probabilities of first tokens that ``logprobs(request)`` says.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], str | int], **more: Any) -> None:
        self.answer = answer
        self.usage = more.get("usage", True)
        self.body = more.get("body")
        self.logprobs = more.get("logprobs")
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with stub.lock:
                    stub.at_once += 1
                    stub.most_at_once = max(stub.most_at_once, stub.at_once)
                    stub.requests.append(request)
                    stub.headers.append({k.lower(): v for k, v in self.headers.items()})
                found = stub.answer(request)
                body = stub.completion(request, found)
                with stub.lock:
                    stub.at_once -= 1
                self.send_response(found if isinstance(found, int) else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            def handle_error(self, *words: Any) -> None: ...  # a client that would not wait

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def completion(self, request: dict[str, Any], found: str | int) -> bytes:
        if self.body is not None:
            return self.body
        if isinstance(found, int):
            return json.dumps({"error": {"message": f"no luck ({found})"}}).encode()
        message = {"role": "assistant", "content": found}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        if self.logprobs and request.get("logprobs"):
            told = [
                {"token": token, "logprob": value, "bytes": None}
                for token, value in self.logprobs(request).items()
            ]
            assert len(told) <= request["top_logprobs"]
            first = {**told[0], "top_logprobs": told} if told else None
            choice["logprobs"] = {"content": [first] if first else []}
        value: dict[str, Any] = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [choice],
        }
        if self.usage:
            prompt, written = words(request), len(found.split())
            value["usage"] = {
                "prompt_tokens": prompt,
                "completion_tokens": written,
                "total_tokens": prompt + written,
            }
        return json.dumps(value).encode()

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def words(request: dict[str, Any]) -> int:
    return sum(len(message["content"].split()) for message in request["messages"])


def slowly(seconds: float, answer: str | int) -> str | int:
    time.sleep(seconds)
    return answer
