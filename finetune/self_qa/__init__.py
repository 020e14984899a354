"""Self-QA (arXiv 2305.11952): a teacher asks about a passage, then answers from it, with a verbatim quote."""

from finetune.self_qa.multi_hop import MultiHopQA
from finetune.self_qa.prompts import PROMPT_VERSION
from finetune.self_qa.writer import SelfQA

__all__ = ["PROMPT_VERSION", "MultiHopQA", "SelfQA"]
