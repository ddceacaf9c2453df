# SPDX-License-Identifier: MIT
"""Reads the text on a screenshot: every cell is compared with the glyphs of the kernel's font."""

import collections
import gzip
import struct


class Font:
    """A PC Screen Font; glyphs as tuples of rows of bits, and the characters they stand for."""

    def __init__(self, data):
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        if data[:2] == b"\x36\x04":
            mode, self.height = data[2], data[3]
            self.width, start, self.bytes = 8, 4, self.height
            count, table = 512 if mode & 1 else 256, mode & 6
            self.characters = self.table1 if table else self.identity
        else:
            magic, _, start, flags, count, self.bytes, self.height, self.width = struct.unpack_from(
                "<8I", data)
            assert magic == 0x864AB572, "not a PC Screen Font"
            self.characters = self.table2 if flags & 1 else self.identity
        self.glyphs = {}
        end = start + count * self.bytes
        for glyph, characters in enumerate(self.characters(data[end:], count)):
            bits = self.bits(data[start + glyph * self.bytes :][: self.bytes])
            ascii_ones = [c for c in characters if " " <= c <= "~"]
            if ascii_ones or bits not in self.glyphs:
                self.glyphs[bits] = (ascii_ones or characters or ["?"])[0]

    def bits(self, rows):
        row_bytes = (self.width + 7) // 8
        return tuple(int.from_bytes(rows[y * row_bytes :][:row_bytes], "big")
                     >> (8 * row_bytes - self.width) for y in range(self.height))

    @staticmethod
    def identity(_, count):
        return [[chr(i)] for i in range(count)]

    @staticmethod
    def table1(table, count):
        found, at = [[] for _ in range(count)], 0
        words = struct.unpack(f"<{len(table) // 2}H", table[: len(table) // 2 * 2])
        for glyph in range(count):
            sequence = False
            while words[at] != 0xFFFF:
                sequence |= words[at] == 0xFFFE
                if not sequence:
                    found[glyph].append(chr(words[at]))
                at += 1
            at += 1
        return found

    @staticmethod
    def table2(table, count):
        return [list(part.split(b"\xfe")[0].decode()) for part in table.split(b"\xff")[:count]]


def read(picture, font):
    """The rows of text on the picture; unknown cells are '\N{REPLACEMENT CHARACTER}'."""
    rgb, stride = picture.rgb, 3 * picture.width
    background = collections.Counter(
        rgb[i : i + 3] for i in range(0, len(rgb), 3 * 97)).most_common(1)[0][0]
    rows = []
    for top in range(0, picture.height - font.height + 1, font.height):
        row = []
        for left in range(0, picture.width - font.width + 1, font.width):
            cell = []
            for y in range(top, top + font.height):
                at = y * stride + 3 * left
                line = rgb[at : at + 3 * font.width]
                bits = 0
                if line != background * font.width:
                    for x in range(0, 3 * font.width, 3):
                        bits = bits << 1 | (line[x : x + 3] != background)
                cell.append(bits)
            row.append(font.glyphs.get(tuple(cell), "\N{REPLACEMENT CHARACTER}"))
        rows.append("".join(row).rstrip())
    return rows
