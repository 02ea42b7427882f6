"""Checks for task 34: boxes, from annotations to anchors.

The oracles are loops over pairs of boxes, one number at a time. Annotations come from a generator that knows what it
wrote, and from real files, which are read with the DOM.
"""

import math

import torch

from torchgrade.authoring import INTEGERS, RECORDING, Rule, any_seed, check, expect, grid, kit

SINGLE, DOUBLE, HALF, ROUGH = torch.float32, torch.float64, torch.float16, torch.bfloat16
LAYOUTS = ["contiguous", "transposed", "gaps", "offset"]
PRECISIONS = [SINGLE, DOUBLE]


# --- what is right ---------------------------------------------------------------------------------------


def like_boxes(rows, width, boxes):
    """Rows of numbers as a tensor (N, width), float64 for boxes in float64, else float32."""
    dtype = DOUBLE if boxes.dtype == DOUBLE else SINGLE
    return torch.tensor(rows, dtype=dtype, device=boxes.device).reshape(-1, width)


def overlap(one, other, pixel=0.0):
    """The IoU of two boxes; ``pixel`` is what old code adds to each side."""
    width = min(one[2], other[2]) - max(one[0], other[0]) + pixel
    height = min(one[3], other[3]) - max(one[1], other[1]) + pixel
    shared = width * height if width > 0 and height > 0 else 0.0
    union = sum((box[2] - box[0] + pixel) * (box[3] - box[1] + pixel) for box in (one, other)) - shared
    return shared / union if union > 0 else 0.0


def pairs(measure):
    """All pairs of two lists of boxes, by a measure of two boxes."""

    def table(a, b):
        rows = [[measure(one, other) for other in b.tolist()] for one in a.tolist()]
        return like_boxes(rows, b.shape[0], a) if len(b) else like_boxes([], 1, a).reshape(len(a), 0)

    return table


iou = pairs(overlap)


def by_score(scores):
    values = scores.tolist()
    return sorted(range(len(values)), key=lambda n: -values[n])


def greedy(boxes, scores, iou_threshold, measure=overlap, order=by_score, chain=False, related=lambda i, j: True):
    """Indices that stay. With ``chain`` boxes that are gone suppress others as well."""
    corners, kept, seen = boxes.tolist(), [], []
    for n in order(scores):
        rivals = seen if chain else kept
        if all(measure(corners[n], corners[m]) <= iou_threshold or not related(n, m) for m in rivals):
            kept.append(n)
        seen.append(n)
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)


def greedy_of_classes(boxes, scores, classes, iou_threshold, **options):
    numbers = [round(number) for number in classes.tolist()]
    return greedy(boxes, scores, iou_threshold, related=lambda i, j: numbers[i] == numbers[j], **options)


def cell_anchors(base, ratios, scales):
    rows = []
    for scale in scales:
        for ratio in ratios:
            height = math.sqrt((base * scale) ** 2 * ratio)
            width = (base * scale) ** 2 / height
            rows.append([-width / 2, -height / 2, width / 2, height / 2])
    return torch.tensor(rows, dtype=SINGLE).reshape(-1, 4)


def spread(anchors, h, w, stride):
    rows = []
    for i in range(h):
        for j in range(w):
            for x1, y1, x2, y2 in anchors.tolist():
                rows.append([x1 + j * stride, y1 + i * stride, x2 + j * stride, y2 + i * stride])
    return torch.tensor(rows, dtype=anchors.dtype, device=anchors.device).reshape(-1, 4)


def by_thresholds(table, hi, lo):
    match = []
    for row in table:
        best = max(row, default=0.0)
        match.append(row.index(best) if best >= hi else -1 if best < lo else -2)
    return match


def matched(anchors, gt, hi, lo, measure=overlap):
    true = gt.tolist()
    table = [[measure(anchor, box) for box in true] for anchor in anchors.tolist()]
    match = by_thresholds(table, hi, lo) if true else [-1] * len(table)
    cells = sorted(((value, a, g) for a, row in enumerate(table) for g, value in enumerate(row)), reverse=True)
    anchors_left, true_left = set(range(len(table))), set(range(len(true)))
    for value, a, g in cells:
        if a in anchors_left and g in true_left:
            assert value > 0, "a true box without an anchor: the task leaves open what happens"
            match[a] = g
            anchors_left.discard(a)
            true_left.discard(g)
    return torch.tensor(match, dtype=torch.int64, device=anchors.device)


def parts(boxes):
    """Centre and size of each box, (N, 2) both."""
    x1, y1, x2, y2 = boxes.unbind(1)
    return torch.stack([(x1 + x2) / 2, (y1 + y2) / 2], 1), torch.stack([x2 - x1, y2 - y1], 1)


def encoded(boxes, anchors):
    (centre, size), (anchor, room) = parts(boxes), parts(anchors)
    return torch.cat([(centre - anchor) / room, size.log() - room.log()], 1)


def decoded(deltas, anchors):
    anchor, room = parts(anchors)
    centre, size = anchor + deltas[:, :2] * room, room * deltas[:, 2:].exp()
    return torch.cat([centre - size / 2, centre + size / 2], 1)


# --- what is asked ---------------------------------------------------------------------------------------


def drawn(shape, generator, low, high, small, large):
    corner = low + (high - low) * torch.rand(shape[0], 2, generator=generator, dtype=DOUBLE)
    size = small + (large - small) * torch.rand(shape[0], 2, generator=generator, dtype=DOUBLE)
    return torch.cat([corner, corner + size], 1)


def near_boxes(shape, dtype, generator):
    """boxes that overlap or lie apart"""
    return drawn(shape, generator, 0, 60, 10, 50)


def outer_boxes(shape, dtype, generator):
    """boxes with negative edges"""
    return drawn(shape, generator, -90, -10, 10, 60)


def wide_boxes(shape, dtype, generator):
    """boxes of thousands of pixels"""
    return drawn(shape, generator, 0, 900, 300, 2000)


def part_boxes(shape, dtype, generator):
    """boxes in parts of the picture, from 0 to 1"""
    return near_boxes(shape, dtype, generator) / 128


def tiny_boxes(shape, dtype, generator):
    """boxes of some hundred thousandths"""
    return near_boxes(shape, dtype, generator) / 1e6


def whole_boxes(shape, dtype, generator):
    """boxes with whole numbers below 128"""
    return drawn(shape, generator, 0, 60, 10, 60).round()


def full_whole_boxes(shape, dtype, generator):
    """boxes of whole numbers from one end of their dtype to the other"""
    low, high = ends(dtype)
    corner = low + 0.4 * (high - low) * torch.rand(shape[0], 2, generator=generator, dtype=DOUBLE)
    size = (high - low) * (0.2 + 0.4 * torch.rand(shape[0], 2, generator=generator, dtype=DOUBLE))
    return torch.cat([corner, corner + size], 1).floor()


