"""Checks for task 40: clean text, vocabularies, bags of words and language models.

What is right for a text stands here written out; counts and probabilities are found by loops over the sentences, and
the learning model is held against layers of PyTorch.
"""

import html
import math
import re
import unicodedata
from collections import Counter

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import Rule, any_seed, check, expect, fill_by_shape, filled, grid

PAD, UNK, START, END = "<PAD>", "<UNK>", "<START>", "<END>"


def told(truth, likely):
    """The wrong values that differ from the truth and from each other, by their sentences."""
    wrong = {sentence: value for sentence, value in likely.items() if not alike(value, truth)}
    return {
        sentence: value
        for sentence, value in wrong.items()
        if not any(alike(value, other) for name, other in wrong.items() if name != sentence)
    }


def alike(one, other):
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.allclose(one, other, rtol=1e-4)
    if isinstance(one, float):
        return math.isclose(one, other)
    return type(one) is type(other) and one == other


def expect_texts(function, cases, likely):
    """Each text becomes what stands beside it; ``likely``: a wrong function for each sentence."""
    for text, truth in cases.items():
        wrong = told(truth, {sentence: mistaken(text) for sentence, mistaken in likely.items()})
        expect.equal(function(text), truth, given=repr(text), likely=wrong, trivial="some texts stay as they are")


def kept(submission, function, *args, **options):
    """The result of a call that leaves its arguments as they are."""
    result, changed = submission.probes.kept(function, *args, **options)
    expect.equal(changed, "nothing", because="the arguments are left as they are", given="what the call has changed")
    return result


# --- cleaning --------------------------------------------------------------------------------------------

TAGGED = {
    "<b>bold</b>er": "bolder",
    "<div><p class='x'>a</p></div>": "a",
    '<a href="page.html">Noël</a> 你好<br/>!': "Noël 你好!",
    "no tags at all": "no tags at all",
    "  <p> a </p>\n": "   a \n",
    "<H1>Two\nlines</H1 >": "Two\nlines",
    "a<!-- note -->b<img\nsrc='x'>c": "abc",
}
ENTITIES = {
    "1 < 2 &amp; 3 > 2": "1 < 2 & 3 > 2",
    "&lt;b&gt; is a tag": "<b> is a tag",
    "caf&eacute; &#20320;&#x597d; &quot;<i>x</i>&quot;": 'café 你好 "x"',
    "a <3 b": "a <3 b",
    "&amp;lt; is how < is written": "&lt; is how < is written",
    "1<2 and 4>3": "1<2 and 4>3",
    "": "",
}


def tags_by_hand(text, instead="", greedy=False, every=False):
    """Without tags: every "<" that begins one, to the next (or last) ">"."""
    out = ""
    while text:
        opens = text[0] == "<" and (every or text[1:2].isalpha() or text[1:2] in ("/", "!"))
        end = (text.rfind(">") if greedy else text.find(">")) if opens else -1
        out, text = (out + instead, text[end + 1 :]) if end >= 0 else (out + text[0], text[1:])
    return out


@check("strip_tags removes tags and puts nothing in their place", points=1, category="values")
def test_tags(submission):
    expect_texts(
        submission.strip_tags,
        TAGGED,
        likely={
            "a blank takes the place of a tag": lambda text: tags_by_hand(text, " "),
            "everything from the first < to the last > is removed": lambda text: tags_by_hand(text, greedy=True),
            "a tag that goes over two lines stays: . in a pattern stands for no newline": lambda text: re.sub(
                "<.*?>", "", text
            ),
        },
    )


@check("strip_tags decodes entities, after the tags are gone", points=1, category="values", hidden=True)
def test_entities(submission):
    expect_texts(
        submission.strip_tags,
        ENTITIES,
        likely={
            "the entities stay": tags_by_hand,
            "entities are decoded first, and what they make is taken for a tag": lambda text: tags_by_hand(
                html.unescape(text)
            ),
            "every < begins a tag; here one with a blank or a digit behind it is text": lambda text: html.unescape(
                tags_by_hand(text, every=True)
            ),
        },
    )


ACCENTS = {
    "Noël à l'école": "Noel a l'ecole",
    "São Tomé, Ångström, Dvořák, Nguyễn": "Sao Tome, Angstrom, Dvorak, Nguyen",
    "decomposed: e\u0301 o\u0308": "decomposed: e o",
    "Vie\u0323\u0302t Nam": "Viet Nam",
    "plain text, 12!": "plain text, 12!",
}
SCRIPTS = {
    "你好，世界": "你好，世界",
    "Privet: Привет": "Privet: Привет",
    "Straße, Øresund, Đà, łódź": "Straße, Øresund, Đa, łodz",
    "½ ² ﬁ €": "½ ² ﬁ €",
    "का": "का",  # its mark takes up space, and is no accent
}


@check("strip_accents takes accents off letters", points=1, category="values")
def test_accents(submission):
    expect_texts(
        submission.strip_accents,
        ACCENTS,
        likely={
            "letters with accents are dropped: the letter stays": lambda text: "".join(c for c in text if ord(c) < 128)
        },
    )


@check("strip_accents leaves other scripts and signs alone", points=0.5, category="values", hidden=True)
def test_scripts(submission):
    expect_texts(
        submission.strip_accents,
        SCRIPTS,
        likely={
            "what is not ASCII is dropped: Chinese is lost": lambda text: bare(text, "NFD", 128),
            "NFKD changes more than accents: ² becomes 2": lambda text: bare(text, "NFKD"),
        },
    )


def bare(text, form, end=10**9):
    letters = unicodedata.normalize(form, text)
    return "".join(c for c in letters if unicodedata.category(c) != "Mn" and ord(c) < end)


CONTRACTIONS = {
    "Don't, it's hot": "Do not, it is hot",
    "I'm sure they'd go": "I am sure they would go",
    "can't won't shan't let's": "cannot will not shall not let us",
    "we've you'll they're isn't": "we have you will they are is not",
    "Can't Won't Let's What's": "Cannot Will not Let us What is",
    "nothing to do": "nothing to do",
}
APOSTROPHES = {
    "Don’t, it’s hot": "Do not, it is hot",
    "John's dog isn't the dog's": "John's dog is not the dog's",
    "Who's there? She’s here!": "Who is there? She is here!",
    "Here's what there's of it, that’s it": "Here is what there is of it, that is it",
    "'d 'mother' and o'clock": "'d 'mother' and o'clock",
    "a 'reason', 'very' o'dear": "a 'reason', 'very' o'dear",
    "scan't outlet's": "scan't outlet's".replace("scan't", "sca not"),
    "This's Bit's": "This's Bit's",
    "can’t won’t Let’s": "cannot will not Let us",
    "Anna’s dog isn’t John's": "Anna’s dog is not John's",
    "the 7'd, 1990’d and I’d": "the 7'd, 1990’d and I would",
    "Zoë'll go, José’d stay": "Zoë will go, José would stay",
}


