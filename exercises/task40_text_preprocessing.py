"""Task 40: from raw text to numbers, counts and a first language model.

A network takes numbers, and a web page is a mess: tags, accents, "don't", words that were never seen before. Here you
clean text, give each word a number, bring sentences to one length, count words, and build a model that says how likely
a sentence is. Most of it is a few lines of plain Python, and most mistakes in it are silent: a word that is lost, a
counter that is off by one, a pad that is counted as a word.

The way of a sentence, and an example to check by hand:

    strip_tags          "<p>Don't stop, Ren&eacute;e!</p>"   ->  "Don't stop, Renée!"
    strip_accents                                            ->  "Don't stop, Renee!"
    expand_contractions                                      ->  "Do not stop, Renee!"
    remove_special                                           ->  "Do not stop Renee"
    .lower().split()                                         ->  ["do", "not", "stop", "renee"]
    encode, 6 long, with do = 2 and stop = 3                 ->  [2, 1, 3, 1, 0, 0]

Conventions
- A token is a string without white space, mostly a word. A sentence is a list of tokens. Upper and lower case are
  different tokens: nothing here changes the case of a token.
- A vocabulary is a dict from token to id, an int. It holds two marks, PAD and UNK below: PAD fills short rows up, UNK
  stands for every token that the vocabulary does not have. Which ids they have is looked up in the vocabulary.
- Lists, dicts and tensors that are given are not changed. Logarithms are natural.

Forbidden: libraries that have these parts ready-made (nltk, spacy, sklearn, gensim, torchtext, unidecode, bs4, jieba,
transformers, ...). The standard library is allowed: re, html, unicodedata and collections are useful.
"""


import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

PAD, UNK = "<PAD>", "<UNK>"
START, END = "<START>", "<END>"

WHOLE = {"can't": "cannot", "won't": "will not", "shan't": "shall not", "let's": "let us"}
ENDINGS = {"n't": " not", "'re": " are", "'ve": " have", "'ll": " will", "'d": " would", "'m": " am"}
IS = ("it", "he", "she", "that", "what", "who", "there", "here")

