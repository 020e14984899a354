"""Rows as a model is trained on them: the ids that serving gives it, labels on the answer alone.

A prompt goes through `corpora.chat_template.encode_chat`, as in serving, so it has the same ids. Behind it
stand the answer and the one token that ends the assistant's turn; these carry the loss. What the template
puts behind that token (a line break) is never written by a model and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from corpora.chat_template import ChatTemplate, encode_chat, encode_data
from corpora.errors import Conflict
from corpora.records import Message
from finetune.base_identity import template_sha256
from finetune.chat_tokens import TokenizerEncoder, end_ids, load_tokenizer, start_id, template_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED: Final = -100  # torch's label of a token without loss
PASSAGE: Final = "passage"  # the kind of a plain text, which ends without an end token


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One row: `labels` are `input_ids` where a token carries loss, else IGNORED; as many of each.

    `id` names the row to people. `kind` is that of the training row, "file" for one of the user's own, or
    PASSAGE.
    """

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    id: str
    kind: str

    @property
    def trained(self) -> int:
        """Tokens that carry loss."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True, slots=True)
class _Opening:
    """What the template writes around an answer to messages of certain roles."""

    lead: str  # a blank that belongs to the answer's first word
    end: int  # the token that ends the turn


class ChatEncoder:
    """Encodes rows for one base model. `ends` are the tokens at which serving stops."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str = "The model",
        template: ChatTemplate | None = None,
        ends: frozenset[int] | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.template = template or template_of(tokenizer, name)
        self.ends = end_ids(tokenizer) if ends is None else ends
        self._encoder = TokenizerEncoder(tokenizer)
        self._openings: dict[tuple[str, ...], _Opening] = {}
        self._pieces: dict[tuple[str, ...], tuple[str, ...]] = {}

    @classmethod
    def of_folder(cls, folder: Path, name: str | None = None) -> ChatEncoder:
        """Of the base model in `folder`, with the end tokens that serving takes from it. Raises Conflict."""
        from transformers import AutoConfig, GenerationConfig

        tokenizer = load_tokenizer(folder)
        try:
            configs: list[object] = [
                AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            ]
            if (folder / "generation_config.json").is_file():
                configs.append(GenerationConfig.from_pretrained(folder, local_files_only=True))
        except (OSError, ValueError, KeyError) as error:
            raise Conflict(f"The model in {folder} cannot be used: {error}", code="model_unusable") from error
        return cls(tokenizer, name=name or str(folder), ends=end_ids(tokenizer, *configs))

    @property
    def template_sha256(self) -> str:
        """Of the template and its special strings; an adapter holds for bases of the same one only."""
        return template_sha256(self.template)

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Exactly the ids that serving gives the model for `messages`."""
        return encode_chat(messages, self._served(_roles(messages)), self._encoder)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Length of `prompt_ids`; with an answer as the last message, at least that of its row.

        An answer alone counts what it adds to a prompt. Fits `corpora.prompt.MessageCounter`.
        """
        *before, last = messages
        if last.role != "assistant":
            return len(self.prompt_ids(messages))
        answer = len(encode_data(last.content.strip(), self._encoder)) + 2  # a blank, and the end token
        return answer + (len(self.prompt_ids(before)) if before else 0)

    def encode(
        self, messages: Sequence[Message], completion: Message, *, id: str = "", kind: str = "file"
    ) -> EncodedRow:
        """The row of `messages` and the answer to them.

        Raises Conflict for a template under which a prompt is no prefix of the prompt with its answer, or
        which ends an answer without a token that serving stops at.
        """
        trained = self.answer_ids(messages, completion.content)
        prompt = self.prompt_ids(messages)
        return EncodedRow((*prompt, *trained), (*(IGNORED,) * len(prompt), *trained), id, kind)

    def answer_ids(self, messages: Sequence[Message], answer: str) -> list[int]:
        """What is trained behind `messages`: the ids of `answer` and the token that ends it. See `encode`."""
        opening = self._opening(_roles(messages))
        return [*encode_data(opening.lead + answer.strip(), self._encoder), opening.end]

    def encode_passage(self, text: str, *, id: str = "", max_length: int) -> list[EncodedRow]:
        """`text` for continued pre-training: loss on all of its tokens, behind the token that opens texts.

        More than `max_length` tokens are several rows of about the same length. None for an empty text.
        """
        ids = encode_data(text.strip(), self._encoder)
        start, room = start_id(self.tokenizer), max_length - 1
        parts = -(-len(ids) // room)
        cuts = [len(ids) * part // parts for part in range(parts + 1)] if parts else []
        return [
            EncodedRow(
                (start, *ids[begin:end]),
                (IGNORED, *ids[begin:end]),
                f"{id}:{number}" if parts > 1 else id,
                PASSAGE,
            )
            for number, (begin, end) in enumerate(pairwise(cuts), start=1)
        ]

    def marked(self, row: EncodedRow) -> Iterator[tuple[str, bool]]:
        """The text of a row in runs, each with whether it is trained on; special tokens are shown."""
        pairs = zip(row.input_ids, row.labels, strict=True)
        for trained, run in groupby(pairs, key=lambda pair: pair[1] != IGNORED):
            yield self.text([token for token, _ in run]), trained

    def text(self, ids: Sequence[int]) -> str:
        """What `ids` say, special tokens with it."""
        return str(
            self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )

    def _served(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        """The template around `roles`; rendered once for each order of them."""
        if roles not in self._pieces:
            self._pieces[roles] = tuple(self.template.pieces(roles))
        return self._pieces[roles]

    def _opening(self, roles: tuple[str, ...]) -> _Opening:
        if roles not in self._openings:
            self._openings[roles] = self._read_opening(roles)
        return self._openings[roles]

    def _read_opening(self, roles: tuple[str, ...]) -> _Opening:
        served = self._served(roles)
        *before, opened, ending = self._served((*roles, "assistant"))
        lead = opened.removeprefix(served[-1])
        if tuple(before) != served[:-1] or not opened.startswith(served[-1]) or lead.strip():
            raise Conflict(
                "The model's chat template writes a prompt differently when its answer follows, so that "
                "what is trained would not be what is asked.",
                hint="tune another base model",
                code="prompt_no_prefix",
            )
        if lead == " " and self._adds_blank():
            lead = ""
        return _Opening(lead, self._end(ending))

    def _adds_blank(self) -> bool:
        """Whether the tokenizer itself puts a blank before a text, as SentencePiece does.

        The blank that Mistral's and Llama 2's templates write before an answer is that one, not a second.
        """
        first = self._encoder.encode("a", special=False)[:1]
        return str(self.tokenizer.convert_ids_to_tokens(first)[0]).startswith("▁")

    def _end(self, ending: str) -> int:
        """The token that ends the turn: the first behind an answer, white space apart."""
        for token in self._encoder.encode(ending, special=True):
            if token in self.ends:
                return token
            if self.text([token]).strip():
                break
        raise Conflict(
            "The model's chat template ends an answer with no token at which the model stops.",
            hint="tune another base model",
            code="no_end_token",
        )


def _roles(messages: Sequence[Message]) -> tuple[str, ...]:
    return tuple(message.role for message in messages)
