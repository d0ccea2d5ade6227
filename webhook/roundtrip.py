"""YAML that a person wrote, changed by a patch of additions: order and comments stay in place.

``ruamel.yaml`` hangs a comment on the node *before* it. What is added after that node takes the
comment along, or it would come between the comment and what the comment is about.
"""

import copy
import sys
from collections.abc import Iterable
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString
from ruamel.yaml.tokens import CommentToken

from webhook.patch import Operation

UNREADABLE = (YAMLError, ValueError, KeyError)
"""What ``ruamel.yaml`` raises: the latter two at ``2024-99-99`` and ``!!bool x``."""

_WORDS_FOR_TRUTH = {
    word: truth
    for truth, words in ((True, ("yes", "on", "y")), (False, ("no", "off", "n")))
    for each in words
    for word in (each, each.capitalize(), each.upper())
}
"""Truth as YAML 1.1 has it besides ``true`` and ``false``: kubectl reads that, not 1.2."""

Node = CommentedMap | CommentedSeq
Key = str | int
LAST = "-"


def round_trip() -> YAML:
    """Return a reader and writer that keeps what a person wrote."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = sys.maxsize
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    return yaml


def plain(node: object) -> object:
    """Return ``node`` in the plain types of JSON, as kubectl would send it.

    What JSON lacks, dates for one, is text; a text in quotes is one whatever it says.
    """
    if isinstance(node, dict):
        return {str(key): plain(node[key]) for key in node}
    if isinstance(node, list):
        return [plain(each) for each in node]
    if type(node) is str and node in _WORDS_FOR_TRUTH:
        return _WORDS_FOR_TRUTH[node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return None if node is None else str(node)


def apply(root: Node, operations: Iterable[Operation]) -> None:
    """Apply additions to ``root``, in place."""
    for operation in operations:
        *parents, last = (_unescaped(token) for token in operation.path.split("/")[1:])
        node = root
        for token in parents:
            parent, key = node, _key(node, token)
            node = _own_child(parent, key)
        value = _styled(msgspec.to_builtins(operation.value))
        if isinstance(node, CommentedMap):
            tail = _take_tail(node)
            node[last] = value
        elif last == LAST:
            tail = _take_tail(node)
            node.append(value)
        else:
            tail = _take_head(parent, key, node) if last == "0" else ""
            node.insert(int(last), value)
        if tail:
            _give_tail(node, _key(node, last), tail)


def _unescaped(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def _key(node: Node, token: Key) -> Key:
    """Return ``token`` as a key of ``node``; ``-`` is the last of a list."""
    if isinstance(node, CommentedMap):
        return token
    return len(node) - 1 if token == LAST else int(token)


def _own_child(node: Node, key: Key) -> Node:
    """Return a child that may be changed: one with an anchor, or merged in, stands elsewhere."""
    child: Node = node[key]
    if child.anchor.value is not None or (isinstance(node, CommentedMap) and node.merge):
        child = copy.deepcopy(child)
        child.anchor.value = None
        node[key] = child
    return child


def _styled(value: object) -> object:
    """Return a new value as a person would write it: text of several lines as such."""
    if isinstance(value, dict):
        return CommentedMap((key, _styled(each)) for key, each in value.items())
    if isinstance(value, list):
        return CommentedSeq(map(_styled, value))
    if isinstance(value, str) and "\n" in value:
        return LiteralScalarString(value)
    return value


def _last_key(node: Node) -> Key:
    return next(reversed(node)) if isinstance(node, CommentedMap) else len(node) - 1


def _last_leaf(node: Node, key: Key) -> tuple[Node, Key]:
    """Return where the last thing that is written for ``node[key]`` stands."""
    child = node[key]
    if isinstance(child, Node) and child and not child.fa.flow_style():
        return _last_leaf(child, _last_key(child))
    return node, key


def _comment_slot(holder: Node, key: Key) -> tuple[list[Any], int]:
    """Return where ``ruamel.yaml`` keeps the comment that follows ``holder[key]``."""
    return holder.ca.items.setdefault(key, [None] * 4), 2 if isinstance(holder, CommentedMap) else 0


def _take_tail(node: Node) -> str:
    """Take away the lines of comment after the last thing in ``node``, and return them."""
    if not node or node.fa.flow_style():
        return ""
    holder, key = _last_leaf(node, _last_key(node))
    slot, place = _comment_slot(holder, key)
    if slot[place] is None:
        return ""
    text: str = slot[place].value
    is_block = isinstance(holder[key], LiteralScalarString | FoldedScalarString)
    same_line, _, tail = ("", "", text) if is_block else text.partition("\n")
    if same_line:
        slot[place].value = f"{same_line}\n"
    else:
        slot[place] = None
        if isinstance(holder[key], Node):
            holder[key].ca.comment = None
    return tail


def _take_head(parent: Node, key: Key, node: CommentedSeq) -> str:
    """Take away the lines of comment above the first thing in ``node``, and return them."""
    slot = parent.ca.items.get(key)
    if not slot or not slot[3]:
        return ""
    tokens, slot[3] = slot[3], None
    node.ca.comment = None
    return "".join(f"{' ' * token.start_mark.column}{token.value}" for token in tokens)


def _give_tail(node: Node, key: Key, tail: str) -> None:
    """Put lines of comment after ``node[key]``, a new value."""
    holder, last = _last_leaf(node, key)
    slot, place = _comment_slot(holder, last)
    slot[place] = CommentToken(f"\n{tail}", CommentMark(0))
    if isinstance(holder[last], Node):
        holder[last].ca.comment = [slot[place], None]
