"""The webhook without its server: bytes of a request in, bytes of the answer out.

``python -m benchmarks.inject`` prints the time of one recorded request beside the least that any
webhook must do, reading its JSON, and what 100 times as many containers cost. Times are medians;
a ratio is taken of each pair in turn, so that a machine whose speed drifts drifts on both sides.
"""

import copy
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from webhook.review import answer
from webhook.settings import resolve

RECORDED = Path(__file__).parent.parent / "tests" / "admission" / "jenkins-agent.create.json"
ROUNDS = 41
CALLS = 200
BOUND_200_TO_2 = 30.0

SETTINGS = resolve()


def inject(body: bytes) -> None:
    """Answer a request."""
    answer(body, lambda _: SETTINGS)


def microseconds(call: Callable[[bytes], object], body: bytes, calls: int = CALLS) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    for _ in range(calls):
        call(body)
    return (time.perf_counter() - start) / calls * 1e6


def pairs(one: Callable[[], float], other: Callable[[], float]) -> tuple[float, float, float]:
    """Return the medians of both, and the median of their ratio, measured in turn."""
    samples = [(one(), other()) for _ in range(ROUNDS)]
    ones, others = zip(*samples, strict=True)
    ratio = statistics.median(a / b for a, b in samples)
    return statistics.median(ones), statistics.median(others), ratio


def with_containers(review: dict[str, Any], count: int) -> bytes:
    """Return the request with as many containers, each like the recorded first."""
    changed = copy.deepcopy(review)
    spec = changed["request"]["object"]["spec"]
    spec["containers"] = [spec["containers"][0] | {"name": f"c{n}"} for n in range(count)]
    return json.dumps(changed).encode()


def main() -> None:
    """Measure and print."""
    body = RECORDED.read_bytes()
    ours, floor, ratio = pairs(
        lambda: microseconds(inject, body), lambda: microseconds(json.loads, body)
    )
    print(  # noqa: T201 - a command's own output
        f"a recorded request of {len(body)} bytes: {ours:.0f} us, "
        f"json.loads alone {floor:.0f} us, ratio {ratio:.2f}"
    )
    review = json.loads(body)
    few, many = with_containers(review, 2), with_containers(review, 200)
    long, short, ratio = pairs(
        lambda: microseconds(inject, many, CALLS // 20), lambda: microseconds(inject, few)
    )
    verdict = "reached" if ratio <= BOUND_200_TO_2 else "NOT reached"
    print(  # noqa: T201 - a command's own output
        f"200 containers: {long:.0f} us, 2 containers: {short:.0f} us, "
        f"ratio {ratio:.1f} (bound {BOUND_200_TO_2:.0f}: {verdict})"
    )


if __name__ == "__main__":
    main()
