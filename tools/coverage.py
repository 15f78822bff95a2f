#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Show what tests have reached of each file, of the trace that `llvm-cov export --format=lcov` writes.

Status 1 if it is too little.

    coverage.py --root DIRECTORY --lines PERCENT --missed FILE TRACE

A file that several crates have is there several times, by different names: a line counts if it was reached in any of them.
"""

import argparse
import collections
import os
import sys


class Reached:
    """The lines and branches of a file, and which of them were reached."""

    def __init__(self):
        self.lines = collections.defaultdict(bool)
        self.branches = collections.defaultdict(bool)

    def missed(self):
        """The lines that were not reached."""
        return sorted(line for line, reached in self.lines.items() if not reached)


def is_test(name):
    """Whether all that a file has is tests, which reach themselves."""
    return "tests" in os.path.splitext(name)[0].split(os.sep)


def read(path, root):
    """What was reached, by the names of the files below the root."""
    files = collections.defaultdict(Reached)
    name = ""
    with open(path, encoding="utf-8") as trace:
        for record in trace:
            kind, _, rest = record.strip().partition(":")
            if kind == "SF":
                name = os.path.relpath(os.path.normpath(rest), root)
            elif kind == "DA":
                line, count = rest.split(",")[:2]
                files[name].lines[int(line)] |= count != "0"
            elif kind == "BRDA":
                *branch, count = rest.split(",")
                files[name].branches[tuple(branch)] |= count not in ("0", "-")
    return {name: reached for name, reached in files.items() if not name.startswith("..") and not is_test(name)}


def percent(reached):
    """Of things that were reached or not."""
    return 100.0 * sum(reached) / len(reached) if reached else 100.0


def column(reached):
    """Text for the same."""
    return f"{sum(reached):>6} of {len(reached):<6}{percent(reached):6.1f} %"


def row(name, width, lines, branches):
    """A line of the table."""
    return f"  {name:{width}}  {column(lines)}  {column(branches)}"


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--root", required=True, help="only files below this directory")
    parser.add_argument("--lines", type=float, required=True, help="per cent of all lines that are to be reached")
    parser.add_argument("--missed", required=True, help="for the lines that are not")
    parser.add_argument("trace")
    args = parser.parse_args()

    files = read(args.trace, args.root)
    if not files:
        sys.exit(f"tdx-sept: {args.trace} tells of no file below {args.root}")
    width = max(len(name) for name in files)
    print(f"  {'':{width}}  {'lines':^23}  {'branches':^23}")
    for name, reached in sorted(files.items()):
        print(row(name, width, reached.lines.values(), reached.branches.values()))
    lines = [line for reached in files.values() for line in reached.lines.values()]
    print(row("all", width, lines, [branch for reached in files.values() for branch in reached.branches.values()]))
    with open(args.missed, "w", encoding="utf-8") as out:
        for name, reached in sorted(files.items()):
            out.writelines(f"{os.path.join(args.root, name)}:{line}\n" for line in reached.missed())
    if percent(lines) < args.lines:
        sys.exit(f"tdx-sept: the tests reach {percent(lines):.1f} % of the lines, {args.lines:g} % are wanted")


if __name__ == "__main__":
    main()
