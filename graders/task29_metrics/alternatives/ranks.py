"""Mid-ranks for the area, index_put and scatter for the counts, unique with inverse for the groups."""


def confusion_matrix(pred, target, num_classes):
    pred, target = pred.to(torch.int64), target.to(torch.int64)
    assert_known(pred, num_classes)
    assert_known(target, num_classes)
    cm = torch.zeros((num_classes, num_classes), dtype=torch.int64, device=pred.device)
    return cm.index_put_((target, pred), torch.ones_like(pred), accumulate=True)


def assert_known(classes, num_classes):
    if not torch.all(torch.logical_and(0 <= classes, classes < num_classes)):
        raise RuntimeError("unknown class")


def accuracy(cm):
    total = cm.sum()
    return (cm.diag().sum() / total).item() if total > 0 else 0.0


def precision_recall_f1(cm, average):
    match average:
        case "micro":
            return Scores(*[accuracy(cm)] * 3, undefined=int(cm.sum()) == 0)
        case None | "macro":
            given, true = cm.sum(dim=0), cm.sum(dim=1)
            precision = torch.nan_to_num(cm.diag() / given, nan=0.0)
            recall = torch.nan_to_num(cm.diag() / true, nan=0.0)
            f1 = torch.nan_to_num(2 * precision * recall / (precision + recall), nan=0.0)
            undefined = given.eq(0).any() or true.eq(0).any()
            if average is None:
                return Scores(precision, recall, f1, undefined)
            return Scores(precision.mean().item(), recall.mean().item(), f1.mean().item(), undefined)
        case _:
            raise ValueError("average")


def topk_accuracy(scores, target, k):
    n, c = scores.shape
    if n == 0:
        return 0.0
    hits = torch.zeros(n, c, dtype=torch.bool, device=scores.device)
    hits.scatter_(1, torch.topk(scores, min(k, c)).indices, True)
    return hits[torch.arange(n, device=scores.device), target.long()].float().mean().item()


def groups(scores, labels):
    """The different scores, rising, and how many positive and negative samples have each."""
    values, place = torch.unique(scores.detach(), return_inverse=True)
    counts = torch.zeros(2, len(values), dtype=torch.float64, device=scores.device)
    for row, kind in enumerate((labels == 1, labels != 1)):
        counts[row].scatter_add_(0, place, kind.double())
    return values, counts


def roc_curve(scores, labels):
    values, counts = groups(scores, labels)
    passed = torch.cat([counts.new_zeros(2, 1), counts.flip(1).cumsum(1)], 1)
    rates = passed / counts.sum(1, keepdim=True)
    return (
        rates[1],
        rates[0],
        torch.cat([torch.full_like(values, math.inf)[:1], values.flip(0)])
        if len(values)
        else torch.tensor([math.inf], device=scores.device),
    )


def auc(scores, labels):
    _, counts = groups(scores, labels)
    positives, negatives = counts
    below = negatives.cumsum(0) - negatives
    return ((positives * (below + negatives / 2)).sum() / (positives.sum() * negatives.sum())).item()


def pr_curve(scores, labels):
    values, counts = groups(scores, labels)
    passed = counts.flip(1).cumsum(1).flip(1)
    total = counts[0].sum()
    precision = torch.cat([passed[0] / passed.sum(0), counts.new_ones(1)])
    recall = torch.cat([passed[0] / total if total else torch.zeros_like(passed[0]), counts.new_zeros(1)])
    return precision, recall, values


def average_precision(scores, labels):
    _, counts = groups(scores, labels)
    passed = counts.flip(1).cumsum(1).flip(1)
    total = counts[0].sum().item()
    return (passed[0] / passed.sum(0) * counts[0]).sum().item() / total if total else 0.0