@check("expand_contractions follows the tables", points=1, category="values")
def test_contractions(submission):
    expect_texts(
        submission.expand_contractions,
        CONTRACTIONS,
        likely={
            "endings come before whole words: won't is no wo not": lambda text: (
                CONTRACTIONS[text].replace("will not", "wo not").replace("Will not", "Wo not")
                .replace("cannot", "ca not").replace("Cannot", "Ca not").replace("shall not", "sha not")
            ),
            "a capital at the beginning is lost": lambda text: CONTRACTIONS[text].replace("Cannot Will", "cannot will")
            .replace("Let us", "let us"),
            "words of WHOLE are found in lower case only: they may begin with a capital": lambda text: (
                CONTRACTIONS[text].replace("Cannot Will not Let us", "Ca not Wo not Let's")
            ),
        },
    )  # fmt: skip


@check("a genitive and quotes are no contractions; ’ is an apostrophe", points=0.5, category="values", hidden=True)
def test_apostrophes(submission):
    expect_texts(
        submission.expand_contractions,
        APOSTROPHES,
        likely={
            "'s becomes is behind every word: John's is a genitive": lambda text: (
                "John is dog is not the dog is" if text.startswith("John") else APOSTROPHES[text]
            ),
            "the typographic apostrophe is not taken for one": lambda text: (
                text if text.startswith("Don’t") else APOSTROPHES[text]
            ),
            "every ’ is turned into ': it stays where nothing is written out": lambda text: APOSTROPHES[text].replace(
                "’", "'"
            ),
            "an ending behind a digit is replaced, too: it stands behind a letter": lambda text: (
                APOSTROPHES[text].replace("7'd", "7 would").replace("1990’d", "1990 would")
            ),
        },
    )


SPECIAL = {
    "well-known_2!": ("wellknown2", "wellknown"),
    "Do not stop, Renee!": ("Do not stop Renee", "Do not stop Renee"),
    "12 + 3 = 15?": ("12  3  15", "    "),
    "a\tb\nc (d)": ("a\tb\nc d", "a\tb\nc d"),
}
LETTERS = {
    "你好，世界 2！": ("你好世界 2", "你好世界 "),
    "Noël_à: l'école": ("Noëlà lécole", "Noëlà lécole"),
    "Привет, мир.": ("Привет мир", "Привет мир"),
    "": ("", ""),
    "#@$_": ("", ""),
    "٣٤ книги, २ 本 7": ("٣٤ книги २ 本 7", " книги  本 "),
}


def expect_letters(function, cases, likely):
    for text, (truth, without) in cases.items():
        wrong = told(truth, {sentence: mistaken(text, truth) for sentence, mistaken in likely.items()})
        expect.equal(function(text), truth, likely=wrong, given=repr(text), trivial="nothing may be left")
        slips = {"the digits stay": truth}
        slips["only the digits 0 to 9 are removed"] = "".join(c for c in truth if not ("0" <= c <= "9"))
        kept = told(without, slips)
        given = f"{text!r}, remove_digits=True"
        expect.equal(function(text, remove_digits=True), without, likely=kept, given=given, trivial="it may be empty")


@check("remove_special keeps letters, digits and white space", points=0.5, category="values")
def test_special(submission):
    expect_letters(
        submission.remove_special,
        SPECIAL,
        {
            "a blank takes the place of what is deleted": lambda text, truth: "".join(
                c if c.isalnum() or c.isspace() else " " for c in text
            ),
            "the underscore stays: it is no letter": lambda text, truth: truth.replace("known", "known_"),
            "the digits are removed unasked": lambda text, truth: "".join(c for c in truth if not c.isdigit()),
        },
    )


@check("remove_special keeps the letters of all scripts", points=0.5, category="values", hidden=True)
def test_letters(submission):
    def ascii_only(text, truth):
        return "".join(c for c in truth if ord(c) < 128)

    expect_letters(submission.remove_special, LETTERS, {"only the letters a to z stay": ascii_only})


@check("remove_stopwords leaves the other tokens, in their order", points=0.5, category="values")
def test_stopwords(submission):
    cases = {
        "the cat is not on the mat": ["cat", "not", "mat"],
        "The Cat AND the Dog": ["Cat", "Dog"],
        "we saw a saw": ["we", "saw", "saw"],
        "is it": [],
    }
    for text, truth in cases.items():
        tokens = text.split()
        low = [token for token in tokens if token in truth or token[0].isupper()]
        likely = {
            "capitals hide a stop word: The is the": low,
            "the tokens that stay are changed to lower case": [token.lower() for token in truth],
            "each token is kept once": list(dict.fromkeys(truth)),
        }
        wrong = told(truth, likely)
        found = submission.remove_stopwords(tokens)
        expect.equal(found, truth, likely=wrong, given=text, trivial="all may be stop words")


@check("remove_stopwords takes any stop words", points=0.5, category="robustness", hidden=True)
def test_own_stopwords(submission):
    for words in ({"cat", "dog"}, ["cat", "dog"], ("cat", "dog"), [], set()):
        tokens = ["the", "Cat", "the", "dog", "你好", "CAT"]
        truth = ["the", "the", "你好"] if words else tokens
        found = kept(submission, submission.remove_stopwords, tokens, words)
        expect.equal(found, truth, given=f"{tokens}, stopwords={words}")
    expect.equal(submission.remove_stopwords([]), [], trivial="no tokens", given="no tokens")


# --- numbers ---------------------------------------------------------------------------------------------


def vocabulary(tokens, min_freq=1, max_size=None, order=None):
    counts = Counter(token for token in tokens if token not in (PAD, UNK))
    words = [word for word in counts if counts[word] >= min_freq]
    words.sort(key=order or (lambda word: (-counts[word], word)))
    words = words if max_size is None else words[:max_size]
    return dict(zip([PAD, UNK, *words], range(len(words) + 2), strict=True))


def tokens_of(seed, count=60):
    """Tokens that occur unequally often, some of them equally often, in random order."""
    words = ["der", "chat", "猫", "a", "Chat", "été", "x,y", "zoo", "b", "c"]
    generator = torch.Generator().manual_seed(seed)
    weights = torch.arange(len(words), 0, -1).float()
    return [words[n] for n in torch.multinomial(weights, count, replacement=True, generator=generator)]


BAG = ["b", "a", "c", "b"]


