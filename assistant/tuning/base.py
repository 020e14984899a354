"""The base model of a run: its folder, its tokenizer, who it is, and the adapter to begin from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.tuning.card import Lineage
from assistant.tuning.choices import Choice, Device, Wish, chosen_model, tune_settings
from corpora.errors import Conflict, UsageError
from finetune.adapters.resolve import Resolved, checked, shipped_for
from finetune.adapters.store import find

if TYPE_CHECKING:
    from assistant.runtime import Runtime
    from assistant.settings import Settings
    from finetune.base_identity import BaseIdentity
    from finetune.tuning.encode import ChatEncoder
    from finetune.tuning.settings import TuneSettings

_LONGEST = 2048  # tokens of a row: what four passages with their question have, twice


@dataclass(frozen=True, slots=True)
class BaseModel:
    """What can be known of a base without loading its weights."""

    choice: Choice
    folder: Path
    identity: BaseIdentity
    chat: ChatEncoder
    parameters: int
    context: int

    @property
    def embedded(self) -> bool:
        """Whether it is one of the catalogue's, which are roundings of what was published."""
        from index.weights import CATALOGUE

        return self.choice.value in CATALOGUE

    def longest_row(self, wish: Wish) -> int:
        """Tokens that a row may have at most."""
        return min(wish.max_length or _LONGEST, self.context)


def check_names(wish: Wish, runtime: Runtime) -> None:
    """Look for the model and the adapter that the user has named, before anything slow is imported.

    Raises Missing (exit 8), UsageError for a remote model.
    """
    settings = runtime.settings
    if settings.origins["model"] != "default":
        folder_of(settings, Choice(settings.model, settings.origins["model"]))
    if wish.start not in (None, "base"):
        find(wish.start, runtime.library)


def folder_of(settings: Settings, choice: Choice) -> Path:
    """The folder of the model called so. Raises Missing (exit 8), UsageError for a remote one."""
    from index.weights import CATALOGUE, model_folder

    name = choice.value
    provider, separator, _ = name.partition(":")
    if settings.base_url is not None or (separator and not Path(name).exists()):
        raise UsageError(
            f"{provider if separator else name} is a model elsewhere; only one on this machine can be tuned.",
            hint="--model NAME of the hub, or a folder",
        )
    # Nothing as large as a hub model is fetched that nobody has asked for.
    unasked = choice.origin.startswith("default") and name not in CATALOGUE
    return model_folder(name, offline=settings.offline or unasked)


def open_base(settings: Settings, choice: Choice) -> BaseModel:
    """The base model called so. Raises as `folder_of`, and Conflict for a folder that holds none."""
    from transformers import AutoConfig

    from assistant.chat_models.loading import parameter_count
    from finetune.base_identity import identity_of
    from finetune.tuning.encode import ChatEncoder

    name, folder = choice.value, folder_of(settings, choice)
    if (folder / "adapter_config.json").is_file():
        raise Conflict(f"{name} is an adapter, not a model.", hint=f"--from {name}", code="not_a_model")
    chat = ChatEncoder.of_folder(folder, name)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    context = int(getattr(config.get_text_config(), "max_position_embeddings", _LONGEST))
    return BaseModel(choice, folder, identity_of(name, folder), chat, parameter_count(folder), context)


def chosen_base(settings: Settings, device: Device) -> BaseModel:
    """The base that the user or the device decides on."""
    return open_base(settings, chosen_model(settings, device))


def chosen_start(
    wish: Wish, runtime: Runtime, base: BaseModel, settings: TuneSettings, say: Callable[[str], None]
) -> Lineage | None:
    """The adapter to begin from: the one of `--from`, else the shipped one of this base, else none.

    Raises Missing, Conflict for one that is named and does not fit, UsageError where the method cannot begin
    from one.
    """
    if wish.start == "base":
        return None
    able = settings.method in ("lora", "qlora", "int8") and not settings.dropout
    if wish.start is None:
        adapters = shipped_for(base.identity.name) if able else []
        if not adapters:
            return None
        try:
            return _lineage(checked(adapters[0], base.identity, base.folder, "shipped"))
        except Conflict as error:
            say(f"note: {error.message} Beginning from the plain base.")
            return None
    if not able:
        raise UsageError(f"{settings.method} tuning does not start from an adapter.", hint="--from base")
    return _lineage(checked(find(wish.start, runtime.library), base.identity, base.folder, "named"))


def _lineage(found: Resolved) -> Lineage:
    card = found.card
    return Lineage(found.name, found.folder, card.weights_sha256, card.serving, card.licences)


def settings_from(wish: Wish, device: Device, base: BaseModel) -> TuneSettings:
    """The settings of training before start and budget bear on them."""
    return tune_settings(wish, device, base.parameters)


def fitted_to(start: Lineage, settings: TuneSettings, wish: Wish) -> TuneSettings:
    """The settings with rank and alpha of the adapter that the run begins from. Raises UsageError."""
    from finetune.adapters.config import read_config

    config = read_config(start.folder)
    if not config.is_lora or config.dora:
        raise UsageError(f"{start.name} is no LoRA adapter to begin from.", hint="--from base")
    wanted = wish.settings.get("rank")
    if wanted not in (None, config.rank):
        raise UsageError(
            f"The run begins from the adapter {start.name}, whose rank is {config.rank}.",
            hint="--from base takes any --rank",
        )
    return settings.with_(
        f"of the adapter {start.name}, which the run begins from", rank=config.rank, alpha=int(config.alpha)
    )


def say_choices(
    wish: Wish,
    base: BaseModel,
    settings: TuneSettings,
    start: Lineage | None,
    say: Callable[[str], None],
) -> None:
    """Every choice that matters with where it comes from, a line each."""
    rows = [("model", base.choice.value, base.choice.origin)]
    origin = "flag" if wish.start else "default (the shipped adapter)" if start else "default"
    rows.append(("from", start.name if start else "base", origin))
    for name in ("method", "rank", "learning_rate", "schedule", "epochs", "batch", "seed"):
        rows.append((name.replace("_", " "), f"{getattr(settings, name)}", settings.origin(name)))
    for name, value, origin in rows:
        say(f"  {name:14} {value:24} {origin}")


def passages_of(runtime: Runtime, base: BaseModel) -> int:
    """How many passages an adapter on this base is given with a question, by the settings."""
    from assistant.answer.build import ChosenModel
    from assistant.runtime import Runtime as With

    settings = runtime.settings
    named = replace(settings, model=base.choice.value, adapter="tuned")
    return ChosenModel(With(runtime.library, named)).passages
