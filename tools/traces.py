#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Take the traces out of what a VM wrote to its debug console, and put each into a file.

    traces.py CONSOLE DIRECTORY      DIRECTORY/NAME.jsonl for each that guest/save-trace NAME sent; prints their names
"""

import base64
import binascii
import glob
import gzip
import os
import re
import sys
import zlib

BEGIN = re.compile(r"^=== trace ([\w.-]+)$")
END = "=== end of trace"


def traces(lines):
    """Name and content of each trace among the lines; what is torn is left out."""
    name, text = None, []
    for line in lines:
        line = line.strip()
        match = BEGIN.match(line)
        if match:
            name, text = match[1], []
        elif line == END and name:
            try:
                yield name, gzip.decompress(base64.b64decode("".join(text), validate=True))
            except (binascii.Error, OSError, EOFError, zlib.error) as error:
                print(f"tdx-sept: the trace {name} is torn: {error}", file=sys.stderr)
            name = None
        elif name:
            text.append(line)


def extract(console, directory):
    """Write the traces of a run in place of those of the run before. Returns the names of the files."""
    for old in glob.glob(os.path.join(directory, "*.jsonl")):
        os.remove(old)
    paths = []
    if os.path.exists(console):
        with open(console, encoding="utf-8", errors="replace") as file:
            for name, content in traces(file):
                paths.append(os.path.join(directory, f"{name}.jsonl"))
                with open(paths[-1], "wb") as out:
                    out.write(content)
    return paths


def announce(paths):
    """Tell people what there is, and what to do with it."""
    shown = [os.path.join("build", os.path.basename(os.path.dirname(path)), os.path.basename(path)) for path in paths]
    for path in shown:
        print(f"  SEAMCALLs: {path} (make replay FILES={path})", flush=True)


if __name__ == "__main__":
    announce(extract(sys.argv[1], sys.argv[2]))
