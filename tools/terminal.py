# SPDX-License-Identifier: MIT
"""A stream of terminal output as lines of text."""

import re


class Lines:
    """
    What a terminal would show of a byte stream, line by line: a line editor redraws its line with
    carriage returns, cursor moves and erasures, and only the result counts. Colours are dropped.
    """

    # CSI, OSC and two-byte escape sequences; one that has not all arrived yet does not match.
    ESCAPE = re.compile(r"\x1b(?:\[([0-9;?=]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[^\[\]])")

    def __init__(self):
        self.done = []
        self.row = []
        self.column = 0
        self.pending = b""

    @property
    def current(self):
        """The line the cursor is on."""
        return "".join(self.row)

    def feed(self, data):
        data = self.pending + data
        # Keep an incomplete UTF-8 character or escape sequence for the next time.
        text = data.decode("utf-8", "surrogateescape")
        start = max(text.rfind("\x1b"), 0)
        if text[start : start + 1] == "\x1b" and not self.ESCAPE.match(text, start):
            if len(text) - start < 64:
                text, rest = text[:start], text[start:]
                self.pending = rest.encode("utf-8", "surrogateescape")
            else:
                self.pending = b""
        else:
            tail = re.search("[\udcc0-\udcff][\udc80-\udcbf]{0,2}$", text)
            keep = tail.start() if tail else len(text)
            self.pending = text[keep:].encode("utf-8", "surrogateescape")
            text = text[:keep]
        at = 0
        while at < len(text):
            match = self.ESCAPE.match(text, at)
            if match:
                self.escape(match[1] or "", match[2])
                at = match.end()
            else:
                self.character(text[at])
                at += 1

    def character(self, c):
        if c == "\n":
            self.new_line()
        elif c == "\r":
            self.column = 0
        elif c == "\b":
            self.column = max(self.column - 1, 0)
        elif c == "\t":
            for _ in range(8 - self.column % 8):
                self.character(" ")
        elif c >= " ":
            while len(self.row) < self.column:
                self.row.append(" ")
            self.row[self.column : self.column + 1] = c
            self.column += 1

    def escape(self, parameters, final):
        first = parameters.split(";")[0]
        count = int(first) if first.isdigit() else 1
        if final == "K":
            del self.row[self.column :]
        elif final == "C":
            self.column += count
        elif final == "D":
            self.column = max(self.column - count, 0)
        elif final in ("H", "J") and self.row:  # elsewhere on the screen
            self.new_line()

    def new_line(self):
        self.done.append(self.current.rstrip())
        self.row = []
        self.column = 0
