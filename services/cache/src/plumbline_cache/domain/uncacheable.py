"""Questions whose answer is another one for the next who asks, or an hour later: these are never cached.

Word rules in English, German and Spanish. What an answer rests on is watched anyway: a price in a document may be
cached, and goes when the document changes. Here it is about what no document says: now, today, and who asks.
"""

import re
from enum import Enum
from typing import Final

from plumbline_cache.domain.normal import normal_form

LOOKED_AT: Final = 600
"""What is longer tells a story, and to look at all of it would take up to 0.1 s."""


class Uncacheable(Enum):
    """Why a question's answer is nobody else's, or no later moment's."""

    LIVE = "live"
    """It asks how things are just now."""
    RELATIVE = "relative"
    """What it asks of depends on the day: "today", "last month", "how long until"."""
    PERSONAL = "personal"
    """It asks about whoever asks: "my order", "am I insured"."""


_WEEKDAY_EN: Final = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_PERIOD_EN: Final = rf"(?:morning|afternoon|evening|week(?:end)?|month|quarter|year|season|{_WEEKDAY_EN})"
_UNIT_EN: Final = r"(?:second|minute|hour|day|week|month|year)s?"
_WEEKDAY_DE: Final = r"(?:(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch)"
_PERIOD_DE: Final = rf"(?:morgen|vormittag|nachmittag|abend|woche(?:nende)?|monat|quartal|jahr|saison|{_WEEKDAY_DE})s?"
_PERIOD_ES: Final = r"(?:mañana|tarde|noche|semana|fin de semana|mes|trimestre|año|temporada)"
_UNIT_ES: Final = r"(?:segundo|minuto|hora|día|semana|mes|año)(?:e?s)?"

_STATE_EN: Final = (
    r"(?:prices?|rates?|costs?|fees?|status|state|situation|time|temperature|weather|values?|levels?|balance|score"
    r"|standings|president|minister|ceo|mayor|king|queen|pope|champions?|holder|population|availability|queue|load"
    r"|outages?|incidents?|openings?|vacancies|capacity|location)"
)
"""What changes while nobody writes it down."""

_RECORD_EN: Final = (
    r"(?:orders?|accounts?|balance|bookings?|reservations?|tickets?|invoices?|bills?|payments?|subscriptions?|contract"
    r"|pay(?:slip|check)?|salary|bonus|parcels?|packages?|shipments?|deliver(?:y|ies)|refunds?|claims?|appointments?"
    r"|applications?|requests?|cases?|points|results|grades|shifts?|schedule|seat|manager|insurance|leave"
    r"|(?:vacation|holiday|sick) days|transactions?|transfers?|deposit|membership|visa)"
)
_RECORD_DE: Final = (
    r"(?:bestellung(?:en)?|konto|kontostand|guthaben|buchung(?:en)?|reservierung|rechnung(?:en)?|zahlung(?:en)?|abo"
    r"|vertrag|gehalt|paket|sendung|lieferung|erstattung|termine?|antr[aä]ge?|anfrage|punkte|schicht|urlaub(?:stage)?"
    r"|versicherung|überweisung|mitgliedschaft|vorgesetzter?|chef(?:in)?)"
)
_RECORD_ES: Final = (
    r"(?:pedidos?|cuenta|saldo|reservas?|facturas?|pagos?|suscripción|contrato|sueldo|nómina|paquetes?|envíos?"
    r"|reembolso|citas?|solicitud(?:es)?|puntos|turno|vacaciones|seguro|transferencia|jefe|jefa)"
)

_SOME: Final = r"\b.{0,100}\b"
"""A bound: without it a long question of many such words would take a second to look at."""
_MINE_EN: Final = rf"(?:.{{0,100}}\W)?(?:my|our) (?:\w+ )?{_RECORD_EN}(?:'s)?"

