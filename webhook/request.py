"""What one pod asks for: its annotations over the settings of its namespace, within the bounds.

All faults are gathered, so that a person is told of everything at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from flexvol.contract import MIN_STORAGE_MIB
from webhook import image, names, quantity
from webhook.clients import Client
from webhook.options import OPTIONS, Options, SizeTooSmallError, nearest
from webhook.outcome import Code, Fault, fault, listed, quoted
from webhook.settings import Settings

AMOUNTS = frozenset({"cpu", "memory", "cpu-limit", "memory-limit"})
"""Options whose values are quantities, kept as they were written."""


_UNKNOWN_SHOWN = 5


class DindRequest(NamedTuple):
    """What a pod asks for, as far as it can be understood.

    Attributes:
        options: the options in force; where there are faults, some are the defaults.
        asked: names of the options that the pod's own annotations decide.
        faults: reasons to refuse it; empty for a request that can be granted.
        warnings: what it probably did not mean.
    """

    options: Options
    asked: frozenset[str]
    faults: tuple[Fault, ...]
    warnings: tuple[str, ...]


def read(
    annotations: Mapping[str, str], possible: Sequence[Client], settings: Settings
) -> DindRequest:
    """Read what a pod asks for.

    Args:
        annotations: all of the pod's.
        possible: the containers that could get Docker.
        settings: what holds in the pod's namespace.
    """
    faults: list[Fault] = []
    unknown: list[str] = []
    values: dict[str, object] = {}
    texts: dict[str, str] = {}
    for annotation, text in annotations.items():
        if not annotation.startswith(names.PREFIX) or annotation == names.STATUS_ANNOTATION:
            continue
        name = annotation.removeprefix(names.PREFIX)
        option = OPTIONS.get(name)
        if option is None:
            unknown.append(name)
            continue
        value = _value(name, text, faults)
        if value is None:
            continue
        if name not in settings.admin.enforce:
            values[option.field] = value
            texts[name] = text
        elif not _same(name, value, getattr(settings.options, option.field)):
            faults.append(fault(Code.ENFORCED, name=name, value=quoted(text)))
    options = settings.options
    if values:
        options = msgspec.structs.replace(options, **values)
        if "containers" in texts:
            faults.extend(_missing(options.containers, possible, texts["containers"]))
    faults.extend(_out_of_bounds(options, texts, settings))
    options = _reconciled(options, texts, settings.admin.enforce, faults)
    return DindRequest(options, frozenset(texts), tuple(faults), tuple(_warnings(unknown)))


def _same(name: str, value: object, other: object) -> bool:
    """Say whether two values of an option mean the same; ``1024Mi`` is ``1Gi``."""
    if name in AMOUNTS and isinstance(value, str) and isinstance(other, str):
        return quantity.parse(value) == quantity.parse(other)
    return value == other


def _warnings(unknown: list[str]) -> Iterator[str]:
    """Yield a warning of each unknown annotation, but of no more than a person reads."""
    for name in unknown[:_UNKNOWN_SHOWN]:
        said = f"annotation {quoted(f'{names.PREFIX}{name}')} is unknown and has no effect"
        meant = nearest(name, tuple(OPTIONS))
        yield f"{said}; is {names.PREFIX}{meant} meant?" if meant else said
    if len(unknown) > _UNKNOWN_SHOWN:
        yield f"{len(unknown) - _UNKNOWN_SHOWN} more annotations are unknown and have no effect"


def _value(name: str, text: str, faults: list[Fault]) -> object:
    """Return the value of an annotation, or note a fault and return None."""
    try:
        return OPTIONS[name].parse(text)
    except SizeTooSmallError:
        faults.append(fault(Code.SIZE_TOO_SMALL, value=quoted(text), least=str(MIN_STORAGE_MIB)))
    except ValueError:
        faults.append(_bad(name, text, OPTIONS[name].right))
    return None


def _bad(name: str, text: str, right: str) -> Fault:
    return fault(Code.BAD_ANNOTATION, name=name, value=quoted(text), right=right)


def _missing(asked: tuple[str, ...], possible: Sequence[Client], text: str) -> list[Fault]:
    present = dict.fromkeys(client.container.name for client in possible)
    missing = [name for name in asked if name not in present]
    if not missing:
        return []
    right = f"the pod has no container {listed(missing)}; it has {listed(present)}"
    return [_bad("containers", text, right)]


def _out_of_bounds(options: Options, texts: Mapping[str, str], settings: Settings) -> list[Fault]:
    admin = settings.admin
    faults = []
    bound_mib = admin.max_storage_size_mib
    if bound_mib is not None and options.storage_size_mib > bound_mib:
        value = texts.get("storage-size")
        faults.append(
            fault(
                Code.OVER_LIMIT,
                what=_origin("storage-size", texts, settings),
                value=f"{options.storage_size_mib}Mi" if value is None else quoted(value),
                bound=f"{bound_mib}Mi",
            )
        )
    if admin.allowed_images and not image.is_allowed(options.image, admin.allowed_images):
        faults.append(
            fault(
                Code.IMAGE_NOT_ALLOWED,
                what=_origin("image", texts, settings),
                value=quoted(options.image),
                patterns=listed(admin.allowed_images),
            )
        )
    return faults


def _origin(name: str, texts: Mapping[str, str], settings: Settings) -> str:
    """Return who decided an option, as the subject of a sentence."""
    if name in texts:
        return f"annotation {names.PREFIX}{name}"
    if name in settings.from_namespace:
        return f"{name} in the namespace's ConfigMap {names.DEFAULTS_CONFIGMAP}"
    return f"the default {name}"


def _reconciled(
    options: Options, texts: Mapping[str, str], enforced: frozenset[str], faults: list[Fault]
) -> Options:
    """Return ``options`` with no request over its limit, or note a fault.

    A request that the pod names must fit under the limit, and the pod's own limit must leave room
    for a request that is enforced; one that is a mere default gives way.
    """
    for resource in ("cpu", "memory"):
        request: str = getattr(options, resource)
        limit: str | None = getattr(options, f"{resource}_limit")
        if limit is None or quantity.parse(request) <= quantity.parse(limit):
            continue
        if resource in texts:
            right = f"the limit is {quoted(limit)}; ask for less, or set dind/{resource}-limit"
            faults.append(_bad(resource, request, right))
        elif resource in enforced and f"{resource}-limit" in texts:
            right = f"write {quoted(request)} or more, which the administrator has it request"
            faults.append(_bad(f"{resource}-limit", limit, right))
        else:
            options = msgspec.structs.replace(options, **{resource: limit})
    return options
