"""Files of tests by the time they take: those that take longest are begun first, so that no core is idle at the end.

``python -m tests.slowest JUNIT.xml`` writes ``slowest.txt`` from a session's report.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

FILE = Path(__file__).with_suffix(".txt")
#: Files that take less than this many seconds are in no order.
LEAST = 2.0


def order() -> dict[str, int]:
    """The place of each file that takes long, by its path below ``tests``."""
    return {name: place for place, name in enumerate(FILE.read_text(encoding="utf-8").splitlines())}


def main(report: Path) -> None:
    """Write the names of the files that took longest, the longest first."""
    seconds: dict[str, float] = defaultdict(float)
    for case in ElementTree.parse(report).iter("testcase"):
        # tests.docs.test_documents, and the class of a test that stands in one.
        module = case.attrib["classname"].removeprefix("tests.").replace(".", "/")
        seconds[f"{module}.py"] += float(case.attrib["time"])
    slow = sorted((name for name, taken in seconds.items() if taken >= LEAST), key=lambda name: -seconds[name])
    FILE.write_text("".join(f"{name}\n" for name in slow), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
