"""Word forms (lemminflect) and the closed lists of English words that the question rules know."""

from __future__ import annotations

import re
from functools import lru_cache

MONTHS = frozenset(
    """
    january february march april may june july august september october november december jan feb mar
    apr jun jul aug sep sept oct nov dec
    """.split()
)
NUMBER_WORDS = frozenset(
    """
    two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand
    million billion trillion dozen
    """.split()
)
SCALES = frozenset(
    """
    hundred thousand million billion trillion dozen percent
    """.split()
)
# Words that only join a sentence to the one before; a question is better without them.
JOINERS = frozenset(
    """
    however also therefore thus moreover furthermore hence consequently indeed finally meanwhile
    additionally similarly likewise nevertheless nonetheless instead too accordingly then besides though
    again still typically essentially unfortunately fortunately clearly surprisingly interestingly
    notably ultimately eventually subsequently importantly alternatively conversely generally overall
    historically first second firstly secondly thirdly lastly otherwise simply obviously
    """.split()
)
JOINING_PHRASES = re.compile(
    r"(?i)(?:for (?:example|instance)|in (?:addition|contrast|fact|particular|general|turn|short)|"
    r"as a (?:result|consequence)|on the other hand|of course|that is|by contrast|in other words|"
    r"in this (?:way|case|regard)|"
    r"most importantly|strictly speaking|at the same time|after all|to this end|more (?:generally|recently))"
)
# What points out of the sentence, so that a question with it cannot be understood alone.
POINTING = frozenset(
    """
    this these those such he she it they him them we us our ours i me my mine you your yours his hers
    theirs here above below former latter aforementioned respectively others another another's same ones
    therein thereby thereof thereafter whereby herein hereby so else
    """.split()
)
OWN_POSSESSIVES = frozenset(
    """
    its their his her itself themselves himself herself
    """.split()
)
# Adjectives that compare with something said before.
COMPARING = frozenset(
    """
    other analogous different similar further additional following preceding resulting remaining
    """.split()
)
WEAK_MODIFIERS = COMPARING | frozenset(
    """
    new old first second third fourth last next final main major whole entire original current present
    previous subsequent early later late two three four five six seven several few many various initial
    overall actual given particular specific certain only very opening closing general important large
    small big great good best better single newly respective above analogous corresponding related
    latter former
    """.split()
)
# "the X" that needs no introduction.
UNIQUE = frozenset(
    """
    populace throne sun moon earth world universe sky sea ocean internet web public press past future
    environment economy brain heart body human north south east west northeast northwest southeast
    southwest left right majority minority rest poor rich wealthy middle ground air atmosphere weather
    bible pope media military police truth same use night day morning evening winter summer spring
    autumn equator cold people wild skin lungs liver kidney blood nose mouth eyes lung gut intestine
    stomach bloodstream
    """.split()
)
HUMAN_NOUNS = frozenset(
    """
    ruler king queen emperor empress prince princess duke president minister senator governor mayor judge pope
    bishop archbishop priest saint monk professor teacher student scientist physicist chemist
    mathematician philosopher engineer economist historian writer author poet novelist painter artist
    sculptor architect composer musician singer actor actress director producer journalist editor lawyer
    doctor physician surgeon nurse officer soldier general admiral captain commander colonel lieutenant
    sergeant leader founder inventor chairman chairwoman chancellor secretary ambassador diplomat
    politician businessman entrepreneur industrialist banker merchant explorer pioneer astronaut pilot
    player footballer coach champion athlete man woman boy girl person people child children son
    daughter brother sister father mother wife husband widow grandson grandfather nephew uncle cousin
    heir successor predecessor descendant member citizen researcher theorist taxpayer voter worker
    farmer customer user owner biologist psychologist astronomer geologist botanist programmer developer
    scholar activist critic analyst expert official advocate khan sultan sheikh sir lord lady dame dr mr
    mrs ms prof rev
    """.split()
)
GROUP_NOUNS = frozenset(
    """
    university college school institute academy parliament congress senate assembly government ministry
    department agency bureau commission committee council court company corporation firm bank union
    association society organization organisation federation league club team party army navy force
    church foundation museum library hospital trust group board dynasty empire kingdom republic
    administration authority service laboratory office legislature house
    """.split()
)
PLACE_NOUNS = frozenset(
    """
    city town village province state county country region district island river lake mountain valley
    bay street square avenue road park building hall palace castle coast peninsula desert continent
    capital airport harbour harbor port station campus
    """.split()
)
THING_NOUNS = frozenset(
    """
    act law treaty agreement war battle crisis report theory theorem algorithm problem model system
    method network protocol language project program programme service river lake mountain island bridge
    building award prize festival newspaper magazine journal book novel film album song game series
    company university college school committee council commission association agency organization
    organisation department museum library union party court city country province dynasty machine
    function command trait type crate keyword tool virus protein gene enzyme disease cell cells hormone
    molecule receptor reform movement religion empire campaign policy plan event bank corporation
    foundation institute academy team club league stadium airport
    """.split()
)
# Verbs whose subject is a person or a body of people.
HUMAN_VERBS = frozenset(
    """
    ban ration join write say argue propose describe discover invent develop found publish suggest claim
    believe note observe introduce state explain conclude announce declare order ask request name
    appoint elect lead command conquer invade attack defeat rule reign die marry serve teach study
    graduate win receive award sign invite establish create design build demonstrate prove show define
    formulate coin realize recognize criticize support oppose reject accept adopt refuse decide agree
    negotiate proclaim launch commission convince persuade urge demand seize capture kill execute purge
    restore reform abolish vote nominate resign retire succeed record compose perform sing paint direct
    produce star play coach score own buy sell acquire invest donate fund sponsor move travel flee
    return visit arrive instigate defect instruct secure curb send hire testify allocate report estimate
    begin start raise impose initiate pass
    """.split()
)
HUMAN_PARTICIPLES = frozenset(
    f"be {verb}"
    for verb in """
    credit bear elect appoint kill marry educate arrest execute assassinate imprison exile raise crown
    nominate promote convict sentence ordain depose
    """.split()
)
THING_PARTICIPLES = frozenset(
    f"be {verb}"
    for verb in """
    locate situate build develop release publish use open construct design operate make base produce
    write divide hold launch manufacture supplant
    """.split()
)
# Verbs that say little of what their subject is, or that it is no person.
THING_VERBS = frozenset(
    """
    contain consist include lie comprise cover measure occur flow border extend use provide allow enable
    offer support connect feature have run operate open close cause result take become remain come go be
    """.split()
)
TAKES_INFINITIVE = frozenset(
    """
    tendency ability right power attempt attempts effort efforts need plan plans desire way ways failure
    decision capacity opportunity chance permission refusal willingness able unable likely required
    order
    """.split()
)
# Nouns that say nothing without what belongs to them.
GENERIC = frozenset(
    """
    symptom error plan advance proceeding attempt effort problem change result study suggestion proposal
    vote example access discussion decision action issue matter thing fact case part aspect reason
    effect form type kind way point idea method approach concept feature factor purpose goal aim role
    work time number amount one other process system group area field place person people member step
    difference measure figure event
    """.split()
)
SURELY_THINGS = frozenset(
    """
    enable allow contain consist include comprise feature occur border result flow lie
    """.split()
)
ABOUT = frozenset(
    """
    about approximately around nearly almost over roughly exactly only some
    """.split()
)
PLACE_VERBS = frozenset(
    """
    locate situate base headquarter bear hold station bury house settle display find live reside sit
    meet lie take convene die open
    """.split()
)
COUNTRIES = frozenset(
    """
    australia england scotland wales ireland britain france germany italy spain portugal netherlands
    belgium switzerland austria poland russia ukraine sweden norway denmark finland iceland greece
    turkey egypt israel iran iraq syria jordan lebanon kuwait qatar bahrain yemen oman china japan korea
    mongolia vietnam thailand cambodia laos myanmar burma malaysia singapore indonesia philippines
    taiwan india pakistan bangladesh nepal tibet afghanistan kazakhstan uzbekistan canada mexico cuba
    brazil argentina chile peru colombia venezuela ecuador bolivia uruguay paraguay panama jamaica haiti
    kenya uganda tanzania ethiopia somalia sudan nigeria ghana senegal morocco algeria tunisia libya
    angola zambia zimbabwe mozambique madagascar rwanda congo cameroon
    """.split()
)
OTHER_PLACES = frozenset(
    """
    africa asia europe america antarctica london paris berlin rome madrid lisbon vienna prague warsaw
    moscow beijing shanghai tokyo kyoto osaka seoul delhi mumbai baghdad tehran cairo jerusalem athens
    istanbul edinburgh glasgow aberdeen dublin cardiff manchester liverpool oxford cambridge boston
    chicago philadelphia detroit seattle houston dallas denver atlanta miami washington toronto montreal
    sydney melbourne geneva zurich brussels amsterdam stockholm oslo copenhagen helsinki budapest
    california texas florida massachusetts michigan ohio illinois pennsylvania virginia georgia arizona
    colorado hawaii alaska oregon nevada utah minnesota wisconsin louisiana kansas missouri indiana
    tennessee kentucky alabama maryland connecticut york jersey zealand
    """.split()
)
PLACES = COUNTRIES | OTHER_PLACES

