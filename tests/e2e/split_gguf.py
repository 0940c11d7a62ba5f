"""Cuts a GGUF file into parts, as llama-gguf-split does: the first part has the metadata."""
import pathlib

import gguf_edit

U16, I32 = 2, 5


def split(source, stem, count):
    """Writes STEM-00001-of-0000N.gguf and so on; gives their paths. Tensors are dealt out in order."""
    data = pathlib.Path(source).read_bytes()
    names = list(gguf_edit.Gguf(data).tensors)
    paths = []
    for part in range(count):
        gguf = gguf_edit.Gguf(data)
        kept = names[len(names) * part // count:len(names) * (part + 1) // count]
        gguf.tensors = {name: gguf.tensors[name] for name in kept}
        if part > 0:
            gguf.pairs = {}
        gguf.pairs |= {"split.no": (U16, part), "split.count": (U16, count),
                       "split.tensors.count": (I32, len(names))}
        paths.append(pathlib.Path(f"{stem}-{part + 1:05}-of-{count:05}.gguf"))
        gguf.write(paths[-1])
    return paths
