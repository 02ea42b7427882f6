"""What runs beside the submission: signs that may be either, and functions of which the calls are noted."""

import torch

PRICES = (5.0, 1.0, -2.0)
WEIGHT = torch.tensor(2.0, requires_grad=True)


def settled(pca, x, k):
    """Components and scores with the sign that makes the largest number of each component positive."""
    found = pca(x, k)
    if not isinstance(found, (tuple, list)) or not all(isinstance(part, torch.Tensor) for part in found):
        return found
    if [part.ndim for part in found] != [2, 2, 1] or len(found[0]) != found[1].shape[1]:
        return list(found)
    components, scores, ratio = found
    largest = components.abs().argmax(1, keepdim=True)
    signs = torch.where(components.gather(1, largest) < 0, -1.0, 1.0).to(components.dtype)  # (k, 1)
    return [components * signs, scores * signs.T, ratio]


def estimated(estimate, kind, mean, std, n, seed=None):
    """Estimate once; return the result, whether it hangs on a graph, and the points that f was called with."""
    points = []

    def f(x):
        points.append(x.detach().clone())
        return worth(kind, x)

    chance = () if seed is None else (torch.Generator(mean.device).manual_seed(seed),)
    result = estimate(f, mean, std, n, *chance)
    attached = isinstance(result, torch.Tensor) and result.requires_grad
    return {"result": result.detach() if attached else result, "attached": attached, "points": points}


def worth(kind, x):
    """(n, ...) -> (n,): a square or a network, which could be differentiated, or a table, which could not."""
    sums = x.detach().reshape(len(x), -1).sum(1)
    if kind == "network":
        return WEIGHT * sums
    if kind == "square":
        return (x * x).reshape(len(x), -1).sum(1)
    prices = torch.tensor(PRICES, dtype=x.dtype, device=x.device)
    return prices[(sums > 0).long() + (sums > 1).long()]


def squares(x):
    """(n, ...) -> (n,)."""
    return worth("square", x)


def global_draws(estimate, mean, std, seed):
    """Points of estimates from the global source of chance, whether one with its own leaves that alone, and the points
    of two from one generator."""
    kept = torch.get_rng_state()
    try:
        torch.manual_seed(seed)
        first = estimated(estimate, "square", mean, std, 5)["points"][0]
        second = estimated(estimate, "square", mean, std, 5)["points"][0]
        torch.manual_seed(seed)
        again = estimated(estimate, "square", mean, std, 5)["points"][0]
        before = torch.get_rng_state()
        estimated(estimate, "square", mean, std, 5, seed + 1)
        untouched = torch.equal(before, torch.get_rng_state())
        chance, points = torch.Generator(mean.device).manual_seed(seed), []
        for _ in range(2):
            estimate(lambda x: points.append(x.detach().clone()) or worth("square", x), mean, std, 5, chance)
    finally:
        torch.set_rng_state(kept)
    return {"first": first, "second": second, "again": again, "untouched": untouched, "own": points}
