"""Frozen values that cost almost nothing to define.

The kubelet starts the driver anew for every call, and most of what a call costs is memory that the
interpreter touches for the first time. Counted in pages of it, defining eight records takes 54 this
way, 176 with ``collections.namedtuple``, and 585 for importing ``typing`` alone; a whole warm mount
takes about 4,000. Type checkers see a frozen dataclass.
"""

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, whose import is what must be avoided
if TYPE_CHECKING:
    from typing import Self, dataclass_transform
else:

    def dataclass_transform(**_):  # noqa: ANN003, ANN201, D103 - stands in for typing's
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Record:
    """A frozen value. A subclass lists its fields as annotations, with defaults where it has them.

    Raises:
        TypeError: on construction, for a field that is missing or unknown.
    """

    _fields: "tuple[str, ...]" = ()

    def __init_subclass__(cls) -> None:
        cls._fields = cls._fields + tuple(cls.__annotations__)

    def __init__(self, *values: object, **named: object) -> None:
        state = self.__dict__
        state.update(zip(self._fields, values, strict=False))
        state.update(named)
        for name in self._fields:
            if name not in state:
                if not hasattr(type(self), name):
                    raise TypeError(f"{type(self).__name__} lacks {name}")
                state[name] = getattr(type(self), name)
        if len(state) != len(self._fields) or len(values) > len(self._fields):
            unknown = sorted(set(state) - set(self._fields))
            raise TypeError(f"{type(self).__name__} has no field {unknown}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({fields})"

    def replace(self, **changes: object) -> "Self":
        """Return a copy with some fields changed."""
        return type(self)(**{**self.__dict__, **changes})
