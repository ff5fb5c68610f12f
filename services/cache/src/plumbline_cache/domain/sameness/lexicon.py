"""Our own lists of English words: which may be left out, which mean the same, and which turn a question round."""

from typing import Final


def words(text: str) -> frozenset[str]:
    """Those in *text*."""
    return frozenset(text.split())


def _table(groups: str) -> dict[str, str]:
    """Each word with the first of its line."""
    lines = [line.split() for line in groups.strip().splitlines()]
    return {word: line[0] for line in lines for word in line[1:]}


LIGHT: Final = words(
    """
    a an the is are am be been being was were do does did done doing has have had having can could
    will would shall should may might must to of for in on at about with and or as by from than into
    per i me my mine we us our you your one ones it its this these there that those here he she they
    them his her their some any really actually exactly very just also please so kindly simply
    basically truly even only what which who whom whose when where why how if whether people someone
    somebody anyone things thing stuff ever most more little much many lot lots such different currently
    current presently now always usually possible available certain proper properly true
    existing please thanks thank s re ve ll d m t
    """
)
"""Words that are no subject of a question. What some of them tell beyond that is checked apart."""

SAME_WORDS: Final = _table(
    """
    best good great top greatest nice finest better
    way ways method methods
    favorite favourite
    color colour
    buy purchase
    quick fast quickly rapidly faster quickest fastest
    big large huge
    start begin starting beginning
    mobile cellphone smartphone
    movie film movies films
    job employment jobs
    reason cause reasons causes
    photo picture photos pictures pic pics image images
    money cash
    increase improve enhance boost raise
    prevent avoid
    happen occur
    happens occurs
    fix repair solve resolve
    remove delete
    prepare preparation preparing prep
    invest investing investment
    difference differences differ distinction
    famous popular
    earn make making earning
    lose reduce losing reducing loose
    speak talk
    major main key
    example examples instance
    advantage benefit advantages benefits pro pros
    disadvantage drawback disadvantages drawbacks con cons
    phone phones
    laptop laptops notebook
    tip tips advice suggestion suggestions
    learn study learning studying
    know tell
    cost price costs prices
    quit stop
    meaning mean means definition
    get obtain getting
    website site sites websites
    online internet
    intelligent smart
    woman women female females lady ladies
    man men male males
    boy boys guy guys
    myself yourself ourselves oneself himself
    series serial
    car cars automobile
    kid child children kids
    doctor physician
    required needed necessary require requires
    effect impact effects impacts
    ielts ielt
    exam examination exams examinations
    company firm companies firms
    """
)
"""Words that ask for the same, in the sense that is commonest in questions."""

SAME_NAMES: Final = _table(
    """
    usa america
    uk britain
    india indian
    bangalore bengaluru
    mumbai bombay
    """
)
"""Names of one thing."""

OPPOSITES: Final = tuple(
    frozenset(pair.split("/"))
    for pair in sorted(
        words(
            """
    increase/decrease increase/reduce more/less most/least best/worst good/bad big/small high/low
    higher/lower highest/lowest male/female man/woman men/women boy/girl boys/girls husband/wife
    guy/girl guys/girls old/new older/younger old/young advantage/disadvantage gain/lose up/down
    on/off open/close left/right before/after first/last min/max minimum/maximum cheap/expensive
    cheaper/dearer fast/slow faster/slower hot/cold early/late import/export buy/sell love/hate
    true/false possible/impossible legal/illegal with/without inside/outside indoor/outdoor
    front/back push/pull enable/disable install/uninstall upload/download input/output
    internal/external positive/negative rich/poor strong/weak hard/easy difficult/easy hard/soft
    start/stop start/end begin/end win/lose public/private north/south east/west long/short
    longer/shorter like/dislike always/never accept/reject allow/forbid add/remove attach/detach
    lock/unlock lend/borrow teach/learn send/receive give/take come/go arrive/depart rise/fall
    up/under over/under above/below day/night morning/evening summer/winter black/white alive/dead
    heavier/lighter heavy/light larger/smaller bigger/smaller taller/shorter warm/cold wet/dry
    full/empty introvert/extrovert masters/bachelors debit/credit all/some all/any every/some every/any
    all/few every/few many/few both/either
    """
        )
    )
)
"""Words of which one answer turns round the other."""

HARMLESS: Final = words(
    """
    best good way easili proper effect success effici normal various main major certain particular
    specif simpl correct exact truli complet total easi everyon favorit mean import person human
    start becom learn use through anybodi all differ tip while
    """
)
"""Stems of words that may be added: whoever asks for the main causes is helped by an answer about the causes."""

NEGATIONS: Final = words(
    """
    not no never without none nobody nothing neither nor cannot hardly unable non
    """
)

DIRECTIONS: Final = words(
    """
    than before after by against over under without until since versus vs between per during
    """
)
"""Words that give those beside them a role; a question that has one asks something else without it."""

WAYS: Final = frozenset(("from", "to", "into", "onto", "towards"))
"""Words of which one is the other way."""

PAST: Final = frozenset(("was", "were", "did", "had"))
MODALS: Final = {"can": "can", "could": "can", "will": "will", "would": "will", "should": "should", "must": "must"}
"""What a question asks about a deed, by the word for it."""
WHOSE: Final = {"my": "my", "our": "my", "your": "your"}
POINTING: Final = frozenset(("this", "these"))
BETWEEN: Final = frozenset(("between", "or", "vs", "versus"))
COURTESY: Final = words("please kindly thanks thank")
"""Words that ask for nothing, and may stand behind the last that does."""
SAME_FORMS: Final[dict[str, str]] = {"whom": "who", "which": "what"}
