"""The webhook as it runs, one process over TLS, beside a bare route that says a fixed yes.

``python -m benchmarks.mutate`` has wrk send a recorded request over 8 connections, to the one and
the other in turn, and prints ratios: of requests a second, as fast as each can; of the 99th
percentile of the latency, at the same rate of requests; and of a pod of 200 containers to one of 2.

wrk has no flag for a rate: as a closed loop it asks again as soon as it was answered. So each of
its connections waits for a random time before each request, of a mean that is set, after a first
run that shows how far off it is, so that both sides get the same number of requests a second, half
of what the webhook can do. wrk does not count the wait as latency, and corrects for requests that
it could not send in time.

Where there are two processors, the server has one to itself and wrk the other.
"""

import contextlib
import copy
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

RECORDED = Path(__file__).parent.parent / "tests" / "admission" / "gitlab-runner.create.json"
CONNECTIONS = 8
ROUNDS = 5
SECONDS = 4
RATIO_BOUND, RATIO_GOAL = 0.4, 0.76
P99_BOUND = 3.0
RATES_APART = 0.05
CONTAINERS_BOUND = 30.0

SCRIPT = """
local file = io.open("%(body)s", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = "application/json"
local wait_ms = %(wait_ms)f
if wait_ms > 0 then
  function delay() return math.floor(math.random() * 2 * wait_ms + 0.5) end
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("\\nDONE %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class Run(NamedTuple):
    """What one run of wrk measured."""

    requests_per_second: float
    p99_ms: float


class Server(NamedTuple):
    """A server under test."""

    url: str
    folder: Path

    def load(self, body: bytes, wait_ms: float = 0) -> Run:
        """Have wrk send ``body`` over and over, each connection waiting so long in the mean."""
        (self.folder / "body").write_bytes(body)
        script = self.folder / "script.lua"
        script.write_text(SCRIPT % {"body": self.folder / "body", "wait_ms": wait_ms})
        command = [*_on_processor(1), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s"]
        command += ["-s", str(script), self.url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        told = done.stdout + done.stderr
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {told}")
        (line,) = (line for line in told.splitlines() if line.startswith("DONE "))
        requests, duration_us, p99_us, errors = map(int, line.split()[1:])
        if errors:
            raise RuntimeError(f"{errors} of {requests} requests failed: {told}")
        return Run(requests / duration_us * 1e6, p99_us / 1000)

    def load_at(self, rate: float, body: bytes) -> Callable[[], Run]:
        """Return a way to load at so many requests a second, once it is known how."""
        wait_ms = CONNECTIONS / rate * 1000
        for _ in range(3):
            seen = self.load(body, wait_ms).requests_per_second
            wait_ms = max(wait_ms + CONNECTIONS / rate * 1000 - CONNECTIONS / seen * 1000, 0.01)
        return lambda: self.load(body, wait_ms)


def _on_processor(number: int) -> list[str]:
    if len(os.sched_getaffinity(0)) < 2:
        return []
    return ["taskset", "-c", str(sorted(os.sched_getaffinity(0))[number])]


@contextlib.contextmanager
def serving(folder: Path, *command: str) -> Iterator[Server]:
    """Run a server until the block ends; ``{port}`` in its command is a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [word.replace("{port}", str(port)) for word in command]
    process = subprocess.Popen(
        [*_on_processor(0), sys.executable, "-m", *words], stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{words} does not serve")
            time.sleep(0.05)
        yield Server(f"https://127.0.0.1:{port}/mutate", folder)
    finally:
        process.terminate()
        process.wait(20)


def in_turn(ours: Callable[[], Run], floor: Callable[[], Run]) -> list[tuple[Run, Run]]:
    """Measure both again and again, one after the other."""
    return [(ours(), floor()) for _ in range(ROUNDS)]


def speed(webhook: Server, floor: Server, body: bytes) -> float:
    """Print and return how many requests a second the webhook answers."""
    pairs = in_turn(lambda: webhook.load(body), lambda: floor.load(body))
    ratio = statistics.median(a.requests_per_second / b.requests_per_second for a, b in pairs)
    mine, theirs = medians(pairs)
    _print(
        f"requests a second, as fast as can be: {mine.requests_per_second:,.0f}, "
        f"floor {theirs.requests_per_second:,.0f}: ratio {ratio:.2f} "
        f"(bound {RATIO_BOUND}: {_verdict(ratio >= RATIO_BOUND)}; "
        f"goal {RATIO_GOAL}: {_verdict(ratio >= RATIO_GOAL)})"
    )
    return mine.requests_per_second


def latency(webhook: Server, floor: Server, body: bytes, rate: float) -> None:
    """Print the latency of both at the same rate of requests."""
    pairs = in_turn(webhook.load_at(rate, body), floor.load_at(rate, body))
    ratio = statistics.median(a.p99_ms / b.p99_ms for a, b in pairs)
    mine, theirs = medians(pairs)
    apart = mine.requests_per_second / theirs.requests_per_second - 1
    verdict = _verdict(ratio <= P99_BOUND)
    if abs(apart) > RATES_APART:
        verdict = f"rates {apart:+.0%} apart, so nothing is shown; is the machine busy?"
    _print(
        f"p99 at {mine.requests_per_second:,.0f} and {theirs.requests_per_second:,.0f} requests "
        f"a second: {mine.p99_ms:.2f} ms, floor {theirs.p99_ms:.2f} ms: "
        f"ratio {ratio:.2f} (bound {P99_BOUND:.0f}: {verdict})"
    )


def medians(pairs: list[tuple[Run, Run]]) -> tuple[Run, Run]:
    """Return the median run of each side, figure by figure."""
    ours, floor = zip(*pairs, strict=True)
    return _median(ours), _median(floor)


def _median(runs: Sequence[Run]) -> Run:
    return Run(
        statistics.median(run.requests_per_second for run in runs),
        statistics.median(run.p99_ms for run in runs),
    )


def containers(webhook: Server, review: dict[str, Any]) -> None:
    """Print what a pod of 200 containers costs beside one of 2."""
    many, few = with_containers(review, 200), with_containers(review, 2)
    pairs = in_turn(lambda: webhook.load(many), lambda: webhook.load(few))
    ratio = statistics.median(b.requests_per_second / a.requests_per_second for a, b in pairs)
    _print(
        f"a pod of 200 containers costs {ratio:.1f} times a pod of 2 "
        f"(bound {CONTAINERS_BOUND:.0f}: {_verdict(ratio <= CONTAINERS_BOUND)})"
    )


def with_containers(review: dict[str, Any], count: int) -> bytes:
    """Return the request with as many containers, each like the recorded first."""
    changed = copy.deepcopy(review)
    spec = changed["request"]["object"]["spec"]
    spec["containers"] = [spec["containers"][0] | {"name": f"c{n}"} for n in range(count)]
    return json.dumps(changed).encode()


def _verdict(reached: bool) -> str:  # noqa: FBT001 - a yes or a no
    return "reached" if reached else "NOT reached"


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program's output


def main() -> None:
    """Measure and print."""
    body = RECORDED.read_bytes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flags = ("--host", "127.0.0.1", "--port", "{port}", "--self-signed", name)
        with (
            serving(folder, "webhook", "serve", *flags) as webhook,
            serving(folder, "benchmarks.floor", "{port}", name) as floor,
        ):
            mine = speed(webhook, floor, body)
            latency(webhook, floor, body, mine / 2)
            containers(webhook, json.loads(body))


if __name__ == "__main__":
    main()
