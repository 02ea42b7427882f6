"""Short sentences for or against something, in which the place of a single word decides.

``generate(count, seed)`` returns sentences, words between blanks, and int64 labels (count,), 0 against and 1 for. Each
sentence has one word of praise or of blame, one negation and some words that say nothing. The negation turns the
opinion round where it stands directly before it, and only there, as in "the soup was not good today" and "not today the
soup was good". All four combinations are equally frequent, so the words of a sentence, without their order, say nothing
about its label.

Prefix-stable: the first n sentences of a seed do not depend on how many are drawn.
"""

import numpy as np

GOOD = ("good", "great", "fine", "tasty", "lovely", "fresh")
BAD = ("bad", "poor", "awful", "stale", "dull", "cold")
NEGATIONS = ("not", "never")
FILLERS = (
    "the", "soup", "was", "today", "we", "had", "rice", "and", "tea", "here",
    "with", "friends", "at", "noon", "on", "monday", "this", "place", "again", "quite",
)  # fmt: skip
WORDS = (*GOOD, *BAD, *NEGATIONS, *FILLERS)
_FEWEST, _MOST = 2, 6  # words that say nothing


def generate(count, seed=0):
    """Draw ``count`` sentences.

    Returns (list of str, labels int64 (count,)). Raises ValueError for a negative count.
    """
    if count < 0:
        raise ValueError(f"count is {count}: it must be 0 or more")
    table = np.random.default_rng(seed).random((count, 8 + _MOST))
    order = np.random.default_rng([seed, 1])
    kinds = np.concatenate([order.permutation(4) for _ in range(-(-count // 4))] or [[]])[:count].astype(np.int64)
    labels = (kinds % 2) ^ (kinds // 2)  # praise or blame, turned round or not
    return [_sentence(row, kind % 2, kind // 2) for row, kind in zip(table, kinds, strict=True)], labels


def catalogue():
    """What ``python grade.py data`` says about this set."""
    return {
        "name": "opinions",
        "title": "short sentences for or against something, with a negation",
        "kind": "generated",
        "status": "ready",
        "detail": "drawn from a seed, nothing to fetch",
        "where": [],
        "get": "",
    }


def _sentence(row, praise, turned):
    length, place, opinion, negation, elsewhere, *rest = row
    words = [_choice(FILLERS, share) for share in rest[: _FEWEST + int(length * (_MOST - _FEWEST + 1))]]
    at = int(place * (len(words) + 1))
    words.insert(at, _choice(GOOD if praise else BAD, opinion))
    others = [slot for slot in range(len(words) + 1) if slot != at]
    words.insert(at if turned else others[int(elsewhere * len(others))], _choice(NEGATIONS, negation))
    return " ".join(words)


def _choice(words, share):
    return words[int(share * len(words))]
