"""Reads a GGUF file into key-value pairs and tensors, and writes it back changed: for broken models."""
import struct

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
U32, STRING, ARRAY, F32_TENSOR = 4, 8, 9, 0


class Gguf:
    """pairs: key -> (type, value), an array's value (element type, list); tensors: name -> fields."""

    def __init__(self, data):
        self.data, self.at = bytes(data), 4
        self.version, tensors, pairs = self._take("I"), self._take("Q"), self._take("Q")
        self.pairs, self.tensors = {}, {}
        for _ in range(pairs):
            key, kind = self._string(), self._take("I")
            self.pairs[key] = (kind, self._value(kind))
        for _ in range(tensors):
            name = self._string()
            dims = [self._take("Q") for _ in range(self._take("I"))]
            self.tensors[name] = {"dims": dims, "type": self._take("I"), "offset": self._take("Q")}
        start = -(-self.at // 32) * 32
        places = sorted(t["offset"] for t in self.tensors.values()) + [len(self.data) - start]
        for tensor in self.tensors.values():
            end = places[places.index(tensor["offset"]) + 1]
            tensor["data"] = bytearray(self.data[start + tensor["offset"]:start + end])

    def _take(self, code):
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def _string(self):
        length = self._take("Q")
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def _value(self, kind):
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            element, count = self._take("I"), self._take("Q")
            return element, [self._value(element) for _ in range(count)]
        return self._take(SCALARS[kind])

    def write(self, path):
        def string(text):
            return struct.pack("<Q", len(text.encode())) + text.encode()

        def value(kind, what):
            if kind == STRING:
                return string(what)
            if kind == ARRAY:
                return struct.pack("<IQ", what[0], len(what[1])) + b"".join(
                    value(what[0], item) for item in what[1])
            return struct.pack("<" + SCALARS[kind], what)

        out = b"GGUF" + struct.pack("<IQQ", self.version, len(self.tensors), len(self.pairs))
        for key, (kind, what) in self.pairs.items():
            out += string(key) + struct.pack("<I", kind) + value(kind, what)
        data = b""
        for name, tensor in self.tensors.items():
            out += string(name) + struct.pack("<I", len(tensor["dims"]))
            out += b"".join(struct.pack("<Q", dim) for dim in tensor["dims"])
            out += struct.pack("<IQ", tensor["type"], len(data))
            data += bytes(tensor["data"]) + b"\0" * (-len(tensor["data"]) % 32)
        path.write_bytes(out + b"\0" * (-len(out) % 32) + data)