_LIVE: Final = (
    r"(?:right|just) now|at (?:the|this) (?:moment|time)(?! of\b)|currently|as of now|at present|as we speak",
    r"now(?=[?!. ]*$)",
    rf"current (?:\w+ ){{0,2}}?{_STATE_EN}",
    r"what(?:'s| is| will) the weather|weather (?:forecast|like|report)|will it (?:rain|snow)|is it raining",
    r"what (?:time|day|date) is it|what(?:'s| is) the (?:time|date)(?=[?!. ]*$| (?:in|now))",
    r"(?:share|stock|bitcoin|gold|oil) price|exchange rate",
    r"wie (?:ist|wird) das wetter|regnet es|wie spät|wie viel uhr|welcher tag ist",
    r"aktuell(?:e[nrsm]?)?|momentan(?:e[nrsm]?)?|derzeit(?:ige[nrsm]?)?|zurzeit|im (?:moment|augenblick)",
    rf"(?:hat|haben|ist|sind|gibt|läuft|laufen){_SOME}(?:gerade|jetzt)",
    r"qué tiempo (?:hace|hará)|qué hora es|va a llover|está lloviendo|qué día es",
    r"ahora(?: mismo)?(?=[?!. ]*$)|actualmente|en (?:este|estos) momentos?|(?<=\w )actual(?=[?!. ]*$)",
)
_RELATIVE: Final = (
    r"today(?!'s (?:world|society|generation))|tonight|yesterday(?! method)|(?<!after )tomorrow",
    rf"(?:this|(?:this )?(?:coming|past)) {_PERIOD_EN}|(?:last|next) (?:{_PERIOD_EN}|night)",
    r"(?:last|past|next|coming) (?:\w+ )?(?:second|minute|hour|day|week|month|year)s(?! of\b)",
    rf"(?:\d+|an?|one|two|three|four|five|six|ten|(?:a )?few|several|some) {_UNIT_EN} ago|{_UNIT_EN} from now",
    rf"how (?:long|many {_UNIT_EN}|much time){_SOME}(?:until|till|(?:are|is|do (?:i|we) have) left|to go)",
    r"(?:heute|gestern|vorgestern|übermorgen)(?!-)|(?<!am )(?<!guten )(?<!jeden )morgen(?! (?:des|eines))",
    rf"(?:diese[nrsm]?|(?:letzte|nächste|kommende|vorige|vergangene)[nrsm]?) {_PERIOD_DE}",
    r"vor (?:\d+|eine[rmn]|zwei|drei|vier|fünf|wenigen|ein paar) (?:sekunde|minute|stunde|tag|woche|monat|jahr)e?n?",
    rf"wie lange (?:ist es |dauert es )?noch|wie viele tage{_SOME}bis",
    r"hoy|ayer|anteayer|pasado mañana|(?<!la )(?<!cada )(?<!de )mañana",
    rf"est[ea] {_PERIOD_ES}|{_PERIOD_ES} (?:pasad|próxim|que viene)[oa]?|(?:próxim|últim)[oa]s? (?:\w+ )?{_UNIT_ES}",
    rf"hace (?:\d+|un[oa]?|dos|tres|cuatro|cinco|unos|pocos) {_UNIT_ES}|cuánto (?:tiempo )?falta",
)
_PERSONAL: Final = (
    rf"(?<!how )(?:where|when|what|who|which|why)(?:'s)? (?!should\b|can i\b|could i\b|do i\b){_MINE_EN}",
    rf"^(?:has|have|is|are|was|were|did|does|will|show|check|tell)\b{_MINE_EN}",
    rf"(?:status|balance|state) of (?:my|our) (?:\w+ )?{_RECORD_EN}",
    r"^(?:what|where|when|who)(?:'s| is| are| was) my|^(?:is|are|was|were|has|have|did|will) my",
    r"^(?:am|was) i\b(?! (?:allowed|permitted|supposed|the only))|^(?:have|had|did|will) i\b",
    r"^do i (?:still )?(?:have(?! to\b)|owe|qualify|get)",
    rf"how (?:much|many|long){_SOME}(?:do i (?:still )?(?:have(?! to\b)|owe|get|earn)|did i|am i)",
    rf"how (?:much|many|long){_SOME}will i (?:get|earn|pay|receive)|my name is|(?:which|what) \w+ is mine",
    rf"(?:wo|wann|wie|was|wer|welche[rsn]?|warum|ist|sind|wurden?|hat|haben|kommt|status)"
    rf"(?! (?:kann|muss|soll|setze|ändere)){_SOME}(?:mein|unser)(?:e[rnsm]?)? (?:\w+ )?{_RECORD_DE}",
    rf"^(?:bin|war|habe|hatte|bekomme|wurde) ich\b|wie (?:viele?|hoch|lange){_SOME}(?:habe|bekomme|bin|schulde) ich",
    r"ich heiße|mein name ist|wann (?:habe|bekomme|bin) ich",
    rf"(?:dónde|cuándo|cuál|qué|quién|por qué|está|han?)(?! (?:debo|puedo|cambio)){_SOME}(?:mis?|nuestr[oa]s?)"
    rf" {_RECORD_ES}",
    r"^(?:tengo|estoy|debo dinero|he recibido|soy)\b|me llamo|mi nombre es",
    rf"cuánt[oa]s?{_SOME}(?:me (?:queda|deben|toca)n?|tengo|debo|gano)",
)


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    # One look back for all of them: within a word it fails at once, and most places are within words.
    return re.compile(rf"(?<!\w)(?:{'|'.join(rf'(?:{pattern})' for pattern in patterns)})(?!\w)")


_CLASSES: Final = (
    (Uncacheable.RELATIVE, _any_of(_RELATIVE)),
    (Uncacheable.LIVE, _any_of(_LIVE)),
    (Uncacheable.PERSONAL, _any_of(_PERSONAL)),
)


def class_of(question: str) -> Uncacheable | None:
    """Why *question* is never answered from memory; None where nothing speaks against it.

    Looks at the first `LOOKED_AT` characters of its normal form: all questions of one place are of one class.
    """
    text = normal_form(question).lower()[:LOOKED_AT]
    return next((kind for kind, pattern in _CLASSES if pattern.search(text)), None)
