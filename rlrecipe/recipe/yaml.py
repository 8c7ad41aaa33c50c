"""YAML with places: a text becomes a tree of marked values, and everything not acceptable a problem.

Work is bounded by the text's size: no aliases, no tags, a limit on size, depth and problems.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from rlrecipe.recipe.errors import MOST_PROBLEMS, Path, Place, PlacedProblem, Problem
from rlrecipe.recipe.scalars import NotANumber, resolve
from rlrecipe.recipe.tree import INVALID, Mark, Node, Source

LARGEST_TEXT = 2**20
DEEPEST = 20
LONGEST_KEY = 200


_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_REFUSED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
#: Who writes ``[${NAME}]`` has come to expect otherwise of other tools.
EXPANDS_NOTHING = (
    'recipes expand nothing: let the shell expand it, -s "key=$VALUE" on the command line takes the place of this'
)
_CURES = {
    "mapping values are not allowed": "a text with ': ' in it needs quotes",
    "cannot start any token": "indent with spaces, not tabs; quote a text that starts with @, ` or %",
    "did not find expected ',' or": "close the [ or { that was opened",
    "did not find expected key": "keys of one mapping are indented alike",
    "found unexpected end of stream": "close the quote that was opened",
    "could not find expected ':'": "a key is followed by ': '",
}


class _Stop(Exception):  # noqa: N818 - ends the reading of one text
    pass


@dataclass
class Text:
    """What a text holds: its tree (None if it cannot be read to its end) and its problems."""

    root: Node | None = None
    problems: list[PlacedProblem] = field(default_factory=list)


def split_lines(text: str) -> tuple[str, ...]:
    """The lines of a text as YAML counts them."""
    return tuple(_BREAK.split(text))


def decode(raw: bytes, file: str) -> tuple[str, list[PlacedProblem]]:
    """The text of a file's bytes, or E105."""
    if len(raw) > LARGEST_TEXT:
        return "", [_refused(Place(file), "a recipe of more than 1 MiB", "recipes of at most 1 MiB are read")]
    # Taken off here: the codec that does it counts an error's place without the mark.
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode("utf-8"), []
    except UnicodeDecodeError as error:
        line, column = _position(raw[: error.start].decode("utf-8"))
        mark = Place(file, line + 1, column + 1)
        return "", [_refused(mark, f"byte 0x{raw[error.start]:02x} is no UTF-8", "save the file as UTF-8")]


def read(text: str, file: str) -> Text:
    """The tree of a file's text, with all problems found on the way."""
    source = Source(file, split_lines(text))
    result = _Reader(source).read(text)
    if not result.problems and (result.root is None or not isinstance(result.root.value, dict)):
        message = "expected a mapping with env, algorithm and trainer"
        place = result.root.mark.place() if result.root and result.root.mark else Place(file, 1, 1, source.lines[0])
        result.problems.append(_refused(place, f"{message}, got {_kind(result.root)}", "write key: value lines"))
    return result


def read_value(text: str, option: Source, offset: int) -> Text:
    """The value of a ``-s`` option, which starts ``offset`` characters into the option's first line."""
    result = _Reader(option, offset).read(text)
    comment = None if result.problems else _comment(text)
    if comment is not None:
        line, column = _position(text[:comment])
        mark = Mark(option, line, column + (offset if line == 0 else 0))
        cure = "quote the value: -s 'name=\"a #b\"'; or leave out what follows the #"
        problem = Problem("E102", (), "what follows a # is a comment, and not part of the value", cure)
        result.problems.append(PlacedProblem(problem, mark.place()))
    if result.root is None and not result.problems:
        result.root = Node(None, None, Mark(option, 0, offset))
    return result


def _comment(text: str) -> int | None:
    """Where a comment begins after the value that a text is; None if there is none."""
    nodes = yaml.ScalarEvent | yaml.SequenceEndEvent | yaml.MappingEndEvent
    ends = [e.end_mark.index for e in _events(text) if isinstance(e, nodes) and e.end_mark is not None]
    end = max(ends, default=0)
    rest = text[end:]
    return end + len(rest) - len(rest.lstrip()) if rest.lstrip().startswith("#") else None


