"""SPDY/3.1 frames, as far as port-forward needs them: streams, data, no flow control."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
CANCEL = 5  # status of a reset
MOST = 2**24 - 1  # bytes of one frame
# What header compression begins with: words after their lengths, then a text (SPDY/3, 2.6.10.1)
WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language
accept-ranges age allow authorization cache-control connection content-base content-encoding
content-language content-length content-location content-md5 content-range content-type date etag
expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since
last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer
retry-after server te trailer transfer-encoding upgrade user-agent vary via warning
www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin
"""
TEXT = (
    "1001012012022052063003023033043053063074024054064074084094104114124134144154164175025045"
    "05203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401"
    " Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 S"
    "ervice UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, We"
    "d, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xm"
    "l,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdc"
    "hcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _counted(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


DICTIONARY = (
    b"".join(_counted(word.replace("_", " ").encode()) for word in WORDS.split()) + TEXT.encode()
)


@dataclass(frozen=True)
class Frame:
    """One frame: data of a stream, or a control frame of some kind."""

    stream: int
    kind: int = 0  # 0: data
    fin: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""


class BadFrame(Exception):
    """What came is not SPDY/3.1."""


class Framer:
    """Both directions of one connection; header compression has a state in each."""

    def __init__(self) -> None:
        self._rest = b""
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Frames that are complete now."""
        self._rest += data
        while len(self._rest) >= 8:
            first, second = struct.unpack(">II", self._rest[:8])
            length = second & MOST
            if len(self._rest) < 8 + length:
                return
            body, self._rest = self._rest[8 : 8 + length], self._rest[8 + length :]
            yield self._frame(first, second >> 24, body)

    def _frame(self, first: int, flags: int, body: bytes) -> Frame:
        fin = bool(flags & FIN)
        if not first >> 31:
            return Frame(first, fin=fin, data=body)
        kind = first & 0xFFFF
        if len(body) < 4:
            raise BadFrame
        stream = struct.unpack(">I", body[:4])[0] & 0x7FFFFFFF
        headers = self._headers(body[10:]) if kind == SYN_STREAM else {}
        return Frame(stream, kind, fin, headers, body)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, MOST)
            count, at = struct.unpack_from(">I", plain)[0], 4
            texts = []
            for _ in range(2 * count):
                size = struct.unpack_from(">I", plain, at)[0]
                texts.append(plain[at + 4 : at + 4 + size].decode())
                at += 4 + size
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise BadFrame from error
        return dict(zip(texts[::2], texts[1::2], strict=True))

    def reply(self, stream: int) -> bytes:
        """Accept a stream."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(
            zlib.Z_SYNC_FLUSH
        )
        return _control(SYN_REPLY, struct.pack(">I", stream) + block)


def data(stream: int, content: bytes, *, fin: bool = False) -> bytes:
    return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(content)) + content


def reset(stream: int) -> bytes:
    return _control(RST_STREAM, struct.pack(">II", stream, CANCEL))


def pong(frame: Frame) -> bytes:
    return _control(PING, frame.data)


def _control(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, len(body)) + body