# Verbs that go with one preposition, so that a question may end with it.
FIXED = frozenset(
    """
    consist:of depend:on rely:on refer:to belong:to lead:to result:in base:on compose:of make:of
    derive:from replace:by follow:by divide:into know:for responsible:for use:for correspond:to focus:on
    specialize:in originate:from stem:from convert:into convert:to contribute:to relate:to
    associate:with equip:with charge:with connect:to bind:to attach:to respond:to apply:to lie:in
    date:to suffer:from benefit:from protect:from protect:against differ:from deal:with entitle:to
    credit:with arise:from name:after come:from act:as serve:as function:as work:as emerge:from
    evolve:into develop:into grow:into split:into turn:into transform:into merge:into merge:with
    react:with interact:with compete:with cooperate:with collaborate:with participate:in engage:in
    believe:in succeed:in affiliate:with compare:to link:to dedicate:to devote:to limit:to restrict:to
    expose:to allocate:to assign:to attribute:to ascribe:to appoint:to adapt:to amount:to descend:from
    separate:from exclude:from obtain:from exempt:from distinguish:from stand:for account:for
    reserve:for design:for intend:for argue:for concentrate:on impose:on act:on operate:on rely:upon
    depend:upon base:upon feed:on translate:into incorporate:into organize:into locate:behind involve:in
    interest:in employ:in store:in write:in express:in measure:in contain:in conform:to
    """.split()
)