@check("build_vocab numbers tokens from the commonest to the rarest", points=1, category="values")
def test_vocab(submission):
    for tokens in (BAG, list("dadbcdcb"), list("abCCbBA"), tokens_of(any_seed()), tokens_of(any_seed(), 200)):
        first = {word: (-count, tokens.index(word)) for word, count in Counter(tokens).items()}
        last = {word: (count, word) for word, count in Counter(tokens).items()}
        small = {word: (-count, word.lower(), word) for word, count in Counter(tokens).items()}
        likely = {
            "the marks are missing: PAD is 0 and UNK is 1": {w: n - 2 for w, n in vocabulary(tokens).items() if n > 1},
            "the tokens are numbered as they come": vocabulary(tokens, order=tokens.index),
            "the rarest tokens come first": vocabulary(tokens, order=last.get),
            "the order of the alphabet decides, not how often a token occurs": vocabulary(tokens, order=str),
            "tokens that occur equally often are in the order of their coming": vocabulary(tokens, order=first.get),
            "among equals a capital is sorted like its small letter": vocabulary(tokens, order=small.get),
            "UNK is 0 and PAD is 1": {**vocabulary(tokens), PAD: 1, UNK: 0},
        }
        truth = vocabulary(tokens)
        wrong = told(truth, likely)
        given = f"the tokens {' '.join(tokens)}" if len(tokens) < 10 else f"{len(tokens)} tokens"
        expect.equal(submission.build_vocab(tokens), truth, likely=wrong, given=given)


@check("build_vocab heeds min_freq and max_size", points=0.5, category="values", after=test_vocab)
def test_vocab_limits(submission):
    for tokens in (list("dadbcdcb"), tokens_of(any_seed())):
        for min_freq, max_size in ((2, None), (1, 2), (3, None), (2, 2), (1, 3), (1, 100), (100, 5), (1, 1)):
            truth = vocabulary(tokens, min_freq, max_size)
            without_marks = max_size and max(max_size - 2, 0)
            likely = {
                "min_freq itself is too rare: at least so often": vocabulary(tokens, min_freq + 1, max_size),
                "the two marks are counted among max_size": vocabulary(tokens, min_freq, without_marks),
                "min_freq is not used": vocabulary(tokens, 1, max_size),
                "max_size is not used": vocabulary(tokens, min_freq),
            }
            wrong = told(truth, likely)
            given = f"{len(tokens)} tokens, min_freq={min_freq}, max_size={max_size}"
            found = submission.build_vocab(tokens, min_freq, max_size)
            expect.equal(found, truth, likely=wrong, given=given)


@check("build_vocab gives marks no second id, and takes no tokens", points=0.5, category="robustness", hidden=True,
       after=test_vocab)  # fmt: skip
def test_vocab_edges(submission):
    tokens = [UNK, "a", UNK, PAD, "b", "a", UNK]
    likely = {"marks among the tokens are counted, and numbered again": {PAD: 4, UNK: 2, "a": 3, "b": 5}}
    found = kept(submission, submission.build_vocab, tokens)
    expect.equal(found, {PAD: 0, UNK: 1, "a": 2, "b": 3}, likely=likely, given=f"{tokens}")
    expect.equal(submission.build_vocab([]), {PAD: 0, UNK: 1}, given="no tokens")
    expect.equal(submission.build_vocab(BAG, 1, 0), {PAD: 0, UNK: 1}, given="max_size=0")
    found = submission.build_vocab(tokens, 1, 2)
    expect.equal(found, {PAD: 0, UNK: 1, "a": 2, "b": 3}, given=f"{tokens}, max_size=2")


SMALL = {PAD: 0, UNK: 1, "the": 2, "cat": 3}
ODD = ("1,000", ",", '"', "猫", "l'été", "'a,b'", "#", "é", "ten", "11")
STRANGE = {word: number for number, word in enumerate((PAD, UNK, *ODD))}


def lines(vocab):
    return "".join(f"{word},{vocab[word]}\n" for word in sorted(vocab, key=vocab.get))


def plain(content):
    """Bytes of a file as text, whatever is wrong with them; lines may end as on Windows."""
    expect.record(content, bytes)
    return content.decode("utf-8", "replace").replace("\r\n", "\n")


@check("write_vocab writes one line for each token", points=0.5, category="values")
def test_write(submission):
    found = plain(submission.probes.written(submission.write_vocab, SMALL))
    likely = {
        "the id comes first: it is token,id": "".join(f"{n},{word}\n" for word, n in SMALL.items()),
        "a blank is behind the comma": lines(SMALL).replace(",", ", "),
        "the last line has no newline": lines(SMALL)[:-1],
    }
    expect.equal(found, lines(SMALL), likely=likely, given="the text of the file")


@check("write_vocab writes any token, by id, over an old file", points=0.5, category="robustness", after=test_write,
       hidden=True)  # fmt: skip
def test_write_strange(submission):
    mixed = dict(sorted(STRANGE.items(), key=lambda item: item[1] * 5 % 12))
    found = plain(submission.probes.written(submission.write_vocab, mixed, lines(SMALL).encode() * 50))
    likely = {
        "the order is that of the dict, not of the ids": "".join(f"{word},{n}\n" for word, n in mixed.items()),
        "tokens with commas or quotes are put into quotes": lines(STRANGE)
        .replace("1,000,", '"1,000",').replace(",,3", '",",3').replace('",4', '"""",4').replace("'a,b'", "\"'a,b'\""),
        "the lines are written behind those of the old file": lines(SMALL) * 50 + lines(STRANGE),
    }  # fmt: skip
    expect.equal(found, lines(STRANGE), likely=likely, given="the text of the file; the ids are not in order")


@check("read_vocab reads such a file", points=0.5, category="values")
def test_read(submission):
    for vocab in (SMALL, {**SMALL, "chat": 4, "dog": 12}):
        content = lines(vocab)
        likely = {
            "the ids are texts, not ints": {word: str(n) for word, n in vocab.items()},
            "id and token are swapped": {n: word for word, n in vocab.items()},
        }
        found = submission.probes.read(submission.read_vocab, content.encode())
        expect.equal(found, vocab, likely=likely, given=f"the file {content!r}")


@check("read_vocab cuts a line at its last comma", points=0.5, category="robustness", after=test_read, hidden=True)
def test_read_strange(submission):
    found = submission.probes.read(submission.read_vocab, lines(STRANGE).encode())
    expect.equal(found, STRANGE, given=f"the file {lines(STRANGE)!r}")


def padded(tokens, vocab, max_len):
    ids = [vocab[token] if token in vocab else vocab[UNK] for token in tokens][:max_len]
    while len(ids) < max_len:
        ids.append(vocab[PAD])
    return ids


WORDS = {PAD: 0, UNK: 1, "do": 2, "stop": 3, "now": 4, "猫": 5}
MOVED = {PAD: 4, "now": 3, "do": 0, UNK: 2, "stop": 1}


