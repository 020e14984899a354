"""Is a name in a question a whole noun phrase, or an attribute of the next word ("the Yuan emperors")?"""

from __future__ import annotations

from finetune.answer_first.tagger import tag
from finetune.answer_first.tokens import tokens

_GOES_ON = ("NN", "NNS", "NNP", "NNPS", "JJ", "JJS", "CD", "POS", "HYPH", "FW")


def is_whole(question: str, end: int) -> bool:
    """Whether no noun, adjective or number that belongs to it follows the name which ends at `end`."""
    following = next((token for token in tag(tokens(question)) if token.start >= end), None)
    return following is None or not (following.tag in _GOES_ON or following.text[0] in "-–'’")
