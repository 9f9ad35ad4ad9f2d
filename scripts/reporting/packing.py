"""Arrays as text in a page: one gzipped, base64-coded block of bytes, with where each array lies in it."""

import base64
import gzip
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# of a browser's typed arrays
KINDS = {"int16": "Int16Array", "float32": "Float32Array", "float64": "Float64Array"}
FINEST = 32767


@dataclass
class Packing:
    """A block that grows by arrays; `text` is what the page holds."""

    block: bytearray = field(default_factory=bytearray)

    def add(self, array: np.ndarray) -> dict[str, Any]:
        """Append an array of one of KINDS: its kind, offset in bytes, and shape."""
        self.block.extend(b"\0" * (-len(self.block) % 8))
        place = {"kind": KINDS[array.dtype.name], "at": len(self.block), "shape": list(array.shape)}
        self.block.extend(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
        return place

    def add_scaled(self, values: np.ndarray) -> dict[str, Any]:
        """Append values [rows, ...] as sixteen-bit integers, with each row's unit: off by 1/65534 of the row's largest
        at most, which no screen shows. NaN is the lowest integer."""
        rows = values.reshape(len(values), -1)
        largest = np.nanmax(np.abs(rows), axis=1, initial=0)
        unit = (np.where(largest > 0, largest, 1) / FINEST).astype(np.float32)
        scaled = np.where(np.isnan(rows), -FINEST - 1, np.round(rows / unit[:, None]))
        scaled = np.clip(scaled, -FINEST - 1, FINEST)
        return {"values": self.add(scaled.astype(np.int16).reshape(values.shape)), "unit": self.add(unit)}

    def text(self) -> str:
        """The block, gzipped, in base64."""
        return packed(bytes(self.block))


def packed(content: bytes) -> str:
    """Bytes gzipped, in base64; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()