def expect_encoded(submission, vocab, texts, say=True):
    """``say``: whether known mistakes are told."""
    for text, max_len in texts:
        tokens = text.split()
        truth = padded(tokens, vocab, max_len)
        every = padded(tokens, vocab, len(tokens))
        likely = {
            "the pads come first: they belong at the end": [vocab[PAD]] * (max_len - len(tokens)) + every[:max_len],
            "the beginning is cut off, not the end": every[len(every) - max_len :] if max_len < len(every) else truth,
            "what is too long is not cut off": every + [vocab[PAD]] * (max_len - len(tokens)),
            "what is too short is not filled up": every[:max_len],
            "unknown tokens are left out: they get the id of UNK": padded(
                [token for token in tokens if token in vocab], vocab, max_len
            ),
            "unknown tokens get the id of PAD": [
                n if token in vocab else vocab[PAD]
                for n, token in zip(truth, tokens + [PAD] * max_len, strict=False)
            ],
        }  # fmt: skip
        wrong = told(truth, likely if say else {})
        found = kept(submission, submission.encode, tokens, vocab, max_len)
        given = f"encode({tokens}, vocab, {max_len}), PAD is {vocab[PAD]}, UNK is {vocab[UNK]}"
        expect.equal(found, truth, likely=wrong, given=given, trivial="a list may be all pads, or empty")


@check("encode looks up, cuts and fills up", points=1, category="values")
def test_encode(submission):
    texts = (("do not stop renee", 6), ("stop do now do", 4), ("now stop do stop now", 3), ("猫 dog 猫", 5))
    texts += ((f"do {PAD} {UNK} stop", 5),)
    expect_encoded(submission, WORDS, texts)


@check("encode reads the ids of the marks from the vocabulary", points=0.5, category="robustness", after=test_encode,
       hidden=True)  # fmt: skip
def test_encode_marks(submission):
    expect_encoded(submission, MOVED, (("do not stop renee", 6), ("what", 3), ("stop now", 1), ("", 2)), say=False)
    expect_encoded(submission, WORDS, (("do", 0), ("", 0), ("", 3)), say=False)


LINES = ["1,do stop now", "0,never stop", "12,fine, thanks do"]


def rows(lines, vocab, max_len=None):
    """(labels, ids) of a set of lines."""
    parts = [line.partition(",") for line in lines if line.strip()]
    length = max(len(text.split()) for _, _, text in parts) if max_len is None else max_len
    labels = torch.tensor([int(label) for label, _, _ in parts])
    ids = [padded(text.split(), vocab, length) for _, _, text in parts]
    return labels, torch.tensor(ids, dtype=torch.int64).reshape(len(parts), length)


def expect_items(submission, data, truth, given, likely=None, about_labels=None):
    """The items of a data set are these labels and ids, as a loader sees them."""
    labels, ids = truth
    expect.equal(len(data), len(labels), because="one item for each line with something in it", given=given)
    found = submission.probes.batch(data, len(labels))
    expect.equal(len(found), 2, because="an item is (label, ids)", given=given)
    expect.shape(found[0], labels.shape, given=f"the labels of {given}")
    expect.close(found[0], labels, given=f"the labels of {given}", likely=about_labels)
    expect.shape(found[1], ids.shape, given=f"the ids of {given}")
    expect.close(found[1], ids, given=f"the ids of {given}", likely=likely, trivial="a text without words is all pads")


@check("TextDataset gives label and ids of each line", points=1.5, category="values", after=test_encode)
def test_dataset(submission):
    truth = rows(LINES, WORDS)
    cut = rows(["1,do stop now", "0,never stop", "12,fine"], WORDS, 3)[1]
    likely = {"the text is cut at its second comma": cut}
    data = kept(submission, submission.TextDataset, LINES, WORDS)
    about_labels = {"the labels are floats": truth[0].float()}
    expect_items(submission, data, truth, f"the lines {LINES}", likely, about_labels)


@check("TextDataset brings every text to max_len", points=0.5, category="values", after=[test_dataset, test_encode])
def test_dataset_length(submission):
    for max_len in (2, 5, 1, 0):
        data = submission.TextDataset(LINES, WORDS, max_len)
        expect_items(submission, data, rows(LINES, WORDS, max_len), f"the lines {LINES}, max_len={max_len}")


@check("TextDataset skips empty lines, keeps empty texts, reads files", points=0.5, category="robustness",
       after=[test_dataset, test_encode_marks], hidden=True)  # fmt: skip
def test_dataset_lines(submission):
    odd = ["3,", "", "  \t", "104,  do   stop \t now  ", "0, 猫,猫 ,", "7,do"]
    for vocab in (WORDS, MOVED):
        given = f"the lines {odd}"
        expect_items(submission, submission.TextDataset(odd, vocab), rows(odd, vocab), given)
        data = submission.probes.from_file(submission.TextDataset, "\n".join(odd) + "\n", vocab, None)
        expect_items(submission, data, rows(odd, vocab), f"an open file with {given}")
    expect.equal(len(submission.TextDataset([], WORDS)), 0, trivial="no lines", given="no lines")
    data = submission.TextDataset(["3,", "5,"], WORDS, 2)
    expect_items(submission, data, rows(["3,", "5,"], WORDS, 2), "two texts without a word, max_len=2")
    twice = submission.probes.drawn_twice(submission.TextDataset(LINES, WORDS), 2)
    expect.equal(twice, [[12, [1, 1, 2]]] * 2, given="item 2 of the three lines above, twice")


def labelled(dataset):
    """Lines "label,text" and tokens of others like them: Chinese reviews, or languages of generated sentences."""
    chosen = dataset.choose("phrases", real="reviews")
    if chosen.real:
        reviews = chosen.module.load()
        picked = [reviews[n] for n in torch.randperm(len(reviews))[:300]]
    else:
        french, chinese = (chosen.module.pairs(75, any_seed(), language) for language in ("fra", "cmn"))
        other = [(1, text) for _, text in french] + [(12, " ".join(text)) for _, text in chinese]
        picked = [(0, text) for text, _ in french + chinese] + other
        picked = [picked[n] for n in torch.randperm(len(picked))]
    spread = [f"{label},{text if ' ' in text else ' '.join(text)}" for label, text in picked]
    return spread[:200], [token for line in spread[200:] for token in line.partition(",")[2].split()]


@check("a file of texts goes through vocabulary and data set", points=0.5, category="robustness",
       after=[test_vocab_limits, test_dataset_length], hidden=True)  # fmt: skip
def test_texts(submission, dataset):
    lines, tokens = labelled(dataset)
    vocab = submission.build_vocab(tokens, 2, 150)
    expect.equal(vocab, vocabulary(tokens, 2, 150), given="min_freq=2, max_size=150")
    data = submission.TextDataset(lines, vocab, 12)
    expect_items(submission, data, rows(lines, vocabulary(tokens, 2, 150), 12), "200 lines, max_len=12")


# --- counts ----------------------------------------------------------------------------------------------


def occurrences(tokens, vocab, most=10**9):
    return torch.tensor([min(tokens.count(word), most) for word in sorted(vocab, key=vocab.get)])


COUNTED = ("do stop do now do", "now", "renee do renee 猫 猫", "nothing known", "", f"{UNK} do {PAD} {UNK} {PAD} {UNK}")


