"""What the framework costs beside the model's time: overhead per candidate, and many candidates at once.

    python benchmarks/generation.py [--tasks lbf-5x5-2p-1f,...] [--jail lockdown]

Prints one JSON line per measurement. `replay`: a recorded run of K = 3, L = 3 from start to artifact; a recorded
model answers at once, so all of its time is overhead. `parallel`: 32 candidates at once, each a good one, against a
server on loopback that takes 2 s for every reply. Targets: below 1 s per candidate, a replay below 20 s, 32 candidates
below 10 s.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from qredit.agents import ModelSettings
from qredit.api.generation import generate
from qredit.api.settings import Request
from qredit.graphs import GenerationSettings
from qredit.prompts.files import ROOM

PARALLEL = 32
LATENCY_SECONDS = 2.0
CODE = '''import torch


def credit(state):
    """Candidate NUMBER: nearness to food that is there."""
    distance = (state["agent_position"].unsqueeze(2) - state["food_position"].unsqueeze(1)).abs().sum(dim=-1)
    there = (state["food_level"] > 0).float().unsqueeze(1)
    return 0.NUMBER1 + (there * torch.exp(-0.5 * distance)).sum(dim=2)
'''


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    recorded = sorted(path.parent.name for path in (ROOM / "recordings").glob("*/recording.jsonl"))
    parser.add_argument("--tasks", default=",".join(recorded), help="tasks to replay")
    parser.add_argument("--jail", default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["QREDIT_RUNS"] = folder
        for task in filter(None, options.tasks.split(",")):
            _tell("replay", task=task, **_replay(task, options.jail))
        _tell("parallel", candidates=PARALLEL, latency_seconds=LATENCY_SECONDS, **_parallel(options.jail))


def _replay(task: str, jail: str) -> dict[str, object]:
    done = generate(Request(task, model="replay", jail=jail))
    candidates = sum(summary.attempts for r in done.result.rounds for summary in r.candidates)
    return {
        "seconds": round(done.seconds, 2),
        "checked": candidates,
        "seconds_per_candidate": round(done.seconds / candidates, 3),
        "jail": done.jail,
        "drift": str(done.result.drift),
    }


def _parallel(jail: str) -> dict[str, object]:
    settings = GenerationSettings(candidates=PARALLEL, rounds=0, max_concurrency=PARALLEL)
    with _slow_server() as url:
        started = time.perf_counter()
        request = Request("lbf-5x5-2p-1f", model="slow", base_url=url, jail=jail)
        done = generate(request, settings=settings, sampling=ModelSettings(model="slow"))
        seconds = time.perf_counter() - started
    accepted = sum(s.status == "accepted" for r in done.result.rounds for s in r.candidates)
    return {"seconds": round(seconds, 2), "accepted": accepted, "jail": done.jail}


@contextmanager
def _slow_server() -> Iterator[str]:
    """An endpoint on loopback that takes its time; each reply is another candidate. Gives its base URL."""
    numbers = iter(range(10_000))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                code = CODE.replace("NUMBER", str(10 + next(numbers)))
            time.sleep(LATENCY_SECONDS)
            message = {"role": "assistant", "content": f"```python\n{code}```\n"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            reply = {"id": "x", "object": "chat.completion", "created": 0, "model": "slow", "choices": choices}
            body = json.dumps({**reply, "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 2 * PARALLEL

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _tell(measurement: str, **figures: object) -> None:
    cores = len(os.sched_getaffinity(0))
    print(json.dumps({"measurement": measurement, "cores": cores, **figures}), flush=True)


if __name__ == "__main__":
    main()