def ends(dtype):
    """The least and the largest integer of a dtype, of those that float32 can tell apart."""
    return max(torch.iinfo(dtype).min, -(2**23)), min(torch.iinfo(dtype).max, 2**23)


def heaps(shape, dtype, generator):
    """boxes in heaps side by side, which overlap much"""
    middles = torch.tensor([[20.0, 20], [120, 24], [70, 16]], dtype=DOUBLE)
    middle = middles[torch.randint(3, (shape[0],), generator=generator)]
    jitter = 6 * torch.randn(shape[0], 4, generator=generator, dtype=DOUBLE).clamp(-2, 2)
    return torch.cat([middle - 16, middle + 16], 1) + jitter


def whole_heaps(shape, dtype, generator):
    """heaps of boxes with whole numbers below 128"""
    return (0.6 * (heaps(shape, dtype, generator) + 12)).round()


def full_whole_heaps(shape, dtype, generator):
    """heaps of boxes with whole numbers from one end of their dtype to the other"""
    low, high = ends(dtype)
    return (low + (high - low) / 200 * (heaps(shape, dtype, generator) + 20)).floor()


def outer_heaps(shape, dtype, generator):
    """heaps of boxes with negative edges"""
    return heaps(shape, dtype, generator) - 150


def wide_heaps(shape, dtype, generator):
    """heaps of boxes of hundreds of pixels"""
    return 16 * heaps(shape, dtype, generator)


def rows_of_boxes(shape, dtype, generator):
    """boxes in a row, each of which overlaps with its neighbours alone"""
    number = torch.arange(shape[0], dtype=DOUBLE) + 0.1 * torch.rand(shape[0], generator=generator, dtype=DOUBLE)
    left = 4 * number
    return torch.stack([left, torch.zeros_like(left), left + 13, torch.full_like(left, 10)], 1)


def confidences(shape, dtype, generator):
    """different numbers between 0 and 1"""
    return (torch.randperm(shape[0], generator=generator).double() + 1) / (shape[0] + 1)


def logits(shape, dtype, generator):
    """different numbers of both signs"""
    return 10 * confidences(shape, dtype, generator) - 6


def two_lists(draw, count, others):
    return {"a": draw(count, 4), "b": draw(others, 4)}


PAIRS = grid(two_lists, count=[4, 2, 9], others=[6, 3, 2], values=[near_boxes, outer_boxes, whole_boxes])
ALL_PAIRS = grid(
    two_lists,
    count=[4, 1, 0],
    others=[6, 1, 0],
    values=[near_boxes, wide_boxes, part_boxes, tiny_boxes],
    dtype=[SINGLE, DOUBLE, HALF, ROUGH],
    layout=LAYOUTS,
    grad=RECORDING,
)
WHOLE_PAIRS = grid(
    two_lists, count=[4, 1], others=[6, 2], values=[whole_boxes, full_whole_boxes], dtype=list(INTEGERS), layout=LAYOUTS
)


def detections(draw, count, score, score_dtype):
    return {"boxes": draw(count, 4), "scores": draw(count, values=score, dtype=score_dtype)}


DETECTED = grid(
    detections,
    count=[12, 30, 5],
    score=[confidences, logits],
    score_dtype=[SINGLE],
    iou_threshold=[0.545, 0.3, 0.7],  # neighbours in a row have less than 0.54, and with old pixels more than 0.55
    values=[heaps, rows_of_boxes],
)
ALL_DETECTED = grid(
    detections,
    count=[12, 30, 1, 2, 0],
    score=[confidences, logits, kit.lowest],
    score_dtype=[SINGLE, DOUBLE, HALF, ROUGH],
    iou_threshold=[0.4531, 0.0, 1.0],
    values=[heaps, rows_of_boxes, outer_heaps, wide_heaps],
    dtype=[SINGLE, DOUBLE, HALF, ROUGH],
    layout=LAYOUTS,
    grad=RECORDING,
)
WHOLE_DETECTED = grid(
    detections, count=[12, 30], score=[confidences], score_dtype=[SINGLE], iou_threshold=[0.4531, 0.2113],
    values=[whole_heaps, full_whole_heaps], dtype=list(INTEGERS),
)  # fmt: skip


def few_classes(shape, dtype, generator):
    """class numbers 0, 1 and 2"""
    return torch.randint(3, tuple(shape), generator=generator).double()


def far_classes(shape, dtype, generator):
    """class numbers -7, 3, 2**40 and 2**40 + 1"""
    return torch.tensor([-7.0, 3, 2**40, 2**40 + 1], dtype=DOUBLE)[torch.randint(4, tuple(shape), generator=generator)]


def one_class(shape, dtype, generator):
    """one class number"""
    return torch.full(tuple(shape), 4.0, dtype=DOUBLE)


def labelled(draw, count, score, score_dtype, kinds):
    found = detections(draw, count, score, score_dtype)
    return {**found, "classes": draw(count, values=kinds, dtype=torch.int64)}


LABELLED = grid(
    labelled,
    count=[12, 30, 5],
    score=[confidences],
    score_dtype=[SINGLE],
    kinds=[few_classes, one_class],
    iou_threshold=[0.5, 0.3],
    values=[heaps, rows_of_boxes],
)
ALL_LABELLED = grid(
    labelled,
    count=[12, 30, 1, 0],
    score=[confidences, logits, kit.lowest],
    score_dtype=[SINGLE, DOUBLE, HALF, ROUGH],
    kinds=[few_classes, far_classes],
    iou_threshold=[0.4531, 0.2113],
    values=[heaps, outer_heaps, wide_heaps],
    dtype=[SINGLE, DOUBLE, HALF, ROUGH],
    layout=LAYOUTS,
    grad=RECORDING,
)
WHOLE_LABELLED = grid(
    labelled, count=[12, 30], score=[confidences], score_dtype=[SINGLE], kinds=[few_classes, far_classes],
    iou_threshold=[0.4531, 0.2113], values=[whole_heaps, full_whole_heaps], dtype=list(INTEGERS),
)  # fmt: skip

CELLS = grid(
    base=[16, 10, 7.5],
    ratios=[(0.5, 1, 2), (1, 0.25), [3]],
    scales=[(1, 2), (8, 16, 32), [0.5]],
)


def cell(draw, count):
    return {"anchors": draw(count, 4)}


