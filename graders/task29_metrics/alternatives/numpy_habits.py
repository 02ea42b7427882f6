"""NumPy all the way: add.at, argsort and searchsorted, and tensors only at the ends."""

import numpy as np


def confusion_matrix(pred, target, num_classes):
    p = pred.cpu().numpy().astype(np.int64)
    t = target.cpu().numpy().astype(np.int64)
    if np.any(p < 0) or np.any(t < 0) or np.any(p >= num_classes) or np.any(t >= num_classes):
        raise ValueError
    m = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(m, (t, p), 1)
    return torch.from_numpy(m).to(pred.device)


def accuracy(cm):
    m = cm.cpu().numpy()
    return float(np.trace(m) / m.sum()) if m.sum() else 0.0


def precision_recall_f1(cm, average):
    m = cm.cpu().numpy().astype(float)
    tp = np.diag(m)
    if average == "micro":
        with np.errstate(all="ignore"):
            v = float(np.nan_to_num(tp.sum() / m.sum()))
        return Scores(v, v, v, m.sum() == 0)
    if average not in (None, "macro"):
        raise ValueError
    with np.errstate(all="ignore"):
        p = np.nan_to_num(tp / m.sum(0))
        r = np.nan_to_num(tp / m.sum(1))
        f = np.nan_to_num(2 * p * r / (p + r))
    und = bool((m.sum(0) == 0).any() or (m.sum(1) == 0).any())
    if average is None:
        return Scores(torch.from_numpy(p), torch.from_numpy(r), torch.from_numpy(f), und)
    return Scores(float(p.mean()), float(r.mean()), float(f.mean()), und)


def topk_accuracy(scores, target, k):
    s = scores.detach().cpu().double().numpy()
    t = target.cpu().numpy().astype(int)
    if len(s) == 0:
        return 0.0
    order = np.argsort(-s, axis=1)[:, :k]
    return float(np.mean(np.any(order == t[:, None], axis=1)))


def _np(scores, labels):
    return scores.detach().double().cpu().numpy(), labels.cpu().double().numpy() == 1


def roc_curve(scores, labels):
    s, y = _np(scores, labels)
    thr = np.r_[np.inf, np.unique(s)[::-1]]
    pos, neg = np.sort(s[y]), np.sort(s[~y])
    with np.errstate(all="ignore"):
        tpr = (len(pos) - np.searchsorted(pos, thr, side="left")) / np.float64(len(pos))
        fpr = (len(neg) - np.searchsorted(neg, thr, side="left")) / np.float64(len(neg))
    return (
        torch.from_numpy(fpr).to(scores.device),
        torch.from_numpy(tpr).to(scores.device),
        torch.from_numpy(thr).to(scores.device),
    )


def auc(scores, labels):
    s, y = _np(scores, labels)
    pos, neg = s[y], np.sort(s[~y])
    if len(pos) == 0 or len(neg) == 0:
        return float("nan")
    return float((np.searchsorted(neg, pos, "left") + np.searchsorted(neg, pos, "right")).mean() / 2 / len(neg))


def pr_curve(scores, labels):
    s, y = _np(scores, labels)
    thr = np.unique(s)
    pos, alls = np.sort(s[y]), np.sort(s)
    hits = len(pos) - np.searchsorted(pos, thr)
    given = len(s) - np.searchsorted(alls, thr)
    p = np.append(hits / given, 1.0)
    r = np.append(hits / max(len(pos), 1), 0.0)
    return torch.tensor(p), torch.tensor(r), torch.tensor(thr)


def average_precision(scores, labels):
    p, r, _ = pr_curve(scores, labels)
    return float(np.sum(-np.diff(r.numpy()) * p.numpy()[:-1]))