def expect_counts(submission, name, most, likely):
    for vocab in (WORDS, MOVED):
        for text in COUNTED:
            tokens = text.split()
            truth = occurrences(tokens, vocab, most)
            at_unk = truth.clone()
            at_unk[vocab[UNK]] = min(sum(token not in vocab for token in tokens), most)
            wrong = told(truth, {"unknown tokens are counted at UNK": at_unk, **likely(tokens, vocab)})
            found = kept(submission, getattr(submission, name), tokens, vocab)
            given = f"{name}({tokens}, {vocab})"
            expect.close(found, truth, likely=wrong, given=given, trivial="nothing may be known")


@check("bag_of_words counts each token at its id", points=0.5, category="values")
def test_bag(submission):
    expect_counts(
        submission, "bag_of_words", 10**9,
        lambda tokens, vocab: {
            "each token is counted once: that is set_of_words": occurrences(tokens, vocab, 1),
            "the counts are floats": occurrences(tokens, vocab).float(),
        },
    )  # fmt: skip


@check("set_of_words marks each token that occurs", points=0.5, category="values", after=test_bag)
def test_set(submission):
    expect_counts(
        submission, "set_of_words", 1,
        lambda tokens, vocab: {"the tokens are counted: here each is 1, however often": occurrences(tokens, vocab)},
    )  # fmt: skip


DOCS = [doc.split() for doc in ("a b a", "b c", "a c c c d")]


def weighed(docs, smooth=False, norm=None, log=math.log, df=None, tf=None, root=True):
    words = sorted({token for doc in docs for token in doc})
    df = df or (lambda word: sum(word in doc for doc in docs))
    tf = tf or (lambda word, doc: doc.count(word) / len(doc))
    table = []
    for doc in docs:
        row = []
        for word in words:
            idf = log((1 + len(docs)) / (1 + df(word))) + 1 if smooth else log(len(docs) / df(word))
            row.append(tf(word, doc) * idf if doc else 0.0)
        length = sum(value**2 for value in row)
        length = math.sqrt(length) if root else sum(row)
        table.append([value / length for value in row] if norm and length else row)
    return torch.tensor(table).reshape(len(docs), len(words))


def expect_table(submission, docs, smooth=None, norm=None, likely=None, given=None):
    options = {"smooth": smooth, "norm": norm}
    options = {name: value for name, value in options.items() if value is not None}
    truth = weighed(docs, **options)
    wrong = told(truth, likely or {})
    given = f"{given or docs}{''.join(f', {name}={value!r}' for name, value in options.items())}"
    found = kept(submission, submission.tf_idf, docs, **options)
    common = "words of all documents weigh 0"
    expect.close(found, truth, rtol=1e-4, atol=1e-6, likely=wrong, given=given, trivial=common)


def drawn_docs(seed, count=6):
    tokens = tokens_of(seed, 60)
    return [tokens[n * 7 : n * 7 + 4 + n] for n in range(count)]


@check("tf_idf is the share in a document times ln(N / df)", points=1.5, category="values")
def test_tf_idf(submission):
    for docs in (DOCS, drawn_docs(any_seed())):
        total = Counter(token for doc in docs for token in doc).get
        likely = {
            "the logarithm is not the natural one, but that of base 10": weighed(docs, log=math.log10),
            "the logarithm is not the natural one, but that of base 2": weighed(docs, log=math.log2),
            "df counts occurrences: a document counts once": weighed(docs, df=total),
            "tf is the count, not the share of the document's tokens": weighed(
                docs, tf=lambda word, doc: doc.count(word)
            ),
            "idf is smoothed unasked": weighed(docs, smooth=True),
        }  # fmt: skip
        given = None if docs is DOCS else "six documents of up to nine words"
        expect_table(submission, docs, likely=likely, given=given)


@check("tf_idf smooths the idf and brings rows to length 1", points=0.5, category="values", after=test_tf_idf)
def test_tf_idf_options(submission):
    for docs in (DOCS, drawn_docs(any_seed())):
        given = None if docs is DOCS else "six documents of up to nine words"
        missing = weighed(docs, smooth=True) - weighed(docs, log=lambda x: 1.0)
        expect_table(submission, docs, True, likely={"the 1 behind the logarithm is missing": missing}, given=given)
        one_norm = weighed(docs, True, "l2", root=False)
        likely = {"each row is divided by its sum": one_norm, "norm is not used": weighed(docs, True)}
        expect_table(submission, docs, True, "l2", likely=likely, given=given)
        expect_table(submission, docs, False, "l2", given=given)


@check("tf_idf takes empty documents and refuses other norms", points=0.5, category="robustness", after=test_tf_idf,
       hidden=True)  # fmt: skip
def test_tf_idf_edges(submission):
    for docs in ([["a", "b"], [], ["b"]], [["b"], ["b", "b"]], [[]], [], [["猫", "a", "B"]]):
        for smooth in (False, True):
            for norm in (None, "l2"):
                expect_table(submission, docs, smooth, norm)
    for docs in (DOCS, [], [[]]):
        for norm in ("l1", "L2", "max", ""):
            expect.raises("ValueError", submission.tf_idf, docs, norm=norm, given=f"{docs}, norm={norm!r}")


# --- language models -------------------------------------------------------------------------------------


@check("ngrams gives all runs of n tokens", points=0.5, category="values")
def test_ngrams(submission):
    for text in ("a b c d", "x y x y x", "one", ""):
        tokens = text.split()
        for n in (2, 1, 3, 4):
            truth = [tuple(tokens[k + i] for i in range(n)) for k in range(len(tokens)) if k + n <= len(tokens)]
            likely = {
                "the last run is missing": truth[:-1],
                "runs do not overlap: each starts n further on": truth[::n],
                "the runs are lists, not tuples": [list(run) for run in truth],
                "each run is there once": list(dict.fromkeys(truth)),
            }
            wrong = told(truth, likely)
            found = kept(submission, submission.ngrams, tokens, n)
            expect.equal(found, truth, likely=wrong, given=f"ngrams({tokens}, {n})", trivial="too few tokens")


TINY = [["a", "b"], ["a", "a"]]
TALES = [s.split() for s in ("the cat sat", "the dog sat on the cat", "a cat is the cat", "The dog", "it is on")]