class _Reader:
    """Turns a parser's events into nodes."""

    def __init__(self, source: Source, offset: int = 0) -> None:
        self.source, self.offset = source, offset
        self.problems: list[PlacedProblem] = []

    def read(self, text: str) -> Text:
        root = None
        try:
            self._check_characters(text)
            root = self._document(_events(text))
        except _Stop:
            pass
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except yaml.YAMLError as error:
            self.problems.append(_refused(Place(self.source.file), f"cannot be read as YAML: {error}", None))
        return Text(root, self.problems)

    def _check_characters(self, text: str) -> None:
        if len(text) > LARGEST_TEXT:
            raise self._refuse(Mark(self.source, 0, 0), "more than 1 MiB of text", "recipes of at most 1 MiB are read")
        found = _REFUSED.search(text)
        if found:
            line, column = _position(text[: found.start()])
            mark = self._mark_at(line, column)
            raise self._refuse(mark, f"the character {found[0]!a} is not allowed in YAML", "remove it")

    def _document(self, events: Iterator[Any]) -> Node | None:
        root = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._refuse(
                        self._mark(event),
                        "a second document is not allowed",
                        "remove everything from this --- on",
                    )
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, events, (), None)
        return root

    def _node(self, event: Any, events: Iterator[Any], path: Path, key: Mark | None, of_key: int = 0) -> Node:
        # A key may be a mapping with such a key, and so on: nothing of that is in the path.
        if len(path) + of_key > DEEPEST:
            raise self._refuse(self._mark(event), f"more than {DEEPEST} levels", "flatten the recipe", path)
        mark = self._mark(event)
        if isinstance(event, yaml.AliasEvent):
            self._report(mark, f"the alias *{event.anchor}", "write the value out again", path)
            return Node(INVALID, key, mark)
        if event.anchor:
            self._report(mark, f"the anchor &{event.anchor}", "remove it: recipes have no aliases", path)
        if event.tag:
            self._report(mark, f"the tag {event.tag}", "remove it: recipes hold plain values only", path)
        if isinstance(event, yaml.ScalarEvent):
            return Node(self._scalar(event, mark, path), key, mark)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self._sequence(events, path, of_key), key, mark)
        return Node(self._mapping(events, path, of_key), key, mark)

    def _sequence(self, events: Iterator[Any], path: Path, of_key: int) -> list[Node]:
        items: list[Node] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, (*path, len(items)), None, of_key))
        return items

    def _mapping(self, events: Iterator[Any], path: Path, of_key: int) -> dict[str, Node]:
        items: dict[str, Node] = {}
        for key_event in events:
            if isinstance(key_event, yaml.MappingEndEvent):
                break
            known = len(self.problems)
            key = self._node(key_event, events, path, None, of_key + 1)
            assert key.mark is not None
            name = key.value
            if not isinstance(name, str):
                if len(self.problems) == known:
                    self._report(key.mark, f"a key that is {_kind(key)}", "keys are text: quote it", path)
                self._node(next(events), events, (*path, "?"), None, of_key)
                continue
            if len(name) > LONGEST_KEY:
                raise self._refuse(key.mark, f"a key of {len(name)} characters", f"keys have up to {LONGEST_KEY}", path)
            value = self._node(next(events), events, (*path, name), key.mark, of_key)
            if name == "<<" and not key_event.style:
                cure = "write its keys out, or let this recipe build on another: extends"
                self._report(key.mark, "the merge key <<", cure, path)
                continue
            if name in items:
                first = items[name].key
                where = f"; it is first given in line {first.line + 1}" if first else ""
                problem = Problem(
                    "E104", (*path, name), f"the key {name!r} is given twice{where}", "remove one of the two"
                )
                self._add(PlacedProblem(problem, key.mark.place()))
            else:
                items[name] = value
        return items

    def _scalar(self, event: Any, mark: Mark, path: Path) -> Any:
        # Escapes between double quotes bring what may not stand in a text itself.
        found = _REFUSED.search(event.value)
        if found is not None:
            self._report(mark, f"the character {found[0]!a}", "remove it", path)
            return INVALID
        if event.style:
            return event.value
        try:
            return resolve(event.value)
        except NotANumber as error:
            shown = event.value if len(event.value) <= 40 else event.value[:37] + "..."
            self._add(PlacedProblem(Problem("E102", path, f"{error}, got {shown}"), mark.place()))
            return INVALID

    def _mark(self, event: Any) -> Mark:
        start, end = event.start_mark, event.end_mark
        same_line = isinstance(event, yaml.ScalarEvent | yaml.AliasEvent) and start.line == end.line
        return self._mark_at(start.line, start.column, max(1, end.column - start.column) if same_line else 1)

    def _mark_at(self, line: int, column: int, width: int = 1) -> Mark:
        last = len(self.source.lines) - 1
        if line > last:
            # The parser's end of a text without a newline at its end.
            return Mark(self.source, last, len(self.source.lines[last]))
        return Mark(self.source, line, column + (self.offset if line == 0 else 0), width)

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        where = error.problem_mark or error.context_mark
        mark = self._mark_at(where.line, where.column) if where else Mark(self.source, 0, 0)
        said = " ".join(filter(None, (error.context, error.problem)))
        cure = next((cure for part, cure in _CURES.items() if part in said), None)
        place = mark.place()
        if (place.source or "")[: mark.column].endswith("$"):
            cure = f"quote a text with ${{ in it; {EXPANDS_NOTHING}"
        self.problems.append(_refused(place, f"cannot be read as YAML: {said}", cure))

    def _refuse(self, mark: Mark, what: str, cure: str, path: Path = ()) -> _Stop:
        self.problems.append(_refused(mark.place(), what, cure, path))
        return _Stop()

    def _report(self, mark: Mark, what: str, cure: str, path: Path) -> None:
        self._add(_refused(mark.place(), f"{what} is not allowed", cure, path))

    def _add(self, problem: PlacedProblem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= MOST_PROBLEMS:
            raise _Stop


def _events(text: str) -> Iterator[Any]:
    if text.lstrip().startswith("{"):
        # JSON may be indented with tabs. Inside brackets, spaces mean the same.
        text = _INDENT.sub(lambda found: found[0].replace("\t", " "), text)
    loader = _LOADER(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


def _position(before: str) -> tuple[int, int]:
    lines = split_lines(before)
    return len(lines) - 1, len(lines[-1])


def _refused(place: Place, what: str, cure: str | None, path: Path = ()) -> PlacedProblem:
    return PlacedProblem(Problem("E105", path, what, cure), place)


def _kind(node: Node | None) -> str:
    if node is None or node.value is None:
        return "nothing"
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(node.value), "a number")
