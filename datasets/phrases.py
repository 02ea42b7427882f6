"""Pairs of short sentences as files of sentence pairs have them: English, a tab, the same in French or Chinese.

``pairs(count, seed)`` returns (English, other) texts; ``generate(count, seed, language)`` the text of a file. The
sentences follow a small grammar with accents, contractions and punctuation; Chinese is written without blanks between
words. Sentences are short, and some occur twice.

Prefix-stable: the first n pairs of a seed do not depend on how many are drawn.
"""

import numpy as np

LANGUAGES = ("fra", "cmn")

# English, French (a verb: one form for each of the persons above), Chinese
_WHO = (
    ("I", "je", "我"), ("You", "tu", "你"), ("He", "il", "他"), ("She", "elle", "她"), ("We", "nous", "我们"),
    ("They", "ils", "他们"),
)  # fmt: skip
_DO = (
    ("see", ("vois", "vois", "voit", "voit", "voyons", "voient"), "看见"),
    ("find", ("trouve", "trouves", "trouve", "trouve", "trouvons", "trouvent"), "找到"),
    ("lose", ("perds", "perds", "perd", "perd", "perdons", "perdent"), "失去"),
    ("sell", ("vends", "vends", "vend", "vend", "vendons", "vendent"), "卖"),
    ("buy", ("achète", "achètes", "achète", "achète", "achetons", "achètent"), "买"),
    ("prefer", ("préfère", "préfères", "préfère", "préfère", "préférons", "préfèrent"), "更喜欢"),
)
_WHAT = (
    ("cat", "chat", "猫"), ("dog", "chien", "狗"), ("fish", "poisson", "鱼"), ("cake", "gâteau", "蛋糕"),
    ("key", "passe-partout", "钥匙"), ("bread", "pain", "面包"), ("coffee", "café", "咖啡"),
    ("hospital", "hôpital", "医院"),
)  # fmt: skip
_LIKE = (("big", "grand", "大"), ("small", "petit", "小"), ("old", "vieux", "旧"), ("new", "nouveau", "新"))
_WHEN = (("", "", ""), (" today", " aujourd'hui", "今天"), (" in summer", " en été", "夏天"), (" here", " ici", "这里"))
_END = ((".", ".", "。"), ("!", " !", "！"), ("?", " ?", "？"))


def pairs(count, seed=0, language="fra"):
    """``count`` pairs (English, French or Chinese). Raises ValueError for a negative count and another language."""
    if count < 0:
        raise ValueError(f"count is {count}: it must be 0 or more")
    if language not in LANGUAGES:
        raise ValueError(f"language is {language!r}: choose among {', '.join(LANGUAGES)}")
    parts = (_WHO, _DO, _WHAT, _LIKE, _WHEN, _END, (False, False, True))
    sizes = np.array([len(part) for part in parts])
    table = (np.random.default_rng(seed).random((count, len(parts))) * sizes).astype(int)
    return [_pair(row, language) for row in table.tolist()]


def generate(count, seed=0, language="fra"):
    """The text of a file, ``count`` lines: English, a tab, the other language; with Chinese a third column, the source.

    Files of real pairs come with and without such a column.
    """
    source = "\tdrawn from a seed #{number}" if language == "cmn" else ""
    lines = enumerate(pairs(count, seed, language), 1)
    return "".join(f"{english}\t{other}{source.format(number=number)}\n" for number, (english, other) in lines)


def catalogue():
    """What ``python grade.py data`` says about this set."""
    return {
        "name": "phrases",
        "title": "pairs of short sentences, English with French or Chinese, as text",
        "kind": "generated",
        "status": "ready",
        "detail": "drawn from a seed, nothing to fetch",
        "where": [],
        "get": "",
    }


def _pair(row, language):
    who, do, what, like, when, end = (
        part[n] for part, n in zip((_WHO, _DO, _WHAT, _LIKE, _WHEN, _END), row, strict=False)
    )
    negated = bool(row[-1] == 2)
    third = "s" if who[0] in ("He", "She") and not negated else ""
    auxiliary = (" doesn't" if who[0] in ("He", "She") else " don't") if negated else ""
    article = "an" if like[0] == "old" else "a"
    english = f"{who[0]}{auxiliary} {do[0]}{third} {article} {like[0]} {what[0]}{when[0]}{end[0]}"
    if language == "cmn":
        return english, f"{who[2]}{when[2]}{'不' if negated else ''}{do[2]}一个{like[2]}{what[2]}{end[2]}"
    verb = do[1][row[0]]
    subject, no = who[1], "n'" if verb[0] in "aeé" else "ne "
    if negated:
        said = f"{subject} {no}{verb} pas de {like[1]} {what[1]}"
    else:
        joined = "j'" if subject == "je" and verb[0] in "aeé" else f"{subject} "
        said = f"{joined}{verb} un {like[1]} {what[1]}"
    return english, said[0].upper() + said[1:] + when[1] + end[1]