class Counting:
    """The model by loops over the sentences. ``joint``, ``start``, ...: one mistake each."""

    def __init__(self, n, alpha, sentences, joint=False, start=True, end=True, drop=(), low=False, size=0):
        change = str.lower if low else str
        sentences = [[change(word) for word in sentence if word not in drop] for sentence in sentences]
        self.n, self.alpha, self.joint, self.end, self.start = n, alpha, joint, end, start
        self.words = {word for sentence in sentences for word in sentence} | {UNK, END}
        self.size = len(self.words) + size
        self.seen = [pair for sentence in sentences for pair in self.pairs(sentence)]

    def pairs(self, sentence):
        """[context, word] at each place of a sentence."""
        marked = [START] * (self.n - 1) * self.start + sentence + [END] * self.end
        first = 0 if self.start else self.n - 1
        places = range(self.n - 1 if self.start else first, len(marked))
        return [(tuple(marked[k - self.n + 1 : k]), marked[k]) for k in places]

    def prob(self, word, context):
        known = [w if w in self.words or w == START else UNK for w in context]
        word, context = word if word in self.words else UNK, tuple(known[len(known) - self.n + 1 :])
        came = sum(pair == (context, word) for pair in self.seen)
        total = len(self.seen) if self.joint else sum(pair[0] == context for pair in self.seen)
        below = total + self.alpha * self.size
        return (came + self.alpha) / below if below else 0.0

    def log_probs(self, sentence):
        found = [self.prob(word, context) for context, word in self.pairs(sentence)]
        return [math.log(p) if p else -math.inf for p in found]


FREQUENT = ("the", "The", "a", "is", "it", "on")
MODELS = ((2, 1.0, TALES), (2, 1.0, TINY), (2, 0.5, TALES), (3, 1.0, TALES), (1, 1.0, TALES), (1, 0.1, TINY))


def asked(n, sentences):
    """Words with contexts: those that came, and some that never did."""
    model = Counting(n, 1.0, sentences)
    pairs = list(dict.fromkeys(model.seen))
    return [*pairs[:10], (pairs[0][0], pairs[-1][0][0] if n > 1 else "a"), (pairs[-1][0], "a")]


def expect_probs(submission, n, alpha, sentences, questions, likely={}):  # noqa: B006
    """``likely``: a sentence, and the mistake of Counting that it tells."""
    lm = submission.NGramLM(n, alpha)
    lm.fit(sentences)
    model = Counting(n, alpha, sentences)
    slips = {name: Counting(n, sentences=sentences, **{"alpha": alpha, **slip}) for name, slip in likely.items()}
    for context, word in questions:
        truth = model.prob(word, context)
        wrong = told(truth, {sentence: slip.prob(word, context) for sentence, slip in slips.items()})
        given = f"n={n}, alpha={alpha}, {len(sentences)} sentences; prob({word!r}, {list(context)})"
        found = lm.prob(word, list(context))
        expect.close(found, truth, rtol=1e-9, atol=0, likely=wrong, given=given, trivial="it may be 0")


@check("NGramLM counts words behind their contexts", points=1.5, category="values", after=test_ngrams)
def test_prob(submission):
    for n, alpha, sentences in MODELS[:2]:
        first = [(("a",), "b"), ((START,), "a")] if sentences is TINY else [((START,), "the"), (("sat",), END)]
        questions = first if sentences is TINY else [*first, *asked(n, sentences)]
        expect_probs(
            submission, n, alpha, sentences, questions,
            likely={
                "a sentence has no START before it": {"start": False},
                "a sentence has no END behind it": {"end": False},
                "the count is divided by all counts, not by those of its context": {"joint": True},
                "stop words are left out: a language model needs every word": {"drop": FREQUENT},
                "the words are changed to lower case": {"low": True},
                "V lacks UNK and END": {"size": -2},
                "START is counted in V: it is never predicted": {"size": 1},
                "alpha is not used": {"alpha": 0.0},
            },
        )  # fmt: skip


@check("NGramLM takes any n and alpha", points=0.5, category="values", after=[test_prob, test_ngrams])
def test_orders(submission):
    for n, alpha, sentences in MODELS[2:]:
        fixed = {"alpha is fixed at 1": {"alpha": 1.0}}
        expect_probs(submission, n, alpha, sentences, asked(n, sentences), likely=fixed)


@check("NGramLM takes unknown words for UNK, in contexts as well", points=0.5, category="values",
       after=[test_prob, test_ngrams], hidden=True)  # fmt: skip
def test_unknown(submission):
    known = [*TALES, ["the", UNK, "sat"], ["a", UNK, UNK]]
    for n, alpha in ((2, 1.0), (3, 0.5), (1, 1.0)):
        for sentences in (TALES, known):
            contexts = [["the", "zebra"], ["zebra", "the"], [START, START], ["the", UNK], ["the", "cat"], ["a", END]]
            questions = [(tuple(context), word) for context in contexts for word in ("zebra", "sat", UNK, END, START)]
            expect_probs(submission, n, alpha, sentences, questions)


@check("what NGramLM can predict has probabilities that sum to 1", points=0.5, category="values", after=test_prob,
       hidden=True)  # fmt: skip
def test_sums(submission):
    words = sorted({word for sentence in TALES for word in sentence} | {UNK, END})
    for n, alpha, context in ((2, 1.0, ["the"]), (2, 0.1, ["zebra"]), (2, 2.5, [START]), (3, 1.0, ["the", "dog"])):
        lm = submission.NGramLM(n, alpha)
        lm.fit(TALES)
        total = sum(expect.record(lm.prob(word, context), float) for word in words)
        given = f"n={n}, alpha={alpha}; the sum over all {len(words)} words behind {context}"
        expect.close(total, 1.0, rtol=1e-9, atol=0, given=given, trivial="probabilities of all that can come")


@check("NGramLM without smoothing has zeros", points=0.5, category="robustness", after=[test_prob, test_ngrams],
       hidden=True)  # fmt: skip
def test_no_smoothing(submission):
    for n, context in ((2, ["zebra"]), (2, ["the"]), (3, ["cat", "cat"]), (1, [])):
        questions = [(tuple(context), word) for word in ("cat", "zebra", END, "sat")]
        expect_probs(submission, n, 0.0, TALES, questions)
    lm = submission.NGramLM(2, 0.0)
    lm.fit(TALES)
    truth = Counting(2, 0.0, TALES).log_probs(["the", "zebra"])
    expect.close(lm.log_probs(["the", "zebra"]), truth, given="log_probs(['the', 'zebra']), alpha=0")


@check("fit starts anew, returns the model, and two models are two", points=0.5, category="robustness",
       after=test_prob, hidden=True)  # fmt: skip
def test_fit(submission):
    one, two, both = submission.NGramLM(2), submission.NGramLM(2, 0.5), [["b", "c"]]
    itself = submission.probes.fitted(one, TALES), submission.probes.fitted(two, both)
    expect.equal(itself, (True, True), given="whether fit returns the model itself")
    expect_fits([("the first model", one, 1.0, TALES), ("a second one", two, 0.5, both)])
    one.fit(TINY)
    expect_fits([("the first model, fitted anew", one, 1.0, TINY)])
    kept(submission, submission.NGramLM(3).fit, TALES)


def expect_fits(rounds):
    for name, lm, alpha, sentences in rounds:
        truth = Counting(2, alpha, sentences)
        for context, word in ((("b",), "c"), ((START,), "the"), (("a",), "b")):
            value, given = truth.prob(word, context), f"prob({word!r}, {list(context)}) of {name}"
            expect.close(lm.prob(word, list(context)), value, rtol=1e-9, atol=0, given=given)


