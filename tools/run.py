#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build Quire and boot it in QEMU with UEFI firmware. Called by tools/run."""

import argparse
import fcntl
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import qemu
from machine import CPUS_MAX, NODES_MAX, Machine, parse_memory

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLEAN, NOT_CLEAN, USAGE, TIMEOUT = 0, 1, 2, 124
LINE_BYTES = 1023  # what the shell's line holds: SHELL_LINE_BYTES less its NUL

EPILOG = """\
examples:
  tools/run                                     the shell on this terminal
  tools/run --memory 8G --cpus 4 --usb          a larger machine, started from a USB stick
  tools/run --cmd 'mem --json; poweroff'        what the kernel prints, then the end
  tools/run --headless --screenshot boot.png    a picture of the first prompt
  tools/run -- -device qemu-xhci                more for QEMU

exit status of --cmd and --screenshot: 0 when the guest ended cleanly (poweroff, reboot), 1 when it
did not (panic, triple fault, ...), 124 after --timeout; 2 for a wrong option or a failed build.
"""


def say(text):
    print(f"run: {text}", file=sys.stderr, flush=True)


class Failure(Exception):
    def __init__(self, text, status=USAGE):
        super().__init__(text)
        self.status = status


def number_in(low, high, what):
    def parse(text):
        if not re.fullmatch(r"\d+", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{what} '{text}' is not one of {low} to {high}")
        return int(text)

    return parse


def memory(text):
    try:
        return parse_memory(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def picture_name(text):
    if not text.endswith(".png"):
        raise argparse.ArgumentTypeError(f"screenshot '{text}' must end in .png")
    return text


class Parser(argparse.ArgumentParser):
    def error(self, message):  # one clear line
        message = re.sub(r"^argument (\S+): (?=\S+ '?[^ ]+'? (is|must))", r"\1: ", message)
        self.exit(USAGE, f"run: {message} (try --help)\n")


def parse(words):
    p = Parser(prog="tools/run", description=__doc__.split(". ", 1)[0] + ".", epilog=EPILOG,
               formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    p.add_argument("--memory", type=memory, default="512M", metavar="SIZE",
                   help="64M to 2T; not reserved on the host, so it may be larger (512M)")
    p.add_argument("--cpus", type=number_in(1, CPUS_MAX, "count"), default=1, metavar="N")
    p.add_argument("--nodes", type=number_in(1, NODES_MAX, "count"), default=1, metavar="N",
                   help="NUMA nodes, equal parts of memory and CPUs (1)")
    p.add_argument("--machine", choices=("q35", "pc"), default="q35")
    p.add_argument("--cpu", metavar="MODEL", help="QEMU's name of a CPU: qemu64, max, ...")
    p.add_argument("--firmware", metavar="FILE", help="another UEFI firmware than Debian's OVMF")
    p.add_argument("--usb", action="store_true", help="attach the image as a USB stick")
    p.add_argument("--headless", action="store_true", help="no window, even with a display")
    p.add_argument("--kvm", action="store_true", help="run on the host's CPU, do not emulate one")
    p.add_argument("--cmd", metavar="COMMANDS",
                   help="run these at the shell, print what the kernel prints, power off")
    p.add_argument("--timeout", type=number_in(1, 86400, "seconds"), metavar="S",
                   help="end the guest after S seconds (120 with --cmd or --screenshot)")
    p.add_argument("--screenshot", type=picture_name, metavar="FILE.png",
                   help="take a picture of the screen, at the prompt after --cmd's commands")
    p.add_argument("--cmdline", metavar="WORDS", help="the kernel's command line (quire.cfg)")
    p.add_argument("--autorun", metavar="COMMANDS",
                   help="what the shell runs by itself at its first prompt (quire.cfg)")
    p.add_argument("--gdb", action="store_true",
                   help="stop before the first instruction, print the line that attaches gdb")
    p.add_argument("--no-build", action="store_true", help="boot what was built before")
    p.add_argument("--build-dir", default=os.path.join(TOP, "build"), help=argparse.SUPPRESS)
    p.add_argument("extra", nargs="*", metavar="-- EXTRA", help="further arguments for QEMU")
    at = words.index("--") if "--" in words else len(words)
    options = p.parse_args(words[:at])
    if options.extra:
        p.error(f"unknown argument '{options.extra[0]}' (QEMU's own go after --)")
    options.extra = words[at + 1 :]
    for name in ("cmd", "cmdline", "autorun"):
        value = getattr(options, name)
        if value is None:
            continue
        if not value.isprintable():
            p.error(f"--{name} must be one line of printable characters")
        if len(value.encode()) > LINE_BYTES - len("; poweroff"):
            p.error(f"--{name} is longer than the shell's line ({LINE_BYTES} bytes)")
    if options.gdb and (options.cmd is not None or options.screenshot):
        p.error("--gdb needs this terminal, so it does not go with --cmd or --screenshot")
    return options


# ---- building ----


def build(folder):
    """Configure where needed, build; quiet unless it fails."""
    preset = os.path.samefile(folder, os.path.join(TOP, "build")) if os.path.isdir(folder) else True
    steps = []
    if not os.path.isfile(os.path.join(folder, "build.ninja")):
        if not preset:
            raise Failure(f"{folder} is not configured")
        steps.append(["cmake", "--preset", "default"])
    steps.append(["cmake", "--build", folder])
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, ".run.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if len(steps) > 1:
            say("building")
        for step in steps:
            done = subprocess.run(step, cwd=TOP, stdin=subprocess.DEVNULL, text=True, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode:
                sys.stderr.write(done.stdout)
                raise Failure(f"the build failed: {shlex.join(step)}")


def image_with_config(options, folder):
    """The image, with a quire.cfg of its own where the command line asks for one."""
    image = os.path.join(options.build_dir, "quire.img")
    if not os.path.isfile(image):
        raise Failure(f"{image} is not built (leave out --no-build)")
    settings = [f"{key}={value}\n" for key, value in
                (("cmdline", options.cmdline), ("autorun", options.autorun)) if value is not None]
    if not settings:
        return image
    config = os.path.join(folder, "quire.cfg")
    with open(config, "w", encoding="utf-8") as f:
        f.writelines(settings)
    copy = os.path.join(folder, "quire.img")
    efi = os.path.join(options.build_dir, "BOOTX64.EFI")
    done = subprocess.run([os.path.join(TOP, "tools/image"), "--cfg", config, "--out", copy,
                           "--efi", efi], text=True, check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Failure(f"cannot make the image: {done.stdout.strip()}")
    return copy


# ---- running ----


def has_display():
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def machine_of(options, image):
    scripted = options.cmd is not None or options.screenshot
    return Machine(
        image=image, usb=options.usb, memory=options.memory, cpus=options.cpus,
        nodes=options.nodes, machine=options.machine, cpu=options.cpu,
        firmware=options.firmware, kvm=options.kvm,
        window=has_display() and not options.headless and not scripted, reboots=not scripted,
        gdb_port=free_port() if options.gdb else None, extra=tuple(options.extra))


def split_ending(commands):
    """('mem; ', 'poweroff'): the commands, and the one of them that ends the guest."""
    match = re.fullmatch(r"(?s)(|.*;)\s*(poweroff|reboot)\s*;?\s*", commands)
    return (match[1].rstrip("; "), match[2]) if match else (commands.rstrip("; "), "poweroff")


def run_commands(options, machine):
    """--cmd and --screenshot: what the kernel prints goes to stdout, the rest nowhere."""
    timeout = options.timeout or 120
    commands, ending = split_ending(options.cmd or "")

    def show(line):
        print(line, flush=True)

    with qemu.Guest(machine, on_line=show) as guest:
        clock = Countdown(timeout)
        try:
            guest.wait_prompt(clock.left())
            if options.screenshot:
                if commands:
                    guest.run(commands, clock.left())
                    guest.wait_prompt(clock.left())
                guest.picture().save_png(options.screenshot)
                commands = ""
            guest.type("; ".join(filter(None, (commands, ending))))
            result = guest.wait_end(clock.left())
        except qemu.GuestTimeout:
            flush_partial(guest)
            raise Failure(f"the guest did not finish within {timeout} s", TIMEOUT) from None
        except qemu.GuestEnded as error:
            if guest.process.poll() is None:  # the loader gave up, the firmware goes on
                raise Failure(str(error), NOT_CLEAN) from None
            result = guest.wait_end(10)
    if not result.clean:
        raise Failure(str(result), NOT_CLEAN)


def flush_partial(guest):
    """At a timeout: the line the kernel had begun; or, when it never started, the firmware's."""
    if guest.kernel_from is not None:
        print(guest.lines.current, flush=True)
    else:
        say("the kernel printed nothing; the firmware's last lines were:" + guest.tail(8))


class Countdown:
    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self):
        return max(self.end - time.monotonic(), 0)


def run_terminal(options, machine, folder):
    """The shell on this terminal, until the guest powers off or the user leaves."""
    words = machine.argv(folder) + ["-serial", "mon:stdio"]
    if options.gdb:
        elf = os.path.join(options.build_dir, "quire.elf")
        script = os.path.join(TOP, "tools/gdb/quire.py")
        attach = f"target remote :{machine.gdb_port}"
        print(shlex.join(["gdb", elf, "-x", script, "-ex", attach]), flush=True)
    elif sys.stdin.isatty():
        say("Ctrl-A X leaves QEMU, Ctrl-A H shows its other keys")
    process = subprocess.Popen(words, preexec_fn=qemu.die_with_parent)
    # Ctrl-C belongs to the guest; with a terminal in raw mode it does not even arrive here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    expired = threading.Event()

    def expire():
        expired.set()
        process.terminate()

    timer = threading.Timer(options.timeout or 0, expire)
    timer.daemon = True
    if options.timeout:
        timer.start()
    status = process.wait()
    timer.cancel()
    if expired.is_set():
        raise Failure(f"the guest was still running after {options.timeout} s", TIMEOUT)
    if status:
        raise Failure("the kernel gave up" if status & 1 and status > 1
                      else f"QEMU ended with status {status}", NOT_CLEAN)


def main():
    options = parse(sys.argv[1:])
    folder = tempfile.mkdtemp(prefix="quire-run-")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if not options.no_build:
            build(options.build_dir)
        machine = machine_of(options, image_with_config(options, folder))
        if options.cmd is not None or options.screenshot:
            run_commands(options, machine)
        else:
            run_terminal(options, machine, folder)
    except (Failure, qemu.GuestError) as error:
        say(str(error))
        return getattr(error, "status", NOT_CLEAN)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return CLEAN


if __name__ == "__main__":
    sys.exit(main())
