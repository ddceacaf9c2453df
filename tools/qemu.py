# SPDX-License-Identifier: MIT
"""
A QEMU guest under a program's control: tools/run and the guest tests share this file.

    machine = Machine(image="build/quire.img", memory=512 << 20)
    with Guest(machine) as guest:
        guest.wait_prompt()
        text = guest.run("mem")
        guest.type("poweroff")
        ending = guest.wait_end()

The guest's serial line is a pair of pipes, QEMU's control channel (QMP) a socket pair; they and all
temporary files end with the Guest. Only the standard library is used.
"""

import ctypes
import dataclasses
import fcntl
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from machine import GuestError, Machine, quoted  # noqa: F401  (Machine is for our users)
from screen import Picture, key_codes
from terminal import Lines

PROMPT = "quire> "
# The kernel's log lines, "[    0.123456] tag: text". The first one ends the firmware's chatter.
KERNEL_LINE = re.compile(r"\[ *\d+\.\d{6}\] ")
LOADER_REFUSES = "Quire cannot start: "

F_SETPIPE_SZ = 1031  # linux/fcntl.h

# How many times longer than usual all may take: for kernels that check so much that they are slow.
patience = 1


def deadline(seconds):
    """That many seconds from now, with patience."""
    return time.monotonic() + seconds * patience


class GuestTimeout(GuestError):
    """It took too long."""


class GuestEnded(GuestError):
    """The guest ended while something else was expected of it."""


def die_with_parent():
    """In the child: a killed test run leaves no QEMU behind (PR_SET_PDEATHSIG)."""
    LIBC.prctl(1, signal.SIGKILL)


LIBC = ctypes.CDLL(None)


class Serial:
    """
    The guest's serial line: two named pipes, as QEMU's `-chardev pipe` wants them. A socket would
    hold only a few hundred of QEMU's one-byte writes before the guest sees a stuck transmitter; a
    pipe holds a MiB of them, so a busy host does not make the guest wait.
    """

    PIPE_BYTES = 1 << 20

    def __init__(self, path):
        self.path = path
        self.reader = self.writer = None
        os.mkfifo(path + ".in", 0o600)
        os.mkfifo(path + ".out", 0o600)

    def connect(self):
        """Once QEMU has opened its ends."""
        self.reader = os.open(self.path + ".out", os.O_RDONLY | os.O_CLOEXEC)
        self.writer = os.open(self.path + ".in", os.O_WRONLY | os.O_CLOEXEC)
        try:
            fcntl.fcntl(self.reader, F_SETPIPE_SZ, self.PIPE_BYTES)
        except OSError:
            pass  # the host allows less

    def fileno(self):
        return self.reader

    def receive(self):
        """What is there; blocks when nothing is; empty when QEMU is gone."""
        data = os.read(self.reader, 65536)
        if not data:
            self.close()
        return data

    def send(self, data):
        while data:
            data = data[os.write(self.writer, data) :]

    @property
    def closed(self):
        return self.reader is None

    def close(self):
        for end in (self.reader, self.writer):
            if end is not None:
                os.close(end)
        self.reader = self.writer = None