@check("log_probs has a number for each word, and one for the end", points=0.5, category="values",
       after=[test_prob, test_ngrams])  # fmt: skip
def test_log_probs(submission):
    for n, alpha in ((2, 1.0), (3, 0.5), (1, 1.0)):
        lm = submission.NGramLM(n, alpha)
        lm.fit(TALES)
        model = Counting(n, alpha, TALES)
        for text in ("the cat sat", "the zebra", ""):
            truth = model.log_probs(text.split())
            likely = {
                "these are probabilities: the logarithm is missing": [math.exp(value) for value in truth],
                "the logarithm has the base 2": [value / math.log(2) for value in truth],
                "the logarithm has the base 10": [value / math.log(10) for value in truth],
            }
            found = expect.record(lm.log_probs(text.split()), [float], given=f"n={n}, {text!r}")
            ends = {"the end of the sentence is missing": len(truth) - 1}
            expect.equal(len(found), len(truth), because="words and END", likely=ends, given=f"n={n}, {text!r}")
            expect.close(found, truth, rtol=1e-9, atol=0, likely=likely, given=f"n={n}, {text!r}")


@check("log_prob adds up, also where a product would be 0", points=0.5, category="values", after=test_log_probs)
def test_log_prob(submission):
    lm = submission.NGramLM(2)
    lm.fit(TALES)
    model = Counting(2, 1.0, TALES)
    for words in (["the", "cat"], [], ["the", "cat", "sat"] * 200):
        truth = math.fsum(model.log_probs(words))
        likely = {"this is the mean of the logarithms: it is their sum": truth / (len(words) + 1)} if words else {}
        found = lm.log_prob(words)
        expect.close(found, truth, rtol=1e-9, atol=0, likely=likely, given=f"a sentence of {len(words)} words")


def sentences(dataset):
    """English sentences, split into words: the first to count, the last to judge."""
    chosen = dataset.choose("phrases", real="anki")
    if chosen.real:
        pairs = chosen.module.load("fra")
        texts = [pairs[n][0] for n in torch.randperm(len(pairs))[:400]]
    else:
        texts = [english for english, _ in chosen.module.pairs(400, any_seed())]
    return [text.lower().split() for text in texts]


@check("sentences in their order are likelier than shuffled ones", points=0.5, category="robustness",
       after=test_log_prob, hidden=True)  # fmt: skip
def test_order(submission, dataset):
    texts = sentences(dataset)
    lm = submission.NGramLM(2, 0.1)
    lm.fit(texts[:360])
    shuffled = [[text[n] for n in torch.randperm(len(text))] for text in texts[360:]]
    model = Counting(2, 0.1, texts[:360])
    for given, chosen in (("40 sentences", texts[360:]), ("the same with their words shuffled", shuffled)):
        truth = [math.fsum(model.log_probs(text)) for text in chosen]
        expect.close(submission.probes.scored(lm, chosen), truth, rtol=1e-9, atol=0, given=given)


def masked(draw, shape, hide, kind):
    """Log-probabilities of which none, some or many are hidden; what is hidden is far off."""
    count = math.prod(shape)
    turned = (torch.arange(count) % max(hide, 1) == 0).reshape(shape[::-1])
    mask = turned.permute(*reversed(range(len(shape))))  # not contiguous where there are two axes
    far = {"zeros": 0.0, "minus infinity": -math.inf, "NaN": math.nan}[kind]

    def values(shape, dtype, generator):
        found = -3 * torch.rand(shape, generator=generator, dtype=torch.float64) - 0.1
        return found.where(mask, far)

    return {"log_probs": draw(*shape, values=values), "mask": mask}


def measured(log_probs, mask=None):
    values = log_probs.double() if mask is None else log_probs.double()[mask]
    return math.exp(-math.fsum(values.tolist()) / len(values.reshape(-1)))


@check("perplexity is exp of minus the mean", points=0.5, category="values")
def test_perplexity(submission):
    for count, size in ((50, 50), (7, 2), (400, 10), (1, 3)):
        values = [-math.log(size)] * count
        likely = {
            "the logarithms are added up, their mean is asked for": math.exp(min(-sum(values), 700)),
            "the logarithm of the perplexity": -values[0],
            "the base is 2: logarithms are natural": 2 ** -values[0],
            "the sign is wrong": 1 / size,
        }
        wrong = told(float(size), likely)
        given = f"{count} words of probability 1/{size}"
        found = submission.perplexity(values)
        expect.close(found, float(size), rtol=1e-5, atol=0, likely=wrong, given=given)
        found = submission.perplexity(torch.tensor(values))
        expect.close(found, float(size), rtol=1e-5, atol=0, likely=wrong, given=f"a tensor of {given}")
    values = [-0.5, -2.0, -0.25]
    likely = {"this is the mean of the perplexities of the words": (math.e**0.5 + math.e**2 + math.e**0.25) / 3}
    expect.close(submission.perplexity(values), math.exp(2.75 / 3), rtol=1e-5, atol=0, likely=likely, given=f"{values}")


HIDDEN = grid(
    masked, shape=[(6,), (3, 5), (1, 7), (2, 3, 2)], hide=[2, 3, 0], kind=["zeros", "minus infinity", "NaN"],
    dtype=[torch.float32, torch.float64], layout=["contiguous", "transposed", "gaps"],
)  # fmt: skip


@check("perplexity leaves out what the mask hides", points=0.5, category="values", after=test_perplexity)
def test_mask(submission):
    expect.agrees(
        submission.perplexity, measured, HIDDEN, unchanged=True, slack=1e3,
        likely={
            "the mask is turned round: True counts": lambda log_probs, mask: (
                measured(log_probs, ~mask) if (~mask).any() else math.nan
            ),
            "the hidden places count in the mean": lambda log_probs, mask: math.exp(
                -float(log_probs.double()[mask].sum()) / log_probs.numel()
            ),
            "hidden places are multiplied by 0, and 0 times infinity is NaN": lambda log_probs, mask: math.exp(
                -float((log_probs.double() * mask).sum() / mask.sum())
            ),
        },
    )  # fmt: skip
    values, mask = [-1.0, -1.0, 0.0, 0.0], [True, True, False, False]
    expect.close(submission.perplexity(values, mask), math.e, rtol=1e-5, atol=0, given=f"perplexity({values}, {mask})")


@check("perplexity of something impossible is infinite", points=0.5, category="robustness", after=test_perplexity,
       hidden=True)  # fmt: skip
def test_impossible(submission):
    for values in ([-1.0, -math.inf], torch.tensor([[-math.inf, -1.0], [-2.0, -1.0]])):
        expect.close(submission.perplexity(values), math.inf, given=f"{values}", trivial="it is infinite")


