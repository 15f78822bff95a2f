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
PLAN = re.compile(r"^(?P<indent>\s*)1\.\.(?P<count>\d+)")
PROGRAM = re.compile(r"^# program: (?P<name>\S+)")
STAMP = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\]\s(?P<rest>.*)$")
CARGO = re.compile(r"^test (?P<name>.+?)(?: - should panic)? \.\.\. (?P<result>ok|FAILED|ignored)(?:, (?P<reason>.*))?$")
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

    def __init__(self):
        self.plan = None
        self.seen = 0

    def missing(self):
        """How many results are missing."""
        return max((self.plan or 0) - self.seen, 0)


def count_tap(text, count):
    """TAP, one program after the other, or KTAP of a kernel log. What has subtests is not counted itself."""
    levels = {}
    program = ""
    for line in text.split("\n"):
        match = STAMP.match(line)
        line = match["rest"] if match else line
        match = PROGRAM.match(line)
        if match:
            close(levels, 0, program, count)
            program = match["name"] + ": "
            continue
        match = PLAN.match(line)
        if match:
            indent = len(match["indent"])
            if indent == 0:
                close(levels, 0, program, count)
            levels.setdefault(indent, Level()).plan = int(match["count"])
            continue
        match = RESULT.match(line)
        if not match:
            continue
        indent = len(match["indent"])
        name = program + match["name"].strip()
        inner = [level for depth, level in levels.items() if depth > indent]
        levels.setdefault(indent, Level()).seen += 1
        if any(level.seen for level in inner):
            # A suite; its own verdict counts only if no test of it explains a failure.
            before = len(count.failed)
            close(levels, indent + 1, f"{name}: ", count)
            if match["not"] and not any(failed.startswith(program) for failed in count.failed) and before == len(count.failed):
                count.failed.append(f"{name}: the suite failed, none of its tests did")
        else:
            count.add(name, not match["not"], match["directive"] or "")
    close(levels, 0, program, count)


def close(levels, indent, prefix, count):
    """End the levels from an indentation on."""
    for depth in [depth for depth in levels if depth >= indent]:
        missing = levels.pop(depth).missing()
        if missing:
            count.failed.append(f"{prefix}{missing} announced tests gave no result")


def count_suite(args):
    """Count one file and append to the totals."""
    with open(args.file, encoding="utf-8", errors="replace") as file:
        text = file.read().replace("\r", "")
    count = Count()
    (count_cargo if args.kind == "cargo" else count_tap)(text, count)
    if count.number() == 0:
        count.failed.append("no test ran")
    if args.error:
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
    parser.add_argument("--error", help="words for a suite that ended badly: counts as one failure")
    parser.add_argument("file", nargs="?")
    args = parser.parse_args()
    if args.sum:
        show_sum(args)
    else:
        count_suite(args)


if __name__ == "__main__":
    main()
