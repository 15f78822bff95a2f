#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Find a kernel's complaints in its console output. As a program: splat.py FILE, status 1 if there are any."""

import re
import sys

# "MP-BIOS bug: 8254 timer not connected to IO-APIC" tells of a host that was busy while the guest measured its timer.
COMPLAINT = re.compile(
    r"WARNING:|\b(?<!MP-BIOS )BUG:|BUG at |\bOops\b|Call Trace:|general protection fault|kernel panic|UBSAN:|KASAN:|KFENCE:"
    r"|KCSAN:|refcount_t:|(list_add|list_del) corruption|suspicious RCU usage|rcu: INFO|soft lockup|hard LOCKUP"
    r"|blocked for more than|possible (recursive|circular|irq lock inversion)|inconsistent lock state|invalid wait context"
    r"|INFO: task"
    r"|unchecked MSR access|Unable to handle kernel|scheduling while atomic|Bad page state|Object already free"
    r"|unreferenced object|trying to register non-static key|(Redzone|Poison|Padding) overwritten|stack guard page"
    r"|became less than 0|Kernel tainted|nobody cared", re.IGNORECASE)

# A test that provokes complaints, and checks itself that exactly these came, puts them between such lines.
EXPECTED = re.compile(r"tdx_selftest: complaints expected from here")
EXPECTED_END = re.compile(r"tdx_selftest: complaints expected up to here")

# How much of the log tells what a complaint is about.
CONTEXT = 30


def complaints(console):
    """Lines of each complaint with what follows it; at most CONTEXT of them."""
    expected = False
    found = []
    for line in console.split("\n"):
        if EXPECTED.search(line):
            expected = True
        elif EXPECTED_END.search(line):
            expected = False
        elif not expected and (found or COMPLAINT.search(line)):
            found.append(line)
    return found[:CONTEXT]


def main():
    """Print the first complaint of a log file."""
    with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
        found = complaints(file.read())
    print("\n".join(found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
