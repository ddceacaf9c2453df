# SPDX-License-Identifier: MIT
"""A PC in QEMU's words."""

import dataclasses
import os
import re
import shlex
import shutil

MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40
MEMORY_MIN = 64 * MIB
MEMORY_MAX = 2 * TIB
# Past this QEMU's default of 40 physical address bits does not reach, and OVMF does not come up on
# a CPU without 1 GiB pages (qemu64).
MEMORY_40_BITS = 960 * GIB
CPUS_MAX = 255
NODES_MAX = 16
DEBUG_EXIT_PORT = 0xF4

# (code, variables): Debian's first, then other distributions' names for the same build.
FIRMWARE = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
)


class GuestError(Exception):
    """Something about the guest is not as it must be. The message is for people."""


def parse_memory(text):
    """'512M', '8G', '1.5T' in bytes. ValueError with one clear sentence."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([MGT])(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise ValueError(f"memory '{text}' is not a size such as 512M, 8G or 1T")
    size = int(float(match[1]) * {"M": MIB, "G": GIB, "T": TIB}[match[2].upper()])
    if not MEMORY_MIN <= size <= MEMORY_MAX:
        raise ValueError(f"memory {text} is outside 64M to 2T")
    if size % MIB:
        raise ValueError(f"memory {text} is not a whole number of MiB")
    return size


@dataclasses.dataclass
class Machine:
    """A PC, as it stands on the table. argv() turns it into QEMU's words."""

    image: str = None  # disk image; never written to
    usb: bool = False  # the image is a USB stick, not a disk
    kernel: str = None  # an EFI application for -kernel, instead of an image
    append: str = None  # its load options
    memory: int = 512 * MIB
    cpus: int = 1
    nodes: int = 1  # NUMA: memory and CPUs in as many equal parts
    machine: str = "q35"
    machine_options: str = ""  # ",i8042=off"
    cpu: str = None
    firmware: str = None
    kvm: bool = False
    vga: bool = True
    window: bool = False
    reboots: bool = False  # a reset restarts the guest instead of ending QEMU
    gdb_port: int = None  # wait there for gdb
    resume: str = None  # the file a guest of the same kind was saved in
    extra: tuple = ()

    def firmware_files(self):
        """(code, variables or None)"""
        if self.firmware:
            if not os.path.isfile(self.firmware):
                raise GuestError(f"no firmware file {self.firmware}")
            folder, name = os.path.split(self.firmware)
            variables = os.path.join(folder, re.sub(r"(\.secboot|\.ms)?(?=\.fd$)", "",
                                                    name.replace("CODE", "VARS")))
            if "CODE" not in name or not os.path.isfile(variables):
                variables = None
            return self.firmware, variables
        for code, variables in FIRMWARE:
            if os.path.isfile(code) and os.path.isfile(variables):
                return code, variables
        raise GuestError("no OVMF firmware found; install the package ovmf or give --firmware FILE")

    def cpu_words(self):
        model = self.cpu or ("host" if self.kvm else None)
        if self.memory > MEMORY_40_BITS and not self.kvm:
            model = model or "max"
            for word in ("phys-bits=42", "pdpe1gb=on"):
                if word.split("=", maxsplit=1)[0] not in model:
                    model += f",{word}"
        return ["-cpu", model] if model else []

    def memory_words(self):
        # Not reserved: the host backs a page when the guest touches it, so a guest may be larger.
        ram = "memory-backend-ram,reserve=off"
        if self.nodes == 1:
            return ["-object", f"{ram},id=ram,size={self.memory}"]
        words = []
        for n in range(self.nodes):
            words += ["-object", f"{ram},id=ram{n},size={self.memory // self.nodes}"]
            cpus = [f",cpus={c}" for c in range(self.cpus) if c * self.nodes // self.cpus == n]
            words += ["-numa", f"node,nodeid={n},memdev=ram{n}{''.join(cpus)}"]
        for a in range(self.nodes):  # the farther, the farther; 21 to a neighbour
            for b in range(a + 1, self.nodes):
                words += ["-numa", f"dist,src={a},dst={b},val={11 + 10 * (b - a)}"]
        return words

    def argv(self, folder):
        """The command line, less the channels. Private copies of firmware go to `folder`."""
        code, variables = self.firmware_files()
        words = ["qemu-system-x86_64", "-nodefaults", "-nic", "none", "-name", "quire"]
        backend = ",memory-backend=ram" if self.nodes == 1 else ""
        words += ["-machine", f"{self.machine}{backend}{self.machine_options}"]
        words += self.memory_words()
        words += ["-m", f"{self.memory // MIB}M", "-smp", str(self.cpus)]
        if self.kvm:
            words += ["-accel", "kvm"]
        else:
            words += ["-accel", f"tcg,thread={'multi' if self.cpus > 1 else 'single'}"]
        words += self.cpu_words()
        if variables:
            copy = os.path.join(folder, "vars.fd")
            shutil.copyfile(variables, copy)
            words += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={quoted(code)}"]
            words += ["-drive", f"if=pflash,format=raw,unit=1,file={quoted(copy)}"]
        else:  # code and variables in one file
            copy = os.path.join(folder, "firmware.fd")
            shutil.copyfile(code, copy)
            words += ["-drive", f"if=pflash,format=raw,unit=0,file={quoted(copy)}"]
        if self.image:
            device = "usb-storage" if self.usb else "ide-hd"
            if self.usb:
                words += ["-device", "qemu-xhci"]
            words += ["-drive", f"if=none,id=boot,format=raw,snapshot=on,file={quoted(self.image)}"]
            words += ["-device", f"{device},drive=boot,bootindex=1"]
        if self.kernel:
            words += ["-kernel", self.kernel]
            if self.append:
                words += ["-append", self.append]
        if self.vga:
            words += ["-device", "VGA"]
        if not self.window:
            words += ["-display", "none"]
        if not self.reboots:
            words += ["-no-reboot"]
        if self.gdb_port:
            words += ["-S", "-gdb", f"tcp:127.0.0.1:{self.gdb_port}"]
        if self.resume:
            words += ["-incoming", f"exec:cat {shlex.quote(str(self.resume))}"]
        words += ["-device", f"isa-debug-exit,iobase={DEBUG_EXIT_PORT:#x},iosize=4"]
        return words + list(self.extra)


def quoted(path):
    """A file name inside a -drive option: QEMU doubles commas."""
    return os.path.abspath(path).replace(",", ",,")
