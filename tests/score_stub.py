"""A server of scores on this machine, over real HTTP, as strict as the real ones or stricter."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

VLLM, TEI, V1, V2 = "/score", "/rerank", "/v1/rerank", "/v2/rerank"
REQUIRED = {
    VLLM: {"model": str, "text_1": str, "text_2": list},
    TEI: {"query": str, "texts": list},
    V1: {"model": str, "query": str, "documents": list},
    V2: {"model": str, "query": str, "documents": list},
}
ALLOWED = {
    VLLM: {"use_activation": bool, "truncate_prompt_tokens": int},
    TEI: {"raw_scores": bool, "truncate": bool, "return_text": bool, "truncation_direction": str},
    V1: {"top_n": int, "return_documents": bool},
    V2: {"top_n": int, "max_tokens_per_doc": int},
}
DOCUMENTS = {VLLM: "text_2", TEI: "texts", V1: "documents", V2: "documents"}
QUERY = {VLLM: "text_1", TEI: "query", V1: "query", V2: "query"}


class Failure(NamedTuple):
    """A status other than 200, or a body that is no answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class ScoreStub:
    """Scores documents with ``score(query, document)``.

    ``fail(number)`` may give another answer to the request of this number, counted from 1;
    ``change(answer)`` alters what is answered; ``model`` is what it serves.
    """

    def __init__(self, score: Callable[[str, str], float], **more: Any) -> None:
        self.score = score
        self.fail: Callable[[int], Failure | None] = more.get("fail", lambda _: None)
        self.change: Callable[[Any], Any] = more.get("change", lambda answer: answer)
        self.model = more.get("model", "some/model")
        self.says: dict[str, Any] = more.get("says", {})
        self.wants_key = more.get("wants_key")
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                said = stub.says.get(self.path)
                found = Failure(404, b'{"detail": "Not Found"}') if said is None else said
                self.answer(found)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with stub.lock:
                    stub.at_once += 1
                    stub.most_at_once = max(stub.most_at_once, stub.at_once)
                    stub.requests.append((self.path, json.loads(body)))
                    stub.headers.append({k.lower(): v for k, v in self.headers.items()})
                    number = len(stub.requests)
                try:
                    found = stub.fail(number) or stub.respond(
                        self.path, json.loads(body), self.headers.get("authorization")
                    )
                finally:
                    with stub.lock:
                        stub.at_once -= 1
                self.answer(found)

            def answer(self, found: Any) -> None:
                status, body, headers = 200, b"", ()
                if isinstance(found, Failure):
                    status, body, headers = found
                else:
                    body = json.dumps(found).encode()
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
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
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def respond(self, path: str, request: dict[str, Any], key: str | None) -> Any:
        if self.wants_key and key != f"Bearer {self.wants_key}":
            return Failure(401, b'{"message": "invalid api token"}')
        if problem := find_problem(path, request):
            return Failure(422, json.dumps({"detail": problem}).encode())
        if path != TEI and request["model"] != self.model:
            message = f"The model `{request['model']}` does not exist."
            return Failure(404, json.dumps({"error": {"message": message}}).encode())
        query, documents = request[QUERY[path]], request[DOCUMENTS[path]]
        scores = [self.score(query, document) for document in documents]
        return self.change(self.lay_out(path, scores))

    def lay_out(self, path: str, scores: list[float]) -> Any:
        """Answers as the real servers give them: best first, but for /score."""
        order = sorted(range(len(scores)), key=lambda place: -scores[place])
        if path == TEI:
            return [{"index": place, "score": scores[place]} for place in order]
        if path == VLLM:
            data = [
                {"index": place, "object": "score", "score": score}
                for place, score in enumerate(scores)
            ]
            usage = {"prompt_tokens": 7 * len(scores), "total_tokens": 7 * len(scores)}
            said = {"id": "score-1", "object": "list", "created": 0, "model": self.model}
            return {**said, "data": data, "usage": usage}
        results = [{"index": place, "relevance_score": scores[place]} for place in order]
        if path == V2:
            return {"id": "1", "results": results, "meta": {"billed_units": {"search_units": 1}}}
        return {"model": self.model, "usage": {"total_tokens": 5}, "results": results}

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def find_problem(path: str, request: dict[str, Any]) -> str | None:
    """What the server would not have in a request."""
    if path not in REQUIRED:
        return f"no such path: {path}"
    kinds = REQUIRED[path] | ALLOWED[path]
    documents = request.get(DOCUMENTS[path], [])
    rules = {
        f"field required: {REQUIRED[path].keys() - request.keys()}": REQUIRED[path].keys()
        <= request.keys(),
        f"extra field: {request.keys() - kinds.keys()}": request.keys() <= kinds.keys(),
        "wrong type": all(type(value) is kinds.get(name) for name, value in request.items()),
        "documents must be texts": bool(documents) and {type(text) for text in documents} == {str},
        f"batch size {len(documents)} > maximum allowed batch size 32": path != TEI
        or len(documents) <= 32,
        "top_n must be at least 1": request.get("top_n", 1) >= 1,
    }
    return next((rule for rule, holds in rules.items() if not holds), None)