SPREAD = grid(
    cell, count=[2, 1, 9], h=[3, 1, 4], w=[5, 2], stride=[16, 4], values=[outer_boxes, near_boxes],
)  # fmt: skip
ALL_SPREAD = SPREAD.vary(
    count=[2, 1, 0],
    h=[3, 0],
    w=[5, 0],
    stride=[16, 2.5, 0.1],  # for a computer 3 · 0.1 / 0.1 is more than 3
    dtype=[SINGLE, DOUBLE, HALF, ROUGH],
    layout=LAYOUTS,
    grad=RECORDING,
)


def covering(shape, dtype, generator):
    """anchors in a row, of many sizes"""
    count = shape[0]
    middle = torch.stack([3.0 * torch.randperm(count, generator=generator), torch.full((count,), 20.0)], 1).double()
    half = 6 + 12 * torch.rand(count, 2, generator=generator, dtype=DOUBLE)
    middle = middle + torch.rand(count, 2, generator=generator, dtype=DOUBLE)
    return torch.cat([middle - half, middle + half], 1)


def middle_boxes(shape, dtype, generator):
    """boxes over many anchors"""
    return drawn(shape, generator, 10, 15, 12, 30) + torch.tensor([20.0, 0, 20, 0], dtype=DOUBLE)


def twins(shape, dtype, generator):
    """boxes that are nearly the same"""
    return middle_boxes((1, 4), dtype, generator) + 2 * torch.rand(tuple(shape), generator=generator, dtype=DOUBLE)


def anchored(draw, true, room):
    return {"anchors": draw(25, 4, values=covering), "gt": draw(true, 4, values=room)}


MATCHES = grid(anchored, true=[3, 1, 5], room=[middle_boxes, twins], hi=[0.5, 0.6, 0.35], lo=[0.3, 0.2])


def boxes_beside(draw, count):
    return {"boxes": draw(count, 4), "anchors": draw(count, 4)}


def small_deltas(shape, dtype, generator):
    """numbers near 0"""
    return 0.7 * torch.randn(tuple(shape), generator=generator, dtype=DOUBLE)


def answers(draw, count, sizes):
    return {"deltas": draw(count, 4, values=sizes), "anchors": draw(count, 4)}


CODED = grid(boxes_beside, count=[5, 1, 8], values=[near_boxes, outer_boxes, wide_boxes])
ANSWERED = grid(answers, count=[5, 1, 8], values=[near_boxes, outer_boxes, wide_boxes], sizes=[small_deltas])
INPUTS = {
    "count": [5, 1, 0],
    "values": [near_boxes, outer_boxes, wide_boxes, part_boxes, tiny_boxes],
    "dtype": PRECISIONS,
    "layout": LAYOUTS,
    "grad": RECORDING,
}


# --- annotations -----------------------------------------------------------------------------------------


def compare(got, content, given):
    """A parsed annotation is what the file says: first how many objects, then key by key."""
    expect.equal(plain(got), content, given=given)


def plain(value):
    """Boxes may be tuples; nothing else is changed."""
    if isinstance(value, dict):
        return {key: list(entry) if key == "bndbox" and isinstance(entry, tuple) else plain(entry)
                for key, entry in value.items()}  # fmt: skip
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def a_dog(**changes):
    found = {"name": "dog", "pose": "Left", "truncated": 1, "difficult": 0, "bndbox": [48.0, 240.0, 195.0, 371.0]}
    return {**found, **changes}


def content_of(*objects):
    return {
        "folder": "VOC2007",
        "filename": "000001.jpg",
        "size": {"width": 353, "height": 500, "depth": 3},
        "objects": list(objects),
    }


def text_of(objects, head=None):
    usual = """
  <folder>VOC2007</folder>
  <filename>000001.jpg</filename>
  <size> <width>353</width> <height>500</height> <depth>3</depth> </size>"""
    return f"<annotation>{usual if head is None else head}{objects}\n</annotation>\n"


DOG = """
  <object>
    <name>dog</name> <pose>Left</pose> <truncated>1</truncated> <difficult>0</difficult>
    <bndbox> <xmin>48</xmin> <ymin>240</ymin> <xmax>195</xmax> <ymax>371</ymax> </bndbox>
  </object>"""
MAN = """
  <object>
    <name>person</name> <pose>Frontal</pose> <truncated>0</truncated> <difficult>1</difficult>
    <bndbox> <xmin>8</xmin> <ymin>12</ymin> <xmax>352</xmax> <ymax>498</ymax> </bndbox>
  </object>"""
A_MAN = {"name": "person", "pose": "Frontal", "truncated": 0, "difficult": 1, "bndbox": [8.0, 12.0, 352.0, 498.0]}


@check("parse_voc_xml reads the example of the task", points=2, category="values")
def test_parse(submission):
    for objects, content in ((DOG, [a_dog()]), (DOG + MAN, [a_dog(), A_MAN]), ("", [])):
        given = f"the example of the task with {len(content)} objects"
        compare(submission.parse_voc_xml(text_of(objects)), content_of(*content), given)


@check("parse_voc_xml finds tags by name, in any order", points=1, category="values", after=test_parse)
def test_parse_order(submission):
    turned = """
  <object>
    <bndbox><ymax>371</ymax><xmax>195</xmax><ymin>240</ymin><xmin>48</xmin></bndbox><difficult>0</difficult>
    <occluded>1</occluded><truncated>1</truncated><pose>Left</pose><name>dog</name>
  </object>"""
    head = """<source><name>flickr</name><width>1024</width><height>768</height></source><segmented>0</segmented>
  <size><depth>3</depth><height>500</height><width>353</width></size>
  <filename>000001.jpg</filename><path>/data/000001.jpg</path><folder>VOC2007</folder>"""
    given = "tags in another order, others among them"
    compare(submission.parse_voc_xml(text_of(turned + MAN, head)), content_of(a_dog(), A_MAN), given)
    one_line = " ".join(text_of(DOG + MAN, head).split())
    compare(submission.parse_voc_xml(one_line), content_of(a_dog(), A_MAN), "all in one line")


@check("parse_voc_xml: missing and empty tags have their defaults", points=1, category="values", after=test_parse)
def test_parse_missing(submission):
    bare = """
  <object>{}<name>dog</name>
    <bndbox><xmin>48</xmin><ymin>240</ymin><xmax>195</xmax><ymax>371</ymax></bndbox></object>"""
    dog = a_dog(pose="Unspecified", truncated=0, difficult=0)
    nothing = {"folder": "", "filename": "", "size": {"width": 0, "height": 0, "depth": 0}}
    empty = "<folder></folder><filename/><size><width/><height> </height></size>"
    for head, inner, given in (
        ("", "", "a file with objects alone, which have a name and a box"),
        (empty, "<pose/><truncated></truncated><difficult> </difficult>", "a file with empty tags"),
    ):
        got = submission.parse_voc_xml(text_of(bare.format(inner) + MAN, head))
        compare(got, {**nothing, "objects": [dog, A_MAN]}, given)


