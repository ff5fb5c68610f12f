"""Which languages a text may be in, by its script and its commonest words: enough to know when not to judge."""

import re
import unicodedata
from collections import Counter
from itertools import chain
from typing import Final

from plumbline_models.text import STOP_WORDS

ENGLISH: Final = "en"

_COMMON: Final = {
    "cs": "není jsou který která které jako nebo také byl pro při jeho podle může",
    "da": "og det ikke er en af på til der som med har blev fra eller kan være",
    "de": "der die das und ist nicht ein eine einen einem einer mit von für auf dem den zu im sind wird werden auch "
    "bei sich oder als wurde hat war aus nach wie dass kann des zum zur durch in am an so er sie es um",
    "es": "el la los las de en un y es que del una por con para no se más como su "
    "fue son está pero al lo sus desde entre",
    "fi": "ja on ei että se oli myös kun hän mutta ovat tai joka kuin sekä",
    "fr": "le la les de en un et est des une du que dans pour pas sur qui par avec au sont plus ce cette "
    "ne se il elle été aux",
    "hu": "az és hogy nem egy van volt mint is meg de csak vagy amely",
    "id": "yang dan di dengan untuk dari ini itu adalah tidak pada oleh ke dalam",
    "it": "il la in che di è per un una non del della con sono gli le dei nel alla si da più come anche lo al",
    "nl": "de het een en van is dat niet op te zijn met voor aan door ook bij naar wordt uit als er maar om deze",
    "no": "og det ikke er en av på til der som med har ble fra eller kan være",
    "pl": "jest nie się że na do jak od przez oraz był są dla lub które który może jego",
    "pt": "de que não é do da em um uma os as para com por dos das foi se mais no na ao ou são como pelo pela",
    "ro": "și este nu de la în cu pe din care pentru sunt mai sau lui fost ale prin",
    "sv": "och det inte är en ett av på till som med har från eller kan var den för att",
    "tr": "bir ve bu da de için ile olarak daha gibi olan çok ne değil kadar sonra",
    "vi": "và của là có không được cho trong một với các những này để người",
}
_ONE_LETTER: Final = 1
_LANGUAGES: Final[dict[str, frozenset[str]]] = {
    ENGLISH: frozenset(word for word in STOP_WORDS if len(word) > _ONE_LETTER) | {"not", "no", "but", "more", "all"},
    **{code: frozenset(words.split()) for code, words in _COMMON.items()},
}
_LANGUAGES_OF: Final = {
    word: tuple(code for code, words in _LANGUAGES.items() if word in words)
    for word in frozenset().union(*_LANGUAGES.values())
}
"""Those in which a word is common."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_UNSPACED: Final = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\uff66-\uff9f\U00020000-\U0003ffff]"
)
"""Thai, Lao, Myanmar, Khmer, kana, Chinese characters."""


def languages(text: str) -> frozenset[str]:
    """ISO 639-1 codes of the languages whose common words *text* has most of; none where it has none.

    Latin script only: of a text whose letters are mostly others the name of its script, such as "cyrillic".
    """
    if not text.isascii() and (other := _other_letters(text)):
        return frozenset({unicodedata.name(other[0], "unknown").split()[0].lower()})
    common = (_LANGUAGES_OF.get(word, ()) for word in _WORD.findall(text.casefold()))
    counts = Counter(chain.from_iterable(common))
    most = max(counts.values(), default=0)
    return frozenset(code for code, count in counts.items() if count == most)


def _other_letters(text: str) -> list[str]:
    """Those that are not Latin, if they are more than half of all letters."""
    letters = [letter for letter in text if letter.isalpha()]
    other = [letter for letter in letters if not _is_latin(letter)]
    return other if len(other) * 2 > len(letters) else []


def is_unspaced(text: str) -> bool:
    """Whether some of *text* is in a script that puts no spaces between words."""
    return _UNSPACED.search(text) is not None


def _is_latin(letter: str) -> bool:
    return letter.isascii() or letter < "\u0250" or "\u1e00" <= letter <= "\u1eff"
