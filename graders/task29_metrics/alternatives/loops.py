"""A beginner's way: loops over the classes and over the different scores, and comparisons in between."""


def confusion_matrix(pred, target, num_classes):
    if len(pred) and (min(pred.min(), target.min()) < 0 or max(pred.max(), target.max()) >= num_classes):
        raise IndexError("a class outside")
    cm = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=pred.device)
    for true in range(num_classes):
        for given in range(num_classes):
            cm[true, given] = ((target == true) & (pred == given)).sum()
    return cm


def accuracy(cm):
    if cm.sum() == 0:
        return 0.0
    right = 0
    for n in range(len(cm)):
        right += int(cm[n, n])
    return right / int(cm.sum())


def precision_recall_f1(cm, average):
    rows = cm.tolist()
    classes = range(len(rows))
    if average == "micro":
        value = accuracy(cm)
        return Scores(value, value, value, not cm.any())
    if average is not None and average != "macro":
        raise ValueError("unknown average")
    precisions, recalls, f1s, undefined = [], [], [], False
    for n in classes:
        given, true = sum(rows[m][n] for m in classes), sum(rows[n])
        undefined = undefined or given == 0 or true == 0
        p = rows[n][n] / given if given else 0.0
        r = rows[n][n] / true if true else 0.0
        precisions.append(p)
        recalls.append(r)
        f1s.append(2 * p * r / (p + r) if p + r > 0 else 0.0)
    if average is None:
        return Scores(*(torch.tensor(part, device=cm.device) for part in (precisions, recalls, f1s)), undefined)
    return Scores(*(sum(part) / len(part) for part in (precisions, recalls, f1s)), undefined)


def topk_accuracy(scores, target, k):
    if scores.size(0) == 0:
        return 0.0
    order = scores.argsort(dim=1, descending=True)
    hit = torch.zeros(len(target), dtype=torch.bool, device=scores.device)
    for place in range(min(k, scores.size(1))):
        hit |= order[:, place] == target
    return int(hit.sum()) / len(target)


def roc_curve(scores, labels):
    thresholds = [math.inf, *sorted(set(scores.tolist()), reverse=True)]
    positive = labels.bool()
    tpr, fpr = [], []
    for threshold in thresholds:
        given = scores >= threshold
        tpr.append((given & positive).sum() / positive.sum())
        fpr.append((given & ~positive).sum() / (~positive).sum())
    return torch.stack(fpr), torch.stack(tpr), torch.tensor(thresholds, device=scores.device)


def auc(scores, labels):
    positive = labels.bool()
    if positive.all() or not positive.any():
        return float("nan")
    fpr, tpr, _ = roc_curve(scores, labels)
    area = 0.0
    for n in range(1, len(fpr)):
        area += float(fpr[n] - fpr[n - 1]) * float(tpr[n] + tpr[n - 1]) / 2
    return area


def pr_curve(scores, labels):
    thresholds = sorted(set(scores.tolist()))
    precision, recall = [], []
    for threshold in thresholds:
        given = scores >= threshold
        hits = int((given & labels.bool()).sum())
        precision.append(hits / int(given.sum()))
        recall.append(hits / int(labels.bool().sum()) if labels.any() else 0.0)
    return (
        torch.tensor([*precision, 1.0], device=scores.device),
        torch.tensor([*recall, 0.0], device=scores.device),
        torch.tensor(thresholds, dtype=scores.dtype, device=scores.device),
    )


def average_precision(scores, labels):
    precision, recall, _ = pr_curve(scores, labels)
    total = 0.0
    for n in range(len(precision) - 1):
        total += float(recall[n] - recall[n + 1]) * float(precision[n])
    return total
