"""Comparisons of all pairs by broadcasting, one-hot products, and searchsorted."""


def confusion_matrix(pred, target, num_classes):
    classes = torch.arange(num_classes, device=pred.device)
    true, given = target[:, None] == classes, pred[:, None] == classes  # (N, C)
    if not (true.any(1).all() and given.any(1).all()):
        raise ValueError("a class number outside")
    return (true.double().T @ given.double()).round().long()


def accuracy(cm):
    return float(torch.trace(cm.double()) / cm.double().sum()) if cm.any() else 0.0


def precision_recall_f1(cm, average):
    if average not in (None, "macro", "micro"):
        raise ValueError(average)
    sums = torch.stack([cm.sum(0), cm.sum(1)]).double()  # (2, C)
    right = torch.diagonal(cm).double()
    if average == "micro":
        sums, right = sums.sum(1, keepdim=True), right.sum()[None]
    pair = torch.where(sums > 0, right / sums, 0.0)
    f1 = torch.nan_to_num(2 / (1 / pair).sum(0))
    three = (*pair, f1)
    undefined = (sums == 0).any().item()
    return Scores(*three, undefined) if average is None else Scores(*(float(part.mean()) for part in three), undefined)


def topk_accuracy(scores, target, k):
    best = scores.topk(min(k, scores.shape[1]), dim=1).indices
    return float((best == target.unsqueeze(1)).sum()) / max(len(target), 1)


def roc_curve(scores, labels):
    scores = scores.detach()
    thresholds = torch.cat([scores.new_tensor([math.inf]), scores.unique().flip(0)])
    given = scores[None, :] >= thresholds[:, None]  # (T + 1, N)
    positive = labels.to(torch.bool)
    return given[:, ~positive].float().mean(1), given[:, positive].float().mean(1), thresholds


def auc(scores, labels):
    scores = scores.detach().double()
    gaps = scores[labels.bool()][:, None] - scores[~labels.bool()][None, :]
    return ((1 + gaps.sign()) / 2).mean().item()


def pr_curve(scores, labels):
    thresholds = torch.unique(scores.detach())
    given = (scores.detach() >= thresholds[:, None]).double()  # (T, N)
    hits = given @ (labels == 1).double()
    precision = torch.cat([hits / given.sum(1), hits.new_ones(1)])
    recall = torch.cat([hits / max((labels == 1).sum().item(), 1), hits.new_zeros(1)])
    return precision, recall, thresholds


def average_precision(scores, labels):
    precision, recall, _ = pr_curve(scores, labels)
    return float(torch.dot(-recall.diff(), precision[:-1]))