@check("parse_voc_xml reads decimals, and texts without white space", points=0.5, category="values", after=test_parse,
       hidden=True)  # fmt: skip
def test_parse_texts(submission):
    dog = """
  <object>
    <name>
      guide dog &amp; lead, Führhund, 导盲犬
    </name> <pose> Left </pose> <truncated> 1 </truncated> <difficult>0</difficult>
    <bndbox> <xmin> 48.25 </xmin> <ymin>-3.5</ymin> <xmax>195.75</xmax> <ymax>
      371</ymax> </bndbox>
  </object>"""
    head = """
  <folder> my pictures </folder> <filename>
    狗.jpg </filename> <size> <width> 353 </width> <height>500</height> <depth>3</depth> </size>"""
    content = content_of(a_dog(name="guide dog & lead, Führhund, 导盲犬", bndbox=[48.25, -3.5, 195.75, 371.0]))
    content |= {"folder": "my pictures", "filename": "狗.jpg"}
    compare(submission.parse_voc_xml(text_of(dog, head)), content, "white space around texts, and decimals")


@check("parse_voc_xml passes over the parts of an object", points=1, category="values", after=test_parse, hidden=True)
def test_parse_parts(submission):
    part = """
    <part><name>head</name><pose>Right</pose><truncated>0</truncated><difficult>1</difficult>
      <bndbox><xmin>60</xmin><ymin>241</ymin><xmax>90</xmax><ymax>270</ymax></bndbox></part>"""
    start, end = DOG.split("<name>")[0], DOG.split("</bndbox>")[-1]
    inner = DOG.removeprefix(start).removesuffix(end)
    for dog, given in (
        (start + inner + part + end, "an object with a part behind its own tags"),
        (start + part + inner + end, "an object with a part before its own tags"),
    ):
        compare(submission.parse_voc_xml(text_of(dog + MAN)), content_of(a_dog(), A_MAN), given)


@check("parse_voc_xml reads a set of annotation files", points=0.5, category="values", after=test_parse, hidden=True)
def test_parse_set(submission, dataset):
    choice = dataset.choose("boxed_shapes", "blood_cells")
    for number, (text, content) in enumerate(choice.module.texts(12, any_seed() % 2**32)):
        compare(submission.parse_voc_xml(text), content, f"file {number} of the set, {content['filename']}")


# --- overlaps --------------------------------------------------------------------------------------------


def as_sizes(measure):
    """The measure, when the last two numbers of a box are taken for its width and height."""

    def turned(one, other):
        return measure(*((box[0], box[1], box[0] + box[2], box[1] + box[3]) for box in (one, other)))

    return turned


