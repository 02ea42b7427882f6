"""The language of what a learner reads. English is the source; a catalogue may replace it.

Catalogues are compiled gettext files, ``<folder>/<language>/LC_MESSAGES/torchgrade.mo``. The folder is
``torchgrade/locale`` or the one that ``TORCHGRADE_LOCALE_DIR`` names; the language comes from the environment
as for every gettext program (``LANGUAGE``, ``LC_ALL``, ``LC_MESSAGES``, ``LANG``).
"""

from __future__ import annotations

import functools
import gettext
import os
from pathlib import Path

DOMAIN = "torchgrade"


def translate(text: str) -> str:
    """The sentence in the reader's language, or unchanged when no catalogue has it."""
    return _catalogue().gettext(text) if text else text


@functools.lru_cache(maxsize=1)
def _catalogue() -> gettext.NullTranslations:
    folder = os.environ.get("TORCHGRADE_LOCALE_DIR") or str(Path(__file__).parent / "locale")
    return gettext.translation(DOMAIN, localedir=folder, fallback=True)