def network(context, v, e, k, h, pad_id, turn=torch.tanh, mix=None):
    """What NeuralLM computes when it is filled by shape."""
    embedded = filled(nn.Embedding, v, e, padding_idx=pad_id)(context)
    joined = (mix or (lambda x: x.flatten(1)))(embedded)
    return filled(nn.Linear, h, v)(turn(filled(nn.Linear, k * e, h)(joined))).float()


SIZES = (
    (11, {}),
    (7, {"embed_dim": 5, "context_size": 3, "hidden_size": 6}),
    (9, {"context_size": 1, "pad_id": 4}),
    (8, {"embed_dim": 3, "hidden_size": 9, "pad_id": 7}),
)


def nets(submission):
    for v, options in SIZES:
        sizes = {"embed_dim": 16, "context_size": 2, "hidden_size": 32, "pad_id": 0, **options}
        net = submission.NeuralLM(v, **options)
        context = torch.randint(0, v, (sizes["context_size"], 5)).T
        yield net, v, sizes, context, f"NeuralLM({v}{''.join(f', {k}={n}' for k, n in options.items())})"


@check("NeuralLM has the parameters of its table", points=0.5, category="parameters")
def test_parameters(submission):
    for net, v, sizes, _, given in nets(submission):
        e, k, h = sizes["embed_dim"], sizes["context_size"], sizes["hidden_size"]
        shapes = [(v, e), (h, k * e), (h,), (v, h), (v,)]
        expect.parameters(net, sum(math.prod(shape) for shape in shapes), shapes, given=given)


@check("NeuralLM computes what its table says", points=1, category="values", devices="all")
def test_network(submission, device):
    for net, v, sizes, context, given in nets(submission):
        fill_by_shape(net)
        e, k, h, pad_id = sizes["embed_dim"], sizes["context_size"], sizes["hidden_size"], sizes["pad_id"]
        truth = network(context, v, e, k, h, pad_id)
        likely = {
            "there is no tanh": network(context, v, e, k, h, pad_id, turn=lambda x: x),
            "ReLU takes the place of tanh": network(context, v, e, k, h, pad_id, turn=torch.relu),
            "softmax: the scores are asked for": truth.softmax(1),
            "the logarithm of a softmax: the scores are asked for": truth.log_softmax(1),
        }
        if k > 1:
            likely["the words of the context are in another order"] = network(
                context, v, e, k, h, pad_id, mix=lambda x: x.flip(1).flatten(1)
            )
        found = net.to(device)(context.to(device))
        expect.shape(found, (5, v), given=given)
        expect.close(found.detach(), truth.to(device), scale=1e-3, likely=told_on(device, likely), given=given)
        found, given = net(context[:1].to(device)).detach(), f"{given}, a batch of 1"
        expect.close(found, truth[:1].to(device), scale=1e-3, given=given)


def told_on(device, likely):
    return {sentence: value.to(device) for sentence, value in likely.items()}


@check("the loss of NeuralLM leaves out targets that are pads", points=0.5, category="values", after=test_network,
       devices="all")  # fmt: skip
def test_loss(submission, device):
    for net, v, sizes, context, given in nets(submission):
        fill_by_shape(net)
        pad_id = sizes["pad_id"]
        scores = network(context, v, *(sizes[name] for name in ("embed_dim", "context_size", "hidden_size")), pad_id)
        known = torch.tensor([n for n in range(v) if n != pad_id])[torch.randint(0, v - 1, (5,))]
        known[-1] = 0 if pad_id else 1
        for pads in (0, 2, 4):
            target = known.clone()
            target[:pads] = pad_id
            truth = F.cross_entropy(scores[pads:], target[pads:])
            likely = {
                "the pads are counted in the loss": F.cross_entropy(scores, target),
                "the sum is divided by all targets, pads too": truth * (5 - pads) / 5,
                "this is the sum: the mean is asked for": truth * (5 - pads),
            }
            wrong = told(truth, likely)
            spread = torch.stack([target, target], 1)[:, 0]
            found = net.to(device).loss(context.to(device), spread.to(device))
            expect.shape(found, (), given=given)
            shown = f"{given}, {pads} of 5 targets are pads"
            truth, wrong = truth.to(device), told_on(device, wrong)
            expect.close(found.detach(), truth, rtol=1e-3, atol=1e-5, likely=wrong, given=shown)
        found = net.loss(context[:1].to(device), known[:1].to(device)).detach()
        truth = F.cross_entropy(scores[:1], known[:1]).to(device)
        expect.close(found, truth, rtol=1e-3, atol=1e-5, given=f"{given}, a batch of 1")


@check("the loss of pads alone is 0, and pads learn nothing", points=0.5, category="robustness", after=test_loss,
       hidden=True)  # fmt: skip
def test_pads(submission):
    for net, v, sizes, context, given in nets(submission):
        pad_id, size = sizes["pad_id"], (v, sizes["embed_dim"])
        row = submission.probes.pad_row(net, pad_id, size)
        expect.close(row, torch.zeros(size[1]), trivial="a pad means nothing", given=f"{given}, the row of pad_id")
        target = torch.full((5,), pad_id)
        value, shown = net.loss(context, target), f"{given}, all targets are pads"
        expect.close(value.detach(), torch.tensor(0.0), trivial="there is no word", given=shown)
        wanted, found = "a loss that has a gradient", "a number that is cut off from the parameters"
        expect.true(value.requires_grad, wanted, found, given=shown)
        context[0], context[1:, 0] = pad_id, (pad_id + 1) % v
        mixed = target.clone()
        mixed[1::2] = (pad_id + 1) % v
        expect.not_mutated(submission, net.loss, context, mixed, given=f"{given}, context and target of its loss")
        expect.not_mutated(submission, net, context, given=f"{given}, its context")
        found = submission.probes.row_gradients(net, context, (target + 1) % v, size)
        given = f"{given}, the gradient of the pad's row"
        expect.close(found[pad_id], torch.tensor(0.0), trivial="pads learn nothing", given=given)


@check("the gradients of the loss reach every parameter of NeuralLM", points=0.5, category="gradients", after=test_loss)
def test_gradients(submission):
    for net, v, sizes, context, given in nets(submission):
        context.fill_((sizes["pad_id"] + 1) % v)
        target = torch.full((5,), (sizes["pad_id"] + 2) % v)
        expect.gradient_flow(net.loss(context, target), module=net, given=given)


RULE = Rule(
    of=("strip_tags", "strip_accents", "expand_contractions", "remove_special", "remove_stopwords", "build_vocab",
        "tf_idf", "ngrams", "NGramLM"),
    names=("nltk", "spacy", "sklearn", "gensim", "torchtext", "unidecode", "bs4", "keras", "transformers", "jieba",
           "lxml"),
    instead="the standard library",
)  # fmt: skip


@check("the parts are written here, not taken from a library", points=0.5, category="rules", gates=RULE)
def test_rules(submission):
    expect.avoids(submission.ngrams, ["a", "b"], 2, rule=RULE)
