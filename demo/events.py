"""What the node tells the terminal while the demonstration runs: one JSON line an event."""

import msgspec


class Chapter(msgspec.Struct, frozen=True, tag=True):
    """A new part of the demonstration begins."""

    title: str


class Step(msgspec.Struct, frozen=True, tag=True):
    """Something is being done; ``Done`` follows."""

    text: str


class Done(msgspec.Struct, frozen=True, tag=True):
    """The last step is done."""

    seconds: float


class Said(msgspec.Struct, frozen=True, tag=True):
    """Output of a command worth seeing."""

    text: str


class Check(msgspec.Struct, frozen=True, tag=True):
    """Something that must hold, and whether it does."""

    text: str
    holds: bool


class PodTimes(msgspec.Struct, frozen=True, tag=True):
    """How long one pod took, and how many of its build steps came from the cache."""

    pod: str
    mount_seconds: float
    daemon_seconds: float
    base_image_seconds: float
    build_seconds: float
    steps: int
    steps_cached: int


Event = Chapter | Step | Done | Said | Check | PodTimes

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def to_line(event: Event) -> str:
    """Return the event as one line of JSON."""
    return _encoder.encode(event).decode()


def from_line(line: str) -> Event | None:
    """Return the event on a line, or None where the line is something else (the kernel's, say)."""
    try:
        return _decoder.decode(line)
    except msgspec.MsgspecError:
        return None