class Qmp:
    """QEMU's control channel. Events that arrive meanwhile are kept in `events`."""

    def __init__(self, channel):
        self.channel = channel
        self.buffer = b""
        self.events = []
        self.answers = []
        self.closed = False

    def fileno(self):
        return self.channel.fileno()

    def receive(self):
        """Take in what is there; blocks when nothing is."""
        try:
            data = self.channel.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in filter(None, (line.strip() for line in lines)):
            message = json.loads(line)
            if "event" in message:
                self.events.append(message)
            elif "QMP" not in message:
                self.answers.append(message)

    def execute(self, command, timeout=30, **arguments):
        message = {"execute": command}
        if arguments:
            message["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        try:
            self.channel.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise GuestEnded(f"QEMU is gone ({command})") from error
        deadline = time.monotonic() + timeout
        while not self.answers:
            if self.closed:
                raise GuestEnded(f"QEMU is gone ({command})")
            if not select.select([self], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise GuestTimeout(f"no answer from QEMU to {command}")
            self.receive()
        answer = self.answers.pop(0)
        if "error" in answer:
            raise GuestError(f"{command}: {answer['error']['desc']}")
        return answer["return"]


CLEAN_ENDINGS = (("guest-shutdown", "poweroff"), ("guest-reset", "reboot"))


@dataclasses.dataclass
class Ending:
    """How a guest ended."""

    reason: str  # "guest-shutdown", "guest-reset", "debug-exit", "triple-fault", "killed", "qemu"
    status: int  # QEMU's exit status
    said: str  # "poweroff", "reboot" or None: what the guest said it was about to do
    debug_exit: int = None  # the value written to isa-debug-exit

    @property
    def clean(self):
        return (self.reason, self.said) in CLEAN_ENDINGS

    def __str__(self):
        text = {
            "guest-shutdown": "the guest powered off",
            "guest-reset": "the guest restarted",
            "debug-exit": f"the kernel gave up (debug exit {self.debug_exit})",
            "triple-fault": "triple fault",
            "killed": "QEMU was killed",
            "qemu": f"QEMU failed with status {self.status}",
        }[self.reason]
        if self.reason in ("guest-shutdown", "guest-reset") and not self.clean:
            text += " without having said so"
        return text


class Guest:
    """A running QEMU. Use as a context manager: leaving it kills what still runs."""

    POWEROFF = re.compile(r"(?i)\bpower(?:ing)? ?off\b")
    REBOOT = re.compile(r"(?i)\b(?:restarting|rebooting)\b")

    def __init__(self, machine, on_line=None, serial=True):
        self.machine = machine
        self.on_line = on_line  # called with each line the kernel prints
        self.has_serial = serial
        self.lines = Lines()
        self.raw = bytearray()
        # index in lines.done of the kernel's first line
        self.kernel_from = 0 if machine.resume else None
        self.reported = 0
        self.folder = None
        self.process = None
        self.serial = None
        self.qmp = None
        self.ending = None

    # ---- life ----

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        self.folder = tempfile.mkdtemp(prefix="quire-")
        qmp, qmp_there = socket.socketpair()
        words = self.machine.argv(self.folder)
        words += ["-chardev", f"socket,id=qmp,fd={qmp_there.fileno()}",
                  "-mon", "chardev=qmp,mode=control"]
        if self.has_serial:
            self.serial = Serial(os.path.join(self.folder, "serial"))
            words += ["-chardev", f"pipe,id=serial,path={quoted(self.serial.path)}",
                      "-serial", "chardev:serial"]
        words += ["-d", "cpu_reset", "-D", self.log_file("cpu")]
        self.argv = words
        with open(self.log_file("qemu"), "wb") as errors:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=errors,
                                            stderr=errors, pass_fds=[qmp_there.fileno()],
                                            preexec_fn=die_with_parent)
        qmp_there.close()
        self.qmp = Qmp(qmp)
        try:
            self.qmp.execute("qmp_capabilities", timeout=60)
        except GuestEnded:
            self.process.wait()
            raise GuestError(f"QEMU did not start: {self.qemu_errors()}") from None
        if self.serial:
            self.serial.connect()
        if self.machine.resume:
            self.wait("resumed guest", self.has_resumed, 60)

    def has_resumed(self):
        try:
            return self.qmp.execute("query-status")["running"]
        except GuestEnded:
            return True  # it ran, to its end

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for channel in (self.serial, self.qmp and self.qmp.channel):
            if channel:
                channel.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def log_file(self, name):
        return os.path.join(self.folder, name + ".log")

    def qemu_errors(self):
        with open(self.log_file("qemu"), encoding="utf-8", errors="replace") as f:
            lines = [line.strip() for line in f if "warning" not in line]
        return "; ".join(filter(None, lines))[:600] or "no message"

    # ---- the serial line ----

    def pump(self, timeout):
        """Wait up to `timeout` seconds for anything to happen. False when QEMU is gone."""
        channels = [] if self.qmp.closed else [self.qmp]
        if self.serial and not self.serial.closed:
            channels.append(self.serial)
        if not channels:
            return False
        ready = select.select(channels, [], [], max(timeout, 0))[0]
        if self.qmp in ready:
            self.qmp.receive()
        if self.serial in ready:
            self.take(self.serial.receive())
        return True

    def idle(self, seconds):
        """Let the guest run for that long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.pump(deadline - time.monotonic()):
            pass

    def take(self, data):
        self.raw += data
        before = len(self.lines.done)
        self.lines.feed(data)
        done = self.lines.done
        if self.kernel_from is None:
            for i in range(before, len(done)):
                match = KERNEL_LINE.search(done[i])
                if match:
                    done[i] = done[i][match.start() :]  # the firmware left its cursor in mid-line
                    self.kernel_from = self.reported = i
                    break
        if self.kernel_from is not None and self.on_line:
            while self.reported < len(done):
                self.reported += 1
                self.on_line(done[self.reported - 1])

    def kernel_lines(self):
        """Every whole line the kernel printed so far."""
        return [] if self.kernel_from is None else self.lines.done[self.kernel_from :]

    def text(self):
        """What the kernel printed so far, the cursor's line included."""
        return "\n".join(self.kernel_lines() + [self.lines.current])

    def wait(self, what, condition, timeout):
        """Until condition() holds; its value."""
        end = deadline(timeout)
        while True:
            value = condition()
            if value:
                return value
            left = end - time.monotonic()
            if left <= 0:
                raise GuestTimeout(f"no {what} within {timeout * patience:.0f} s{self.tail()}")
            if not self.pump(min(left, 1)):
                value = condition()
                if value:
                    return value
                raise GuestEnded(f"the guest ended while waiting for {what}: "
                                 f"{self.wait_end(10)}{self.tail()}")

    def tail(self, count=25):
        """The end of what it printed, for error messages."""
        lines = self.lines.done[-count:] + [self.lines.current]
        return "\n--- the guest's last lines:\n" + "\n".join(lines)

    def wait_text(self, pattern, timeout=60, start=0):
        """Until the kernel's text (from line `start` of it) matches; the match."""
        compiled = re.compile(pattern, re.MULTILINE)

        def look():
            return compiled.search("\n".join(self.kernel_lines()[start:] + [self.lines.current]))

        return self.wait(f"'{pattern}'", look, timeout)

    def at_prompt(self):
        return self.lines.current == PROMPT and not self.lines.pending

    def wait_prompt(self, timeout=120):
        self.wait("prompt", self.at_prompt_or_refused, timeout)

    def at_prompt_or_refused(self):
        if self.kernel_from is None:
            for line in self.lines.done:
                if LOADER_REFUSES in line:
                    raise GuestEnded(line[line.index(LOADER_REFUSES) :])
        return self.at_prompt()

    def type(self, text, enter=True):
        """Type on the serial line."""
        try:
            self.serial.send(text.encode() + (b"\r" if enter else b""))
        except (OSError, TypeError) as error:
            raise GuestEnded("the serial line is closed") from error

    def send(self, line, timeout=30):
        """Type a line at the prompt."""
        self.wait_prompt(timeout)
        self.type(line, enter=False)
        return self.enter(timeout)

    def enter(self, timeout=30):
        """End the line that was typed; the index of the first line after its echo."""
        before = len(self.lines.done)
        self.type("")

        def echoed():
            for i in range(before, len(self.lines.done)):
                if self.lines.done[i].startswith(PROMPT.rstrip()):
                    return i + 1
            return None

        return self.wait("echo", echoed, timeout)

    def run(self, line, timeout=60, log=False):
        """Run a shell line; what it printed up to the next prompt, lines of the log or not."""
        return self.output(self.send(line), timeout, log)

    def run_typed(self, timeout=60):
        """The same for the line that was typed so far."""
        return self.output(self.enter(), timeout)

    def output(self, start, timeout, log=False):
        self.wait("next prompt", self.at_prompt, timeout)
        return "\n".join(line for line in self.lines.done[start:]
                         if log or not KERNEL_LINE.match(line))

    def run_json(self, line, timeout=60):
        """Run a command that prints one JSON object on one line."""
        text = self.run(line, timeout)
        objects = [part for part in text.split("\n") if part.startswith("{")]
        if len(objects) != 1:
            raise GuestError(f"'{line}' printed {len(objects)} objects:\n{text}")
        return json.loads(objects[0])

    # ---- its memory ----

    def save(self, path, timeout=120):
        """Freeze the guest into a file, for Machine(resume=path). It does not go on."""
        self.qmp.execute("migrate", uri=f"exec:cat > {shlex.quote(str(path))}")
        self.wait("saved state", lambda: self.migration() == "completed", timeout)

    def migration(self):
        status = self.qmp.execute("query-migrate").get("status")
        if status in ("failed", "cancelled"):
            raise GuestError(f"saving the guest: {status}")
        return status

    def monitor(self, line):
        """A command of QEMU's own monitor, for what QMP has no word for."""
        said = self.qmp.execute("human-monitor-command", command_line=line)
        if said.strip():
            raise GuestError(f"monitor: {line}: {said.strip()}")

    # ---- its end ----

    def wait_end(self, timeout=30):
        """Until QEMU is gone; how it ended."""
        if self.ending:
            return self.ending
        end = deadline(timeout)
        while self.pump(min(1, end - time.monotonic())):
            if time.monotonic() > end:
                raise GuestTimeout(f"the guest did not end within {timeout * patience:.0f} s"
                                   f"{self.tail()}")
        self.process.wait()
        if self.lines.row:
            self.take(b"\n")
        self.ending = self.judge()
        return self.ending

    def judge(self):
        status = self.process.returncode
        said = None
        for line in reversed(self.kernel_lines()[-8:]):
            if line.startswith(PROMPT):
                break
            said = "poweroff" if self.POWEROFF.search(line) else said
            said = said or ("reboot" if self.REBOOT.search(line) else None)
        with open(self.log_file("cpu"), encoding="utf-8", errors="replace") as f:
            if "Triple fault" in f.read():
                return Ending("triple-fault", status, said)
        if status < 0:
            return Ending("killed", status, said)
        for event in self.qmp.events:
            if event["event"] == "SHUTDOWN" and event["data"]["guest"]:
                return Ending(event["data"]["reason"], status, said)
        if status & 1:  # QEMU ran, so this is isa-debug-exit's 2v + 1
            return Ending("debug-exit", status, said, debug_exit=status >> 1)
        return Ending("qemu", status, said)

    # ---- keys and pictures ----

    def press(self, *keys):
        """Press keys together (QMP key codes: 'a', 'shift', 'ret') on the PC's keyboard."""
        self.qmp.execute("send-key", keys=[{"type": "qcode", "data": k} for k in keys])

    def press_text(self, text):
        """Type on the PC's keyboard, US layout. One key at a time, as people do."""
        for c in text:
            self.press(*key_codes(c))
            self.idle(0.05)

    def picture(self):
        """What the screen shows."""
        path = os.path.join(self.folder, "screen.ppm")
        self.qmp.execute("screendump", filename=path)
        return Picture.read_ppm(path)