def unclamped(one, other):
    width, height = (min(one[n + 2], other[n + 2]) - max(one[n], other[n]) for n in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def clamped_late(one, other):
    """The product is clamped, not its factors."""
    return max(0.0, unclamped(one, other))


def shared_twice(one, other):
    found = overlap(one, other)
    return found / (1 + found)  # shared / (area + area)


def of_smaller(one, other):
    shared = overlap(one, other) / (1 + overlap(one, other)) * sum(map(area, (one, other)))
    return shared / min(area(one), area(other))


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def pixels(one, other):
    return overlap(one, other, 1.0)


IOU_MISTAKES = {
    "1 is added to each side: the box (0, 0, 10, 10) is 10 wide": pairs(pixels),
    "the last two numbers are taken for width and height: they are the right and lower edge": pairs(as_sizes(overlap)),
    "sides of an intersection may be negative: boxes that lie apart share nothing": pairs(unclamped),
    "two negative sides make a positive area: clamp each side, not the product": pairs(clamped_late),
    "the intersection is counted twice in the union": pairs(shared_twice),
    "this is divided by the area of the smaller box: the union is asked for": pairs(of_smaller),
}


@check("box_iou of all pairs of boxes", points=1.5, category="values", devices="all")
def test_iou(submission, device):
    expect.agrees(submission.box_iou, iou, PAIRS, device=device, unchanged=True, likely=IOU_MISTAKES)


@check("box_iou is 0 where boxes touch, lie apart or have no area", points=1, category="values", after=test_iou)
def test_iou_nothing(submission):
    box = torch.tensor([[10.0, 10, 20, 20]])
    for other, given in (
        ((20, 10, 30, 20), "boxes side by side"),
        ((20, 20, 30, 30), "boxes that share a corner"),
        ((30, 30, 40, 50), "boxes apart on both axes"),
        ((-30, 12, -20, 18), "boxes apart on the x axis"),
        ((12, 40, 18, 50), "boxes apart on the y axis"),
        ((15, 15, 15, 15), "a point inside of a box"),
    ):
        expect.equal(
            submission.box_iou(box, torch.tensor([other], dtype=SINGLE)), torch.zeros(1, 1), given=given,
            trivial="these boxes share no area",
        )  # fmt: skip
    point = torch.tensor([[3.0, 4, 3, 4], [5, 5, 9, 5]])
    expect.equal(
        submission.box_iou(point, point), torch.zeros(2, 2), given="boxes without area, with themselves",
        trivial="0/0 counts as 0",
    )  # fmt: skip
    inside = submission.box_iou(box, torch.tensor([[12.0, 13, 14, 15], [10, 10, 20, 20]]))
    expect.close(inside, torch.tensor([[0.04, 1.0]]), given="a box inside of another, and a box with itself")


@check("box_iou takes half precision, layouts, one box and none", points=0.5, category="robustness", after=test_iou,
       hidden=True)  # fmt: skip
def test_iou_inputs(submission):
    expect.agrees(submission.box_iou, iou, ALL_PAIRS, unchanged=True)


@check("box_iou takes integers", points=0.5, category="robustness", after=test_iou, hidden=True)
def test_iou_integers(submission):
    expect.agrees(submission.box_iou, iou, WHOLE_PAIRS, unchanged=True)


# --- suppression -----------------------------------------------------------------------------------------


def rising(scores):
    return by_score(scores)[::-1]


def in_place(scores):
    return range(len(scores))


def sorted_indices(kept):
    return kept.sort().values


NMS_MISTAKES = {
    "the lowest score comes first": lambda b, s, iou_threshold: greedy(b, s, iou_threshold, order=rising),
    "boxes come in the order in which they were given": lambda b, s, iou_threshold: greedy(
        b, s, iou_threshold, order=in_place
    ),
    "boxes that are gone suppress others": lambda b, s, iou_threshold: greedy(b, s, iou_threshold, chain=True),
    "the indices are sorted: the highest score comes first": lambda b, s, iou_threshold: sorted_indices(
        greedy(b, s, iou_threshold)
    ),
    "1 is added to each side: the box (0, 0, 10, 10) is 10 wide": lambda b, s, iou_threshold: greedy(
        b, s, iou_threshold, measure=pixels
    ),
    "nothing is suppressed": lambda b, s, iou_threshold: greedy(b, s, 2.0),
}


@check("nms keeps the best box of each heap", points=1.5, category="values", after=test_iou, devices="all")
def test_nms(submission, device, dataset, pictures):
    expect.agrees(submission.nms, greedy, DETECTED, device=device, unchanged=True, likely=NMS_MISTAKES)
    (scene,) = dataset("boxed_shapes").generate(1, any_seed())
    true = torch.from_numpy(scene.boxes).float()
    boxes = (true[:, None] + 3 * torch.randn(len(true), 8, 4)).reshape(-1, 4)
    scores = torch.rand(len(boxes))
    kept = submission.nms(boxes, scores, 0.5)
    pictures.boxes("suppression", torch.from_numpy(scene.image), {"before": boxes, "after": boxes[kept]}, truth=true)


def at_thresholds(function, *classes):
    """Boxes whose IoU is the threshold, or a little off it."""
    boxes = torch.tensor([[0.0, 0, 5, 5], [0, 0, 10, 10], [0, 0, 10, 5]])  # IoU 1/4, 1/2, 1/2
    scores = torch.tensor([0.7, 0.9, 0.8])
    for threshold, kept, mistaken in (
        (0.5, [1, 2, 0], [1, 0]),
        (0.5 - 1e-5, [1, 0], None),
        (0.5 + 1e-5, [1, 2, 0], None),
        (0.25, [1, 0], [1]),
        (0.25 - 1e-5, [1], None),
    ):
        expect.equal(
            function(boxes, scores, *classes, threshold), torch.tensor(kept),
            given=f"boxes with an IoU of 1/4, 1/2 and 1/2, iou_threshold={threshold}",
            trivial="one box is left" if len(kept) == 1 else None,
            likely=mistaken and {"a box whose IoU is the threshold goes: it stays": torch.tensor(mistaken)},
        )  # fmt: skip


@check("nms: a box whose IoU is the threshold stays", points=0.5, category="values", after=test_nms)
def test_nms_threshold(submission):
    at_thresholds(submission.nms)


def among_equals(submission, function, *classes):
    """Boxes of equal score: which of them stay is open, not what scores do."""
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(6, 1)
    boxes[3:] += torch.tensor([40.0, 0, 40, 0])
    for scores in ([0.5] * 6, [0.5, 0.5, 0.5, 0.7, 0.7, 0.6]):
        kept = submission.probes.suppressed(function, boxes, torch.tensor(scores), *(n(6) for n in classes), 0.4)
        best = torch.tensor([max(scores[3:]), scores[0]])
        given = f"two heaps of three equal boxes each, with scores {scores}; scores that stay"
        expect.equal(kept, best, given=given, trivial="one box of each heap stays")
    apart = torch.arange(5.0)[:, None] * torch.tensor([20.0, 0, 20, 0]) + torch.tensor([0.0, 0, 10, 10])
    kept = submission.probes.suppressed(function, apart, torch.full((5,), 0.25), *(n(5) for n in classes), 0.5)
    expect.equal(
        kept, torch.full((5,), 0.25), given="five boxes apart with equal scores; scores that stay",
        trivial="all of them stay",
    )  # fmt: skip


@check("nms: boxes of equal score, or equal boxes", points=0.5, category="robustness", after=test_nms, hidden=True)
def test_nms_ties(submission):
    among_equals(submission, submission.nms)


def far_off(function, *classes):
    """Boxes in float64 far from (0, 0), which float32 cannot tell apart: centimetres on a map."""
    boxes = 1e8 + torch.tensor([[0, 0, 4, 4], [0, 1, 4, 5], [3, 3, 7, 7]], dtype=DOUBLE)  # IoU 3/5, 1/31, 1/7
    expect.equal(
        function(boxes, torch.tensor([0.7, 0.8, 0.6]), *classes, 0.5), torch.tensor([1, 2]),
        given="three boxes 4 wide in float64, with edges near 100000000, scores 0.7, 0.8 and 0.6, iou_threshold=0.5",
        likely={"boxes in float64 are rounded to float32": torch.tensor([1, 0, 2])},
    )  # fmt: skip


@check("nms takes every dtype, layouts, one box and none", points=0.5, category="robustness", after=test_nms,
       hidden=True)  # fmt: skip
def test_nms_inputs(submission):
    expect.agrees(submission.nms, greedy, ALL_DETECTED, unchanged=True)
    large = DETECTED.vary(count=[12], score=[confidences], iou_threshold=[0.3], values=[wide_heaps], dtype=[HALF])
    expect.agrees(submission.nms, greedy, large)
    expect.agrees(submission.nms, greedy, WHOLE_DETECTED, unchanged=True)
    far_off(submission.nms)


def class_by_class(boxes, scores, classes, iou_threshold):
    kept = greedy_of_classes(boxes, scores, classes, iou_threshold)
    return kept[classes[kept].argsort(stable=True)]


@check(
    "batched_nms: only boxes of one class suppress each other",
    points=1,
    category="values",
    after=test_nms,
    devices="all",
)
def test_batched(submission, device):
    expect.agrees(
        submission.batched_nms, greedy_of_classes, LABELLED, device=device, unchanged=True,
        likely={
            "the classes are not looked at": lambda b, s, c, iou_threshold: greedy(b, s, iou_threshold),
            "the boxes come class after class: the highest score of all comes first": class_by_class,
            "only boxes of different classes suppress each other": lambda b, s, c, iou_threshold: greedy(
                b, s, iou_threshold, related=lambda i, j: round(float(c[i])) != round(float(c[j]))
            ),
            "the indices are sorted: the highest score comes first": lambda b, s, c, iou_threshold: sorted_indices(
                greedy_of_classes(b, s, c, iou_threshold)
            ),
        },
    )  # fmt: skip


@check("batched_nms takes any class numbers, negative edges, no boxes", points=0.5, category="robustness",
       after=test_batched, hidden=True)  # fmt: skip
def test_batched_inputs(submission):
    boxes = torch.tensor([[-42.0, -42, -1, -2], [0, 0, 41, 40], [-41, -42, -1, -2], [1, 0, 41, 40]])
    scores, classes = torch.tensor([0.4, 0.9, 0.6, 0.8]), torch.tensor([1, 0, 1, 0])
    expect.equal(
        submission.batched_nms(boxes, scores, classes, 0.5), torch.tensor([1, 2]),
        given="two heaps of two classes, one of them left of the picture",
        likely={"boxes are shifted by class, but not far enough for negative edges": torch.tensor([1])},
    )  # fmt: skip
    heap = torch.tensor([[0.0, 0, 41, 40], [0, 1, 41, 40], [1, 0, 41, 40], [0, 0, 40, 40]])
    shifted = "boxes are shifted by class, but large ones meet all the same"
    for size, one, other, mistake in (
        (1e6, 1, 0, shifted),
        (1, 3, -3, "the sign of a class is not looked at"),
        (1e6, -1, 1, shifted),
        (1, 2**40, 2**40 + 1, "class numbers are rounded to floating point"),
    ):
        classes, likely = torch.tensor([one, other, one, other]), {mistake: torch.tensor([1])}
        expect.equal(
            submission.batched_nms(size * heap, scores, classes, 0.5), torch.tensor([1, 2]),
            given=f"one heap of the classes {one} and {other}, boxes {41 * size:.0f} wide", likely=likely,
        )  # fmt: skip
    at_thresholds(submission.batched_nms, torch.full((3,), 5))
    among_equals(submission, submission.batched_nms, lambda count: torch.full((count,), -5))
    expect.agrees(submission.batched_nms, greedy_of_classes, ALL_LABELLED, unchanged=True)
    large = LABELLED.vary(count=[12], kinds=[one_class], iou_threshold=[0.3], values=[wide_heaps], dtype=[HALF])
    expect.agrees(submission.batched_nms, greedy_of_classes, large)
    expect.agrees(submission.batched_nms, greedy_of_classes, WHOLE_LABELLED, unchanged=True)
    far_off(submission.batched_nms, torch.full((3,), 5))


# --- anchors ---------------------------------------------------------------------------------------------


def turned(base, ratios, scales):
    return cell_anchors(base, [1 / ratio for ratio in ratios], scales)


def ratio_by_ratio(base, ratios, scales):
    table = cell_anchors(base, ratios, scales).reshape(len(scales), len(ratios), 4)
    return table.transpose(0, 1).reshape(-1, 4)


def stretched(base, ratios, scales):
    """The height is the ratio times the width, and the width is that of the scale."""
    rows = [[-base * s / 2, -base * s * r / 2, base * s / 2, base * s * r / 2] for s in scales for r in ratios]
    return torch.tensor(rows, dtype=SINGLE)


def scaled_area(base, ratios, scales):
    return cell_anchors(base, ratios, [math.sqrt(scale) for scale in scales])


@check("generate_anchors: one box for each scale and ratio, around 0", points=2, category="values")
def test_cell(submission):
    expect.agrees(
        submission.generate_anchors, cell_anchors, CELLS,
        likely={
            "the ratio is width / height: height / width is asked for": turned,
            "the order is ratio by ratio: scale by scale is asked for": ratio_by_ratio,
            "only the height follows the ratio: all anchors of a scale have the same area": stretched,
            "the area is base² · scale: it is (base · scale)²": scaled_area,
            "the first two numbers are 0: edges around the centre (0, 0) are asked for": lambda base, ratios, scales: (
                torch.cat(parts(cell_anchors(base, ratios, scales)), 1)
            ),
            "the sides are rounded": lambda base, ratios, scales: cell_anchors(base, ratios, scales).round(),
        },
    )  # fmt: skip


def columns_first(anchors, h, w, stride):
    return spread(anchors, h, w, stride).reshape(h, w, -1, 4).transpose(0, 1).reshape(-1, 4)


def anchor_by_anchor(anchors, h, w, stride):
    return spread(anchors, h, w, stride).reshape(h * w, -1, 4).transpose(0, 1).reshape(-1, 4)


def crossed(anchors, h, w, stride):
    """x grows with the row, y with the column."""
    table = spread(anchors, w, h, stride).reshape(w, h, -1, 4)
    return table.transpose(0, 1).reshape(-1, 4)


def placed(submission, cases, **options):
    """grid_anchors, asked by name: what is drawn comes first in a case, last in the function."""
    ask, function = submission.probes.on_map, submission.grid_anchors
    expect.agrees(ask, spread, cases, bound=(function,), name="grid_anchors", unchanged=True, **options)


@check("grid_anchors puts the anchors on every cell", points=2, category="values", devices="all")
def test_grid(submission, device, pictures, dataset):
    placed(
        submission, SPREAD, device=device,
        likely={
            "the cells come column after column: row after row is asked for": columns_first,
            "the cells of one anchor come together: the anchors of one cell are to": anchor_by_anchor,
            "x grows with the row and y with the column: it is the other way round": crossed,
            "half a cell is added": lambda anchors, h, w, stride: spread(anchors, h, w, stride) + stride / 2,
            "the stride is not used": lambda anchors, h, w, stride: spread(anchors, h, w, 1),
            "only the upper left corner moves": lambda anchors, h, w, stride: torch.cat(
                [spread(anchors, h, w, stride)[:, :2], spread(anchors, h, w, 0)[:, 2:]], 1
            ),
        },
    )  # fmt: skip
    (scene,) = dataset("boxed_shapes").generate(1, any_seed())
    shapes = cell_anchors(12, (0.5, 1, 2), (1, 2))
    found = submission.grid_anchors(6, 8, 16, shapes)
    one = submission.grid_anchors(1, 1, 16, shapes) + torch.tensor([64.0, 48, 64, 48])
    pictures.boxes("anchors", torch.from_numpy(scene.image), {"of one cell": one, "all": found})


@check("grid_anchors takes every dtype and layout, and empty maps", points=0.5, category="robustness", after=test_grid,
       hidden=True)  # fmt: skip
def test_grid_inputs(submission):
    placed(submission, ALL_SPREAD)
    placed(submission, SPREAD.vary(count=[1], h=[1], w=[1]), trivial="the only cell stands for (0, 0)")


# --- matching --------------------------------------------------------------------------------------------


def only_thresholds(anchors, gt, hi, lo):
    table = [[overlap(anchor, box) for box in gt.tolist()] for anchor in anchors.tolist()]
    return torch.tensor(by_thresholds(table, hi, lo))


def each_best(anchors, gt, hi, lo):
    """Every true box takes its best anchor, the later one also from the earlier one."""
    match = only_thresholds(anchors, gt, hi, lo)
    for number, box in enumerate(gt.tolist()):
        overlaps = [overlap(anchor, box) for anchor in anchors.tolist()]
        match[overlaps.index(max(overlaps))] = number
    return match


def in_turn(anchors, gt, hi, lo):
    """Every true box in turn takes its best free anchor."""
    match, free = only_thresholds(anchors, gt, hi, lo), set(range(len(anchors)))
    for number, box in enumerate(gt.tolist()):
        best = max(free, key=lambda a: overlap(anchors[a].tolist(), box))
        match[best] = number
        free.discard(best)
    return match


def marks_swapped(anchors, gt, hi, lo):
    match = matched(anchors, gt, hi, lo)
    return torch.where(match < 0, -3 - match, match)


def no_middle(anchors, gt, hi, lo):
    match = matched(anchors, gt, hi, lo)
    return match.clamp(min=-1)


MATCH_MISTAKES = {
    "true boxes that find no anchor by the thresholds stay without": only_thresholds,
    "two true boxes with the same best anchor: one of them is left without": each_best,
    "the true boxes choose in their own order: the pair with the highest IoU of all comes first": in_turn,
    "-1 and -2 are swapped: -1 is the background": marks_swapped,
    "what is between the thresholds counts as background: it is -2": no_middle,
}


def quarrels(submission):
    """True boxes that like one anchor best."""
    anchors = torch.tensor([[40.0, 40, 50, 50], [0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 3]])
    near, far = [0.0, 0, 10, 9.5], [0.0, 0, 10, 9]  # both like anchor 1 best
    lonely = [44.0, 44, 70, 70]
    for gt, match in (
        ([near, far], [-1, 0, 1, -2]),
        ([far, near], [-1, 1, 0, -2]),
        ([lonely, far, near], [0, 2, 1, -2]),
    ):
        for hi in (0.6, 0.99):
            expect.equal(
                submission.match_anchors(anchors, torch.tensor(gt), hi, 0.1), torch.tensor(match),
                given=f"true boxes {gt}, hi={hi}, lo=0.1",
            )  # fmt: skip
    anchors = torch.tensor([[0.0, 0, 10, 9.5], [0, 0, 10, 9], [0, 0, 10, 5]])
    gt = torch.tensor([[0.0, 0, 10, 7.2], [0, 0, 10, 10]])  # IoU 0.76, 0.8, 0.69 and 0.95, 0.9, 0.5
    expect.equal(
        submission.match_anchors(anchors, gt, 0.6, 0.1), torch.tensor([1, 0, 0]),
        given="three anchors, two true boxes, one of which takes an anchor that the thresholds gave to the other",
    )  # fmt: skip


@check("match_anchors: thresholds, and an anchor for every true box", points=2, category="values", after=test_iou,
       devices="all")  # fmt: skip
def test_match(submission, device):
    expect.agrees(submission.match_anchors, matched, MATCHES, device=device, unchanged=True, likely=MATCH_MISTAKES)
    quarrels(submission)


@check(
    "match_anchors: hi and lo themselves count upwards", points=0.5, category="values", after=test_match, hidden=True
)
def test_match_limits(submission):
    gt = torch.tensor([[0.0, 0, 16, 16]])
    anchors = torch.tensor([[0.0, 0, 16, 16], [0, 0, 16, 8], [0, 0, 8, 8], [0, 0, 8, 4]])  # IoU 1, 1/2, 1/4, 1/8
    for hi, lo, match in (
        (0.5, 0.25, [0, 0, -2, -1]),
        (0.5 + 1e-5, 0.25 + 1e-5, [0, -2, -1, -1]),
        (0.25, 0.125, [0, 0, 0, -2]),
        (0.25, 0.25, [0, 0, 0, -1]),
        (1.0, 0.5, [0, -2, -1, -1]),
    ):
        expect.equal(
            submission.match_anchors(anchors, gt, hi, lo), torch.tensor(match),
            given=f"anchors with an IoU of 1, 1/2, 1/4 and 1/8, hi={hi}, lo={lo}",
        )  # fmt: skip


@check("match_anchors of no boxes, no anchors, or one of each", points=0.5, category="robustness", after=test_match,
       hidden=True)  # fmt: skip
def test_match_empty(submission):
    one = torch.tensor([[0.0, 0, 4, 5]])
    expect.equal(submission.match_anchors(one, one + 3, 0.5, 0.3), torch.tensor([0]),
                 given="one anchor, one true box that it overlaps with a little",
                 trivial="there is one true box")  # fmt: skip
    for dtype in PRECISIONS:
        none, some = torch.zeros(0, 4, dtype=dtype), torch.tensor([[0, 0, 4, 5], [1, 1, 3, 3]], dtype=dtype)
        expect.equal(submission.match_anchors(some, none, 0.5, 0.3), torch.tensor([-1, -1]),
                     given="two anchors, no true boxes", trivial="all anchors are -1")  # fmt: skip
        for gt, given in ((none, "no anchors, no true boxes"), (some, "no anchors, two true boxes")):
            expect.equal(submission.match_anchors(none, gt, 0.5, 0.3), torch.tensor([], dtype=torch.int64),
                         given=given, trivial="there is nothing to match")  # fmt: skip
    for reach in (1.0, 0.01):
        gt = torch.tensor([[100 - reach, 50, 200, 150], [20, 20, 30, 30]])
        anchors = torch.tensor([[20.0, 20, 30, 31], [0, 0, 100, 100]])
        expect.equal(submission.match_anchors(anchors, gt, 0.5, 0.3), torch.tensor([1, 0]),
                     given=f"two true boxes, one of which overlaps with its anchor by {reach:g} of 100 pixels alone",
                     likely={"a true box goes without an anchor because the overlap is small": torch.tensor([1, -1])},
                     )  # fmt: skip


@check("match_anchors takes float64 and every layout", points=0.5, category="robustness", after=test_match, hidden=True)
def test_match_inputs(submission):
    cases = MATCHES.vary(dtype=PRECISIONS, layout=LAYOUTS, grad=RECORDING, true=[3, 1], hi=[0.5], lo=[0.3])
    expect.agrees(submission.match_anchors, matched, cases, unchanged=True)
    gt = 1e8 + torch.tensor([[0, 0, 4, 4], [5, 0, 9, 4]], dtype=DOUBLE)
    anchors = 1e8 + torch.tensor([[0, 1, 4, 5], [0, 3, 4, 7], [5, 2, 9, 6], [1, 1, 3, 3]], dtype=DOUBLE)
    expect.equal(
        submission.match_anchors(anchors, gt, 0.5, 0.2), torch.tensor([0, -1, 1, -2]),
        given="boxes 4 wide in float64, with edges near 100000000",
    )  # fmt: skip


# --- coding ----------------------------------------------------------------------------------------------


def by_corner(boxes, anchors):
    """Upper left corners in place of centres."""
    (_, size), (_, room) = parts(boxes), parts(anchors)
    return torch.cat([(boxes[:, :2] - anchors[:, :2]) / room, (size / room).log()], 1)


def centre_ratio(boxes, anchors, change):
    (centre, size), (anchor, room) = parts(boxes), parts(anchors)
    return torch.cat(change(centre - anchor, size, room), 1)


ENCODE_MISTAKES = {
    "upper left corners are compared: centres are asked for": by_corner,
    "the shift is not divided by the size of the anchor": lambda b, a: centre_ratio(
        b, a, lambda shift, size, room: (shift, (size / room).log())
    ),
    "the shift is divided by the size of the box: it is that of the anchor": lambda b, a: centre_ratio(
        b, a, lambda shift, size, room: (shift / size, (size / room).log())
    ),
    "there is no logarithm": lambda b, a: centre_ratio(b, a, lambda shift, size, room: (shift / room, size / room)),
    "box and anchor are swapped": lambda b, a: encoded(a, b),
    "the sizes are divided the wrong way round": lambda b, a: centre_ratio(
        b, a, lambda shift, size, room: (shift / room, (room / size).log())
    ),
}
SMALL = 10  # slack: differences of coordinates lose a digit or two


@check("encode_boxes: the four numbers of each box", points=2, category="values", devices="all")
def test_encode(submission, device):
    expect.agrees(
        submission.encode_boxes, encoded, CODED, device=device, unchanged=True, slack=SMALL, likely=ENCODE_MISTAKES
    )


DECODE_MISTAKES = {
    "centre and size are returned: edges are asked for": lambda d, a: torch.cat(parts(decoded(d, a)), 1),
    "the upper left corner of the anchor is moved: its centre is to": lambda d, a: (
        decoded(d, a) - parts(a)[1].repeat(1, 2) / 2
    ),
    "the shift is not multiplied by the size of the anchor": lambda d, a: decoded(
        torch.cat([d[:, :2] / parts(a)[1], d[:, 2:]], 1), a
    ),
    "the last two numbers are multiplied as they are: they are logarithms": lambda d, a: torch.cat(
        [
            parts(a)[0] + d[:, :2] * parts(a)[1] - parts(a)[1] * d[:, 2:] / 2,
            parts(a)[0] + d[:, :2] * parts(a)[1] + parts(a)[1] * d[:, 2:] / 2,
        ],
        1,
    ),
}


@check("decode_boxes: the boxes that four numbers mean", points=2.5, category="values", devices="all")
def test_decode(submission, device):
    expect.agrees(
        submission.decode_boxes, decoded, ANSWERED, device=device, unchanged=True, slack=SMALL, likely=DECODE_MISTAKES
    )


@check("encode_boxes takes float64, layouts, and no boxes", points=0.5, category="robustness", after=test_encode,
       hidden=True)  # fmt: skip
def test_encode_inputs(submission):
    expect.agrees(submission.encode_boxes, encoded, CODED.vary(**INPUTS), unchanged=True, slack=SMALL)


@check("decode_boxes takes float64, layouts, far numbers, and no boxes", points=0.5, category="robustness",
       after=test_decode, hidden=True)  # fmt: skip
def test_decode_inputs(submission):
    def large(shape, dtype, generator):
        """numbers from -6 to 6"""
        return kit.spread(shape, dtype, generator) / 2

    def far(shape, dtype, generator):
        """numbers from -36 to 36"""
        return 3 * kit.spread(shape, dtype, generator)

    expect.agrees(submission.decode_boxes, decoded, ANSWERED.vary(sizes=[large, far], dtype=[DOUBLE]), slack=SMALL)
    expect.agrees(submission.decode_boxes, decoded, ANSWERED.vary(**INPUTS), unchanged=True, slack=SMALL)


@check("gradients reach the arguments of encode_boxes and decode_boxes", points=1, category="gradients",
       after=[test_encode, test_decode], hidden=True)  # fmt: skip
def test_gradients(submission):
    expect.agrees(submission.encode_boxes, encoded, CODED.vary(dtype=PRECISIONS), gradients=True, slack=SMALL)
    expect.agrees(submission.decode_boxes, decoded, ANSWERED.vary(dtype=PRECISIONS), gradients=True, slack=SMALL)


# --- all together ----------------------------------------------------------------------------------------


RULE = Rule(
    of=("box_iou", "nms", "batched_nms", "generate_anchors", "grid_anchors", "match_anchors", "encode_boxes",
        "decode_boxes"),
    names=("torchvision", "detectron2", "mmcv", "mmdet", "kornia", "ultralytics"),
    instead="maxima, minima and products",
)  # fmt: skip


@check("the boxes are computed here, not by a library", points=0.5, category="rules", gates=RULE)
def test_rules(submission):
    expect.avoids(submission.decode_boxes, torch.rand(1, 4), torch.tensor([[1.0, 1, 5, 6]]), rule=RULE)


def some_boxes(count):
    return torch.arange(float(count))[:, None] + torch.tensor([0.0, 0, 10, 12])


FEW, MANY = 6, 96


@check("the work of box_iou does not grow with the boxes", points=0.5, category="efficiency", after=test_iou)
def test_iou_efficiency(submission):
    for few, many in (((FEW, FEW), (MANY, FEW)), ((FEW, FEW), (FEW, MANY))):
        small, large = (tuple(map(some_boxes, counts)) for counts in (few, many))
        expect.vectorised(submission.box_iou, small, large, lines=True, given=f"{many[0]} boxes and {many[1]} boxes")


@check("the work of grid_anchors does not grow with the cells", points=0.5, category="efficiency", after=test_grid)
def test_grid_efficiency(submission):
    cases = [(h, w, 8, some_boxes(anchors)) for h, w, anchors in ((3, 3, 3), (24, 3, 3), (3, 24, 3), (3, 3, 24))]
    for large in cases[1:]:
        given = f"a map of {large[0]} × {large[1]} cells, {len(large[3])} anchors in each"
        expect.vectorised(submission.grid_anchors, cases[0], large, lines=True, given=given)


@check("the work of coding does not grow with the boxes", points=0.5, category="efficiency",
       after=[test_encode, test_decode])  # fmt: skip
def test_coding_efficiency(submission):
    for name in ("encode_boxes", "decode_boxes"):
        small, large = ((some_boxes(count) / 20, some_boxes(count)) for count in (FEW, MANY))
        expect.vectorised(getattr(submission, name), small, large, lines=True, given=f"{name} of {MANY} boxes")