STOPWORDS = frozenset(
    ("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "in", "is", "it", "of", "on", "or", "that", "the")
)


# --- cleaning --------------------------------------------------------------------------------------------


def strip_tags(text: str) -> str:
    """Remove the tags of HTML, then turn entities into the characters that they stand for.

    A tag begins with "<" and a letter, "/" or "!" right behind it, and ends with the next ">". A "<" with anything else
    behind it is text. Nothing takes the place of a tag. Entities are decoded last, so what they make is never a tag.

        "<b>bold</b>er"                  ->  "bolder"
        "<div><p class='x'>a</p></div>"  ->  "a"
        "1 < 2 &amp; 3 > 2"              ->  "1 < 2 & 3 > 2"
        "&lt;b&gt; is a tag"             ->  "<b> is a tag"
    """
    # TODO: a pattern for tags, and html.unescape.
    raise NotImplementedError


def strip_accents(text: str) -> str:
    """Take the accents off letters: "Noël à l'école" becomes "Noel a l'ecole", "São Đà" becomes "Sao Đa".

    An accent is what Unicode takes off a letter when it is decomposed (NFD: a letter, then combining marks, category
    Mn); a text may also come decomposed. Everything else stays: letters that do not decompose (ß, ø, Đ), Chinese
    ("你好") and other scripts, digits, punctuation. (Korean is not asked for.)
    """
    # TODO: decompose, and leave the combining marks out.
    raise NotImplementedError


def expand_contractions(text: str) -> str:
    """Write contractions out, by the tables WHOLE, ENDINGS and IS above.

    A word of WHOLE is replaced as a whole. Else an ending of ENDINGS is replaced where it ends a word and stands behind
    a letter. 's becomes " is" behind a word of IS and stays elsewhere, for there it may be a genitive. A word may begin
    with a capital, which it keeps, and the apostrophe may be ' or the typographic ’. Everything else stays. (Words all
    in capitals, as "DON'T", are not asked for.)

        "Don't, it’s hot"    ->  "Do not, it is hot"
        "I'm sure they'd go" ->  "I am sure they would go"
        "Can't John's dog?"  ->  "Cannot John's dog?"
    """
    # TODO: whole words first, then endings; \\b is the edge of a word in a pattern.
    raise NotImplementedError


def remove_special(text: str, remove_digits: bool = False) -> str:
    """Delete all characters but letters, digits and white space; with ``remove_digits`` the digits as well.

    Letters and digits are those of all scripts: é and 好 are letters, ٣ is a digit. The underscore is neither. Nothing
    takes the place of what is deleted: "well-known_2!" becomes "wellknown2", or "wellknown" without digits.
    """
    # TODO: str.isalpha, str.isdigit and str.isspace tell.
    raise NotImplementedError


def remove_stopwords(tokens: list[str], stopwords=STOPWORDS) -> list[str]:
    """Return the tokens, in their order, that are not among the stop words, whatever their case: "The" is "the".

    stopwords: a set, list or tuple of words in lower case. The tokens that stay are left as they are.
    """
    # TODO: one line is enough.
    raise NotImplementedError


# --- numbers ---------------------------------------------------------------------------------------------


def build_vocab(tokens: list[str], min_freq: int = 1, max_size: int | None = None) -> dict[str, int]:
    """Give each token that occurs an id: PAD 0, UNK 1, then 2, 3, ... from the commonest token to the rarest.

    Tokens that occur equally often stand in the order of ``sorted``, so that the ids are the same each time.

    min_freq: tokens that occur less often are left out. max_size: at most so many tokens besides the two marks; None
    stands for no limit. Marks among the tokens are not counted: they have their ids already.

    ["b", "a", "c", "b"] gives {PAD: 0, UNK: 1, "b": 2, "a": 3, "c": 4}, and with max_size=2 the same without "c".
    """
    # TODO: count, sort, cut, number.
    raise NotImplementedError


def write_vocab(vocab: dict[str, int], path) -> None:
    """Write a vocabulary to a file in UTF-8: one line "token,id" for each token, in the order of the ids.

    Nothing else is in a line, no blanks and no quotes; each line ends with a newline. A file that is there is replaced.
    """
    # TODO: say which encoding open() shall use.
    raise NotImplementedError


def read_vocab(path) -> dict[str, int]:
    """Read such a file. A token may hold commas ("1,000" and "," are tokens) and quotes: the last comma cuts a line."""
    # TODO: str.rpartition or str.rsplit cut at the last one.
    raise NotImplementedError


def encode(tokens: list[str], vocab: dict[str, int], max_len: int) -> list[int]:
    """Return the ids of the tokens as a list of exactly ``max_len`` ints.

    Tokens that the vocabulary does not have get the id of UNK. What is too long is cut off at its end; what is too
    short is filled up at its end with the id of PAD. ``max_len`` may be 0.
    """
    # TODO: cut, look up, fill up.
    raise NotImplementedError


class TextDataset(Dataset):
    """Lines "label,text" as a data set: item i is (label, ids), ready for a DataLoader with its default collate_fn.

    lines: an iterable of strings, such as a list or an open file, which is gone through once, by the constructor.
        The first comma of a line cuts it: "12,fine, thanks" has the label 12 and the tokens "fine," and "thanks". A
        label is an int of one or more digits; the tokens are what white space separates. Lines that are empty or hold
        only white space are left out; a line without text, such as "1,", stays.
    vocab: a vocabulary that was built before. It is used as it is: words of a test set get no ids of their own.
    max_len: every text is encoded to this length, by the rule of ``encode``; None stands for the number of tokens of
        the longest text. So all items of a set have one length.

    label: an int, or an int64 tensor without axes. ids: an int64 tensor (length,). The items are in the order of the
    lines, none is shuffled.
    """

    def __init__(self, lines, vocab: dict[str, int], max_len: int | None = None):
        # TODO: take the lines apart, find the length, encode.
        raise NotImplementedError

    def __len__(self) -> int:
        # TODO: count.
        raise NotImplementedError

    def __getitem__(self, index: int):
        # TODO: label and ids.
        raise NotImplementedError


# --- counts ----------------------------------------------------------------------------------------------


def bag_of_words(tokens: list[str], vocab: dict[str, int]) -> Tensor:
    """Return how often each token of the vocabulary occurs: int64 (len(vocab),), at the place of its id.

    The ids of the vocabulary are 0, 1, ..., len(vocab) - 1. Tokens that it does not have are not counted anywhere, not
    at UNK either.
    """
    # TODO: a vector of zeros, and a loop over the tokens.
    raise NotImplementedError


def set_of_words(tokens: list[str], vocab: dict[str, int]) -> Tensor:
    """As ``bag_of_words``, but 1 for each token that occurs, however often: int64 (len(vocab),)."""
    # TODO: what changes?
    raise NotImplementedError


def tf_idf(docs: list[list[str]], smooth: bool = False, norm: str | None = None) -> Tensor:
    """Weigh the words of documents: often in this one, rare in the others. Returns float32 (number of docs, words).

    There is a column for each different token of all documents, in the order of ``sorted``. An entry is tf · idf: tf is
    the share of the document's tokens that are this one, idf = ln(N / df), where N is the number of documents and df
    the number of documents that hold the token at least once.

    smooth: idf = ln((1 + N) / (1 + df)) + 1, as if one more document held every token once.
    norm: None, or "l2": each row is divided by its Euclidean length. Anything else raises ValueError.
    A document without tokens, and one whose row is all zeros, has a row of zeros. There may be no document: (0, 0).

    For "a b a", "b c", "a c c c d": [[.2703, .1352, 0, 0], [0, .2027, .2027, 0], [.0811, 0, .2433, .2197]]. With smooth
    the idf are 1.2877, 1.2877, 1.2877, 1.6931, and with norm="l2" as well the first row is [.8944, .4472, 0, 0].
    """
    # TODO: the words, then df, then a row for each document.
    raise NotImplementedError


# --- language models -------------------------------------------------------------------------------------


def ngrams(tokens: list[str], n: int) -> list[tuple[str, ...]]:
    """Return all runs of n neighbouring tokens as tuples, from first to last, equal ones too; n is 1 or more.

    ngrams(["a", "b", "c"], 2) is [("a", "b"), ("b", "c")]; for n = 4 it is empty.
    """
    # TODO: where does the last one start?
    raise NotImplementedError


class NGramLM:
    """A language model that counts: how likely is a word behind the n - 1 words before it?

    fit(sentences) counts. START is put n - 1 times in front of each sentence and END once behind it, so that its first
    words and its end are predicted as well. The model knows the words that occur in the sentences, UNK and END: these
    are what can be predicted, V of them. Any other word counts as UNK, in a context too (there START is known as well).

        prob(word, context) = (count(context, word) + alpha) / (count(context) + alpha · V)

    count(context, word): how often the word came behind this context; count(context): how often any word did. Where
    this is 0/0 (alpha = 0 and a context that never came) the probability is 0.

    For n = 2, alpha = 1 and the sentences [["a", "b"], ["a", "a"]]: V = 4 ("a", "b", UNK, END); behind "a" came "b",
    "a" and END, once each. So prob("b", ["a"]) = (1 + 1) / (3 + 4) = 2/7 and
    prob("a", [START]) = (2 + 1) / (2 + 4) = 1/2.
    """

    def __init__(self, n: int, alpha: float = 1.0):
        """n: 1 (a word alone, no context), 2, 3, ... alpha: 0 or more."""
        # TODO: keep them.
        raise NotImplementedError

    def fit(self, sentences: list[list[str]]):
        """Count the sentences, and forget what was counted before. Returns the model itself."""
        # TODO: two counters, one of contexts with the next word, one of contexts.
        raise NotImplementedError

    def prob(self, word: str, context: list[str]) -> float:
        """The probability of a word behind a context. The last n - 1 words of the context count; it has that many."""
        # TODO: replace unknown words, look up, divide.
        raise NotImplementedError

    def log_probs(self, sentence: list[str]) -> list[float]:
        """The logarithm of the probability of each word of a sentence, and last that of END: one number more.

        It is -inf where the probability is 0.
        """
        # TODO: prob knows it all; math.log refuses 0.
        raise NotImplementedError

    def log_prob(self, sentence: list[str]) -> float:
        """The sum of ``log_probs``: the logarithm of the probability of the sentence."""
        # TODO: one line.
        raise NotImplementedError


def perplexity(log_probs, mask=None) -> float:
    """Return exp of minus the mean of log-probabilities: among how many words, equally likely, the model wavers.

    log_probs: a list of floats, or a tensor of any shape. mask: None, or booleans of the same form: where it is False,
    as at a pad, nothing counts, whatever stands there. At least one counts. 400 words of probability 0.1 have the
    perplexity 10, although their product is smaller than any float. Infinite if a log-probability that counts is -inf.
    """
    # TODO: a mean of what counts, and no product.
    raise NotImplementedError


class NeuralLM(nn.Module):
    """A language model that learns: embeddings of the last words, one hidden layer, a score for every next word.

        layer                                                       output
        embedding of each word of the context                       (B, context_size, embed_dim)
        the embeddings side by side, in the order of the context    (B, context_size · embed_dim)
        linear layer, tanh                                          (B, hidden_size)
        linear layer                                                (B, vocab_size)

    Both linear layers have biases. The embedding of ``pad_id`` is zero at first, and it gets no gradient.
    """

    def __init__(
        self, vocab_size: int, embed_dim: int = 16, context_size: int = 2, hidden_size: int = 32, pad_id: int = 0
    ):
        super().__init__()
        # TODO: three layers.
        raise NotImplementedError

    def forward(self, context: Tensor) -> Tensor:
        """context: int64 (B, context_size). Returns scores (logits), (B, vocab_size)."""
        # TODO: follow the table.
        raise NotImplementedError

    def loss(self, context: Tensor, target: Tensor) -> Tensor:
        """The mean of the cross entropy of the scores over the targets that are not ``pad_id``; 0 if all of them are.

        context: int64 (B, context_size). target: int64 (B,), the next words. Returns a tensor without axes, whose
        gradients reach the parameters. A batch of pads alone may be trained on, too: its ``backward`` works.
        """
        # TODO: a pad is no word to be predicted.
        raise NotImplementedError
