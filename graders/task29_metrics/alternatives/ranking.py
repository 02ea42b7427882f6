"""A class that groups the samples by their scores, with bincount and weights."""


class Ranking:
    def __init__(self, scores, labels):
        self.device = scores.device
        self.values, where, self.total = torch.unique(scores.detach(), return_inverse=True, return_counts=True)
        self.positive = torch.bincount(where, weights=(labels == 1).double(), minlength=len(self.values))
        self.negative = self.total - self.positive

    def above(self, counts):
        return counts.flip(0).cumsum(0)


def roc_curve(scores, labels):
    r = Ranking(scores, labels)
    fp, tp = r.above(r.negative), r.above(r.positive)
    zero = torch.zeros(1, dtype=fp.dtype, device=fp.device)
    top = torch.full((1,), math.inf, dtype=r.values.dtype, device=fp.device)
    return (
        torch.cat((zero, fp)) / r.negative.sum(),
        torch.cat((zero, tp)) / r.positive.sum(),
        torch.cat((top, r.values.flip(0))),
    )


def auc(scores, labels):
    r = Ranking(scores, labels)
    below = torch.cumsum(r.negative, 0) - r.negative / 2
    return (torch.sum(r.positive * below) / (r.positive.sum() * r.negative.sum())).item()


def pr_curve(scores, labels):
    r = Ranking(scores, labels)
    tp = r.above(r.positive)
    n = r.above(r.total)
    p = (tp / n).flip(0)
    rec = (tp / r.positive.sum()).nan_to_num(0.0).flip(0)
    return torch.cat((p, p.new_tensor([1.0]))), torch.cat((rec, rec.new_tensor([0.0]))), r.values


def average_precision(scores, labels):
    r = Ranking(scores, labels)
    tp = r.above(r.positive)
    n = r.above(r.total)
    value = ((tp / n) * r.positive.flip(0)).sum() / r.positive.sum()
    return 0.0 if r.positive.sum() == 0 else float(value)
