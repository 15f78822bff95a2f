#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Count single tests in the output of cargo, in TAP and in KTAP (KUnit, kselftest).

    count.py --name SUITE --kind cargo|tap FILE      append to --totals, print one line a failed or skipped test
    count.py --totals FILE --sum                     print the closing line, status 1 unless all passed

A suite that ran no test has failed; so has one that announced more tests than it ran.
"""

import argparse
import json
import os
import re
import sys

RESULT = re.compile(r"^(?P<indent>\s*)(?P<not>not )?ok (?P<number>\d+)\s*-?\s*(?P<name>[^#]*)(?:#\s*(?P<directive>.*))?$")
PLAN = re.compile(r"^(?P<indent>\s*)1\.\.(?P<count>\d+)\s*(?:#\s*(?P<directive>.*))?$")
PROGRAM = re.compile(r"^# program: (?P<name>[^\s,]+)")
STAMP = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\]\s(?P<rest>.*)$")
CARGO = re.compile(r"^test (?P<name>.+?)(?: - should panic)? \.\.\. (?P<result>ok|FAILED|ignored)(?:, (?P<reason>.*)| \(.*\))?$")
CARGO_SUM = re.compile(r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; (?P<ignored>\d+) ignored")


class Count:
    """Results of one suite."""

    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add(self, name, good, directive):
        """One test's result, with what follows # in TAP."""
        if re.match(r"skip", directive, re.IGNORECASE):
            reason = re.sub(r"^skip\w*\s*", "", directive, flags=re.IGNORECASE)
            if reason:
                self.skipped.append(f"{name}: {reason}")
            else:
                self.failed.append(f"{name}: skipped without a reason")
        elif good:
            self.passed += 1
        else:
            self.failed.append(name)

    def number(self):
        """How many tests there were."""
        return self.passed + len(self.failed) + len(self.skipped)


def count_cargo(text, count):
    """Output of cargo test: single lines give names, the sums must agree."""
    total = 0
    for line in text.split("\n"):
        match = CARGO.match(line)
        if match:
            directive = f"SKIP {match['reason'] or ''}" if match["result"] == "ignored" else ""
            count.add(match["name"], match["result"] != "FAILED", directive)
        match = CARGO_SUM.match(line)
        if match:
            total += sum(int(match[key]) for key in ("passed", "failed", "ignored"))
    if total != count.number():
        count.failed.append(f"cargo counted {total} tests, seen were {count.number()}")


class Level:
    """Results at one indentation of TAP, since the enclosing one's last."""

    def __init__(self, failures):
        self.plan = None
        self.seen = 0
        self.failures_before = failures

    def missing(self):
        """How many results are missing."""
        return max((self.plan or 0) - self.seen, 0)


class Tap:
    """TAP, one program after the other, or KTAP of a kernel log. What has subtests is not counted itself."""

    def __init__(self, count):
        self.count = count
        self.levels = {}
        self.program = "TAP"

    def level(self, indent):
        """The level at an indentation, which may begin here."""
        return self.levels.setdefault(indent, Level(len(self.count.failed)))

    def unplanned(self):
        """Whether there are results whose plan is still to come: TAP has it before or behind them."""
        top = self.levels.get(0)
        return top is not None and top.plan is None and top.seen > 0

    def close(self, indent, name):
        """End the levels from an indentation on. Returns whether they held tests, and whether one of these failed."""
        ended = [self.levels.pop(depth) for depth in list(self.levels) if depth >= indent]
        for level in ended:
            if level.missing():
                self.count.failed.append(f"{name}: {level.missing()} announced tests gave no result")
        failed = any(len(self.count.failed) > level.failures_before for level in ended)
        return any(level.seen for level in ended), failed

    def result(self, match):
        """A line that says ok or not ok."""
        indent = len(match["indent"])
        name = f"{self.program}: {match['name'].strip() or match['number']}"
        self.level(indent).seen += 1
        suite, failed = self.close(indent + 1, name)
        if not suite:
            self.count.add(name, not match["not"], match["directive"] or "")
        elif match["not"] and not failed:
            self.count.failed.append(f"{name}: the suite failed, none of its tests did")

    def line(self, line):
        """Any line of output."""
        match = STAMP.match(line)
        line = match["rest"] if match else line
        if match := PROGRAM.match(line):
            self.close(0, self.program)
            self.program = match["name"]
        elif match := PLAN.match(line):
            if not match["indent"] and not self.unplanned():
                self.close(0, self.program)
            self.level(len(match["indent"])).plan = int(match["count"])
            if match["directive"]:
                # Nothing planned, and why.
                self.count.add(self.program, True, match["directive"])
        elif match := RESULT.match(line):
            self.result(match)


def count_tap(text, count):
    """Output in TAP or KTAP."""
    tap = Tap(count)
    for line in text.split("\n"):
        tap.line(line)
    tap.close(0, tap.program)


def count_suite(args):
    """Count one file and append to the totals."""
    text = ""
    if os.path.exists(args.file):
        with open(args.file, encoding="utf-8", errors="replace") as file:
            text = file.read().replace("\r", "")
    count = Count()
    (count_cargo if args.kind == "cargo" else count_tap)(text, count)
    if count.number() == 0:
        count.failed.append("no test ran")
    if args.error and not count.failed:
        count.failed.append(args.error)
    for name in count.failed:
        print(f"    failed: {args.name}: {name}")
    for name in count.skipped:
        print(f"    skipped: {args.name}: {name}")
    with open(args.totals, "a", encoding="utf-8") as file:
        json.dump({"passed": count.passed, "failed": len(count.failed), "skipped": len(count.skipped)}, file)
        file.write("\n")


def show_sum(args):
    """The closing line."""
    total = {"passed": 0, "failed": 0, "skipped": 0}
    if os.path.exists(args.totals):
        with open(args.totals, encoding="utf-8") as file:
            for line in file:
                for key, number in json.loads(line).items():
                    total[key] += number
    print(", ".join(f"{number} {key}" for key, number in total.items()))
    sys.exit(0 if total["passed"] and not total["failed"] else 1)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--totals", required=True, help="file that collects the suites' numbers")
    parser.add_argument("--sum", action="store_true")
    parser.add_argument("--name", help="of the suite")
    parser.add_argument("--kind", choices=("cargo", "tap"))
    parser.add_argument("--error", help="words for a suite that ended badly: one failure, if no test failed")
    parser.add_argument("file", nargs="?")
    args = parser.parse_args()
    if args.sum:
        show_sum(args)
    else:
        count_suite(args)


if __name__ == "__main__":
    main()
