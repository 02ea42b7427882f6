"""Grey pictures of discs, squares and triangles with a box round each, and the annotation files that say so.

``generate(count, seed)`` returns scenes. ``voc_xml`` writes the annotation of one as Pascal VOC does, and ``texts``
those of many, which differ as the files of many tools and people do: in the order of tags, in white space, in tags that
nobody asked for.

Prefix-stable: the first n scenes of a seed do not depend on how many are drawn.
"""

from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

CLASSES = ("disc", "square", "triangle")
HEIGHT, WIDTH = 96, 128


@dataclass(frozen=True)
class Scene:
    """A picture uint8 (96, 128), boxes float64 (K, 4) as x1, y1, x2, y2, and the class number of each."""

    image: np.ndarray
    boxes: np.ndarray
    labels: tuple[int, ...]


def generate(count, seed=0):
    """Draw ``count`` scenes of two to five shapes. Raises ValueError for a negative count."""
    if count < 0:
        raise ValueError(f"count is {count}: it must be 0 or more")
    return [_scene(np.random.default_rng([seed, number])) for number in range(count)]


def truth(scene, number, rng=None):
    """The content of a scene's annotation, as a parser should give it; with ``rng`` flags and poses are drawn."""
    objects = []
    for box, label in zip(scene.boxes, scene.labels, strict=True):
        flags = (0, 0) if rng is None else map(int, rng.integers(0, 2, 2))
        found = dict(zip(("truncated", "difficult"), flags, strict=True))
        pose = "Unspecified" if rng is None else str(rng.choice(["Left", "Right", "Unspecified"]))
        objects.append({"name": CLASSES[label], "pose": pose, **found, "bndbox": [float(edge) for edge in box]})
    size = {"width": WIDTH, "height": HEIGHT, "depth": 1}
    return {"folder": "shapes", "filename": f"{number:06d}.png", "size": size, "objects": objects}


def voc_xml(content, rng=None, indent="\t", extra=True):
    """The annotation file of ``content``, a dict as ``truth`` makes it.

    An entry that is None is left out. With ``rng`` the tags of each node stand in random order (objects keep theirs).
    ``extra`` adds tags that other tools write. Without ``indent`` all stands in one line.
    """
    nodes = {"folder": content["folder"], "filename": content["filename"], "size": content["size"]}
    if extra:
        nodes |= {"path": f"/data/{content['filename']}", "source": {"database": "Unknown"}, "segmented": 0}
    lines = ["<annotation>"]
    body = [_node(name, value, rng) for name, value in nodes.items() if value is not None]
    order = range(len(body)) if rng is None else rng.permutation(len(body))
    body = [body[n] for n in order]
    for one in content["objects"]:
        box = one["bndbox"]
        edges = dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        body.append(_node("object", {**one, "bndbox": edges}, rng))
    lines += [line for node in body for line in node] + ["</annotation>"]
    return _laid_out(lines, indent)


def texts(count, seed=0):
    """``count`` annotation files and what they say: [(text, content), ...]."""
    found = []
    for number, scene in enumerate(generate(count, seed)):
        rng = np.random.default_rng([seed, number, 1])
        content = truth(scene, number, rng)
        shuffled = rng if rng.random() < 0.5 else None
        found.append((voc_xml(content, shuffled, str(rng.choice(["\t", "  ", ""])), bool(rng.random() < 0.7)), content))
    return found


def catalogue():
    """What ``python grade.py data`` says about this set."""
    return {
        "name": "boxed_shapes",
        "title": "grey shapes with a box round each, and their annotation files",
        "kind": "generated",
        "status": "ready",
        "detail": "drawn from a seed, nothing to fetch",
        "where": [],
        "get": "",
    }


def _node(name, value, rng):
    """The lines of one tag; a dict becomes tags inside it."""
    if not isinstance(value, dict):
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return [f"<{name}>{escape(text)}</{name}>"]
    inner = [_node(key, entry, rng) for key, entry in value.items() if entry is not None]
    order = range(len(inner)) if rng is None else rng.permutation(len(inner))
    return [f"<{name}>", *(line for n in order for line in inner[n]), f"</{name}>"]


def _laid_out(lines, indent):
    if not indent:
        return "".join(lines)
    depth, out = 0, []
    for line in lines:
        closes = line.startswith("</")
        depth -= closes
        out.append(indent * depth + line)
        depth += not closes and "</" not in line
    return "\n".join(out) + "\n"


def _scene(rng):
    image = np.full((HEIGHT, WIDTH), 40.0) + rng.normal(0, 6, (HEIGHT, WIDTH))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    boxes, labels = [], []
    for _ in range(int(rng.integers(2, 6))):
        label = int(rng.integers(len(CLASSES)))
        width = int(rng.integers(14, 44))
        height = width if CLASSES[label] == "disc" else int(rng.integers(14, 44))
        left, top = int(rng.integers(0, WIDTH - width + 1)), int(rng.integers(0, HEIGHT - height + 1))
        u, v = (x - left) / width, (y - top) / height  # 0 to 1 inside of the box
        inside = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
        if CLASSES[label] == "disc":
            inside &= (u - 0.5) ** 2 + (v - 0.5) ** 2 <= 0.25
        if CLASSES[label] == "triangle":
            inside &= np.abs(u - 0.5) <= v / 2
        image[inside] = rng.uniform(110, 250)
        boxes.append((left, top, left + width, top + height))
        labels.append(label)
    return Scene(image.clip(0, 255).astype(np.uint8), np.array(boxes, np.float64), tuple(labels))
