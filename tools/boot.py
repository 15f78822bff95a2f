#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot a machine, show what the guest reports, and decide whether it went well.

The guest's init (guest/init) runs /guest/NAME and ends the report with a line of its own. A boot has gone well if that
line says status 0, the machine then ended as it announced, and the kernel complained about nothing.
"""

import argparse
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import traces
from splat import complaints

HERE = os.path.dirname(os.path.abspath(__file__))
END = re.compile(r"^tdx-guest: (poweroff|reboot) status (\d+)$")

# idle: each wait in MWAIT is short in Bochs, an idle CPU is busy with it. no5lvl: Bochs' SMM resume fails with 5-level paging.
# amx: it offers half of AMX's XCR0 bits. tsc: it counts ticks. kunit: tests run when they are asked to.
COMMAND_LINE = ("console=ttyS0 loglevel=5 idle=halt tsc=reliable kunit.enable=1 kunit.autorun=0 no5lvl"
                " clearcpuid=amx_tile,amx_bf16,amx_int8")
# Memory without struct page, where nothing else is: the initramfs is near 896M with GRUB, near the end with QEMU.
COMMAND_LINE += " tdx_pfn_memory=128M@640M"
# Where no MSR announces KeyIDs.
SIM_PLATFORM = "tdx_sim_platform=32,32"


class Failure(Exception):
    """A boot that did not go well, in words."""


def die_with_parent():
    """Let no machine outlive the tool that watches it."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def bochs(args, cmdline):
    """An ISO with GRUB, the kernel and the initramfs; Bochs' command."""
    iso = os.path.join(args.dir, "iso")
    shutil.rmtree(iso, ignore_errors=True)
    os.makedirs(os.path.join(iso, "boot/grub"))
    os.link(args.kernel, os.path.join(iso, "bzImage"))
    os.link(args.initramfs, os.path.join(iso, "initramfs"))
    with open(os.path.join(iso, "boot/grub/grub.cfg"), "w", encoding="utf-8") as cfg:
        cfg.write(f"linux /bzImage {cmdline}\ninitrd /initramfs\nboot\n")
    subprocess.run(
        ["grub-mkrescue", "-o", f"{args.dir}/boot.iso", iso, "--directory=/usr/lib/grub/i386-pc", "--compress=no",
         "--locales=", "--fonts=", "--themes=", "--install-modules=linux normal iso9660 biosdisk"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(f"{HERE}/bochs/bochsrc", encoding="utf-8") as template:
        rc = template.read()
    # With one CPU, ticks are instructions; a fixed start then makes two runs equal.
    clock = "time0=1767225600" if args.cpus == 1 else "time0=utc"
    for key, value in {"DIR": args.dir, "TOOLS": f"{HERE}/bochs", "CPUS": str(args.cpus), "CLOCK": clock}.items():
        rc = rc.replace(f"@{key}@", value)
    with open(f"{args.dir}/bochsrc", "w", encoding="utf-8") as out:
        out.write(rc)
    return [args.bochs, "-q", "-f", f"{args.dir}/bochsrc"]


def qemu(args, cmdline):
    """QEMU's command, with KVM or without."""
    kvm = ["-accel", "kvm", "-cpu", "host"] if args.machine == "kvm" else ["-accel", "tcg", "-cpu", "max"]
    return ["qemu-system-x86_64", *kvm, "-machine", "q35", "-smp", str(args.cpus), "-m", "1024", "-nodefaults", "-no-reboot",
            "-display", "none", "-kernel", args.kernel, "-initrd", args.initramfs, "-append", f"{cmdline} {SIM_PLATFORM}",
            "-serial", f"file:{args.dir}/console", "-serial", f"file:{args.dir}/report",
            "-debugcon", f"file:{args.dir}/debugcon"]


def read_text(path):
    """A serial port's file, so far."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().replace("\r", "")
    except FileNotFoundError:
        return ""


def watch(args, process):
    """Show the report as it grows. Returns its last line, matched; raises Failure if there will be none."""
    deadline = time.monotonic() + args.timeout
    shown = 0
    end = None
    while True:
        running = process.poll() is None
        text = read_text(f"{args.dir}/report")
        lines = text.split("\n")[:-1]
        for line in lines[shown:]:
            shown += 1
            # How long all of it takes depends on the machine and on what else that does; silence tells of a guest that hangs.
            deadline = time.monotonic() + args.timeout
            end = END.match(line)
            if not end and not args.quiet:
                print(line, flush=True)
        console = read_text(f"{args.dir}/console")
        if end and end[1] == "reboot" and "reboot: Restarting system" in console:
            return end
        if not running or "---[ end Kernel panic" in console or stopped_by_kvm(args):
            if end and end[1] == "poweroff":
                return end
            raise Failure(why_ended(args, console))
        if time.monotonic() > deadline:
            if end:
                raise Failure(f"the guest was done, but its {end[1]} did not come to an end")
            raise Failure(f"the guest said nothing for {args.timeout} s")
        time.sleep(0.1)


def stopped_by_kvm(args):
    """QEMU says so and waits."""
    return args.machine == "kvm" and "KVM internal error" in read_text(f"{args.dir}/machine.log")


def why_ended(args, console):
    """Words for a machine that ended without a result."""
    if stopped_by_kvm(args):
        return ("this host's KVM does not turn SEAMCALL into #UD, so its CPU's own TDX is in the way:"
                " a newer host kernel would help")
    if "Kernel panic" in console:
        return "the guest's kernel panicked"
    return "the machine ended without a result"


def boot(args):
    """Boot once; raises Failure."""
    os.makedirs(args.dir, exist_ok=True)
    for name in ("console", "report", "machine.log", "debugcon"):
        if os.path.exists(f"{args.dir}/{name}"):
            os.remove(f"{args.dir}/{name}")
    trace = " tdx_sim.trace=1" if args.trace else ""
    cmdline = f"{COMMAND_LINE}{trace} {args.append} tdx_guest={','.join(args.command)}"
    command = bochs(args, cmdline) if args.machine == "bochs" else qemu(args, cmdline)
    with open(f"{args.dir}/machine.log", "w", encoding="utf-8") as log:
        # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
    try:
        end = watch(args, process)
    finally:
        process.kill()
        process.wait()
        # Bochs has its debug console among its own words.
        debugcon = "machine.log" if args.machine == "bochs" else "debugcon"
        traces.announce(traces.extract(f"{args.dir}/{debugcon}", args.dir))
    found = complaints(read_text(f"{args.dir}/console"))
    if found:
        raise Failure("the kernel complained:\n" + "\n".join(f"    | {line}" for line in found))
    if end[2] != "0":
        raise Failure(f"/guest/{args.command[0]} ended with status {end[2]}")


def main():
    """Command line; exit status 0 if all went well."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--machine", choices=("bochs", "kvm", "qemu"), required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--initramfs", required=True)
    parser.add_argument("--bochs", help="the binary")
    parser.add_argument("--dir", required=True, help="for what is written: console, report, machine.log")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--timeout", type=int, default=300, help="seconds of silence that are taken for a hang")
    parser.add_argument("--trace", action="store_true", help="let the guest record its SEAMCALLs")
    parser.add_argument("--append", default="", help="more for the kernel's command line")
    parser.add_argument("--quiet", action="store_true", help="do not show the report")
    parser.add_argument("command", nargs="+", help="NAME of /guest/NAME, and its arguments")
    args = parser.parse_args()
    try:
        boot(args)
    except KeyboardInterrupt:
        sys.exit(130)
    except Failure as failure:
        last = read_text(f"{args.dir}/console").strip().split("\n")[-8:]
        print(f"tdx-sept: {args.machine}: {failure}", file=sys.stderr)
        if "complained" not in str(failure):
            for line in last:
                print(f"    | {line}", file=sys.stderr)
        print(f"tdx-sept: the kernel's console is in build/{os.path.basename(args.dir)}/console, the report beside it",
              file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
