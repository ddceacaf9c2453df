# SPDX-License-Identifier: MIT
"""What a person at the PC has: its keys, and what its screen shows."""

import re
import struct
import zlib

KEY_NAMES = {
    " ": "spc", "\n": "ret", "\t": "tab", "\b": "backspace", "-": "minus", "=": "equal",
    ";": "semicolon", "'": "apostrophe", ",": "comma", ".": "dot", "/": "slash",
    "\\": "backslash", "[": "bracket_left", "]": "bracket_right", "`": "grave_accent",
}
SHIFTED = dict(zip('!@#$%^&*()_+{}|:"<>?~', "1234567890-=[]\\;',./`"))


def key_codes(c):
    """The QMP key codes that type one character."""
    if c in SHIFTED:
        return ["shift"] + key_codes(SHIFTED[c])
    if c.isupper():
        return ["shift", c.lower()]
    return [KEY_NAMES.get(c, c)]


class Picture:
    """A screenshot: rows of RGB bytes."""

    def __init__(self, width, height, rgb):
        self.width, self.height, self.rgb = width, height, rgb

    @classmethod
    def read_ppm(cls, path):
        with open(path, "rb") as f:
            data = f.read()
        header = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
        if not header:
            raise ValueError("QEMU's screenshot is no PPM file")
        return cls(int(header[1]), int(header[2]), data[header.end() :])

    def pixel(self, x, y):
        at = 3 * (y * self.width + x)
        return tuple(self.rgb[at : at + 3])

    def save_png(self, path):
        def chunk(kind, data):
            body = kind + data
            return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

        stride = 3 * self.width
        rows = b"".join(b"\0" + self.rgb[y * stride : (y + 1) * stride] for y in range(self.height))
        with open(path, "wb") as f:
            f.write(b"\x89PNG\r\n\x1a\n"
                    + chunk(b"IHDR", struct.pack(">II", self.width, self.height) + b"\x08\2\0\0\0")
                    + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))