@lru_cache(maxsize=20_000)
def lemma(word: str, kind: str) -> str:
    """The base form of `word` as a VERB, NOUN or ADJ; the word itself where the dictionary has none."""
    import lemminflect

    found = lemminflect.getAllLemmas(word.casefold(), upos=kind).get(kind, ())
    return str(found[0]) if found else word.casefold()


@lru_cache(maxsize=20_000)
def base(verb: str, tag: str) -> str:
    """The base form of a verb that stands in the form `tag`: "found" as VBD is "find"."""
    import lemminflect

    low = verb.casefold()
    found = lemminflect.getAllLemmas(low, upos="VERB").get("VERB", ())
    fitting = [str(word) for word in found if low in lemminflect.getInflection(word, tag)]
    if not found:
        found = lemminflect.getAllLemmasOOV(low, upos="VERB").get("VERB", ())
    return (fitting or [str(word) for word in found] or [low])[0]


@lru_cache(maxsize=20_000)
def is_word(word: str, kind: str | None = None) -> bool:
    """Whether the dictionary knows `word` in lower case (as a NOUN, VERB, ADJ or ADV)."""
    import lemminflect

    found = lemminflect.getAllLemmas(word)
    return kind in found if kind else any(name != "PROPN" for name in found)


@lru_cache(maxsize=20_000)
def inflect(base: str, tag: str) -> str | None:
    """The form of the verb `base` that `tag` names (VBD, VBZ, VBN, VBG)."""
    import lemminflect

    found = lemminflect.getInflection(base, tag)
    return str(found[0]) if found else None
