"""Gradients are switched off function by function, and places on the curve are searched for."""


def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5, difficult=None):
    with torch.no_grad():
        n = len(boxes)
        g = len(gt_boxes)
        result = [0 for _ in range(n)]
        if g > 0:
            table = box_iou(boxes, gt_boxes)
            numbers = scores.tolist()
            turn = sorted(range(n), key=lambda k: -numbers[k])
            taken = [False for _ in range(g)]
            for k in turn:
                where = 0
                for j in range(1, g):
                    if table[k, j] > table[k, where]:
                        where = j
                if table[k, where] < iou_threshold:
                    result[k] = 0
                elif difficult is not None and difficult[where] != 0:
                    result[k] = -1
                elif taken[where]:
                    result[k] = 0
                else:
                    result[k] = 1
                    taken[where] = True
        return torch.tensor(result, dtype=torch.long, device=boxes.device)


@torch.no_grad()
def precision_recall(tp, scores, num_gt):
    counts = tp != -1
    flags = tp[counts]
    points = scores[counts]
    _, order = torch.sort(points, descending=True)
    is_right = flags[order] == 1
    right = torch.cumsum(is_right, 0)
    wrong = torch.cumsum(~is_right, 0)
    precision = right.double() / (right + wrong).double()
    recall = right.double() / (num_gt if num_gt != 0 else math.nan)
    return precision, recall


@torch.no_grad()
def precision_envelope(precision):
    k = precision.shape[0]
    backwards = torch.arange(k - 1, -1, -1, device=precision.device)
    result = precision.clone()
    if k > 0:
        result = torch.cummax(precision[backwards], dim=0)[0][backwards]
    return result


@torch.no_grad()
def area_below(precision, recall):
    if precision.shape[0] == 0:
        return 0.0
    stairs = precision_envelope(precision)
    area = recall[0] * stairs[0] + ((recall[1:] - recall[:-1]) * stairs[1:]).sum()
    return area.item()


@torch.no_grad()
def interpolated_precision(precision, recall, points):
    zero = torch.zeros(1, dtype=points.dtype, device=points.device)
    p = torch.cat([precision, zero])
    result = torch.zeros(points.shape[0], dtype=points.dtype, device=points.device)
    # The recall never falls: the first place with enough of it, and then the stairs.
    place = torch.searchsorted(recall.contiguous(), points.contiguous())
    result += precision_envelope(p)[place]
    return result


def average_precision(tp, scores, num_gt, method="all"):
    if method == "all":
        if num_gt == 0:
            return math.nan
        p, r = precision_recall(tp, scores, num_gt)
        return area_below(p, r)
    elif method == "11point":
        if num_gt == 0:
            return math.nan
        p, r = precision_recall(tp, scores, num_gt)
        eleven = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
        points = torch.tensor(eleven, dtype=p.dtype, device=p.device)
        return interpolated_precision(p, r, points).sum().item() / 11
    else:
        raise ValueError("method must be 'all' or '11point'")


@torch.no_grad()
def gather_class(predictions, targets, label, iou_threshold=0.5):
    flags = torch.zeros(0, dtype=torch.int64)
    scores = torch.zeros(0)
    num_gt = 0
    for k in range(len(targets)):
        p = predictions[k]
        t = targets[k]
        mine = torch.nonzero(p["labels"] == label).flatten()
        yours = torch.nonzero(t["labels"] == label).flatten()
        difficult = t.get("difficult")
        if difficult is not None:
            difficult = difficult[yours]
        for j in range(len(yours)):
            if difficult is None or difficult[j] == 0:
                num_gt += 1
        found = match_detections(p["boxes"][mine], p["scores"][mine], t["boxes"][yours], iou_threshold, difficult)
        if k == 0:
            flags = found
            scores = p["scores"][mine]
        else:
            flags = torch.cat([flags, found])
            scores = torch.cat([scores, p["scores"][mine]])
    return flags, scores, num_gt


def class_average_precisions(predictions, targets, iou_threshold=0.5, method="all"):
    average_precision(torch.zeros(0), torch.zeros(0), 0, method)  # raises if there is no such method
    result = {}
    for t in targets:
        for number in t["labels"]:
            label = number.item()
            if label not in result:
                f, s, n = gather_class(predictions, targets, label, iou_threshold)
                result[label] = average_precision(f, s, n, method)
    return result


def mean_average_precision(predictions, targets, iou_thresholds=(0.5,), method="all"):
    total = 0.0
    number = 0
    for threshold in iou_thresholds:
        table = class_average_precisions(predictions, targets, threshold, method)
        for label in table:
            if not math.isnan(table[label]):
                total += table[label]
                number += 1
    if number == 0:
        return math.nan
    return total / number
