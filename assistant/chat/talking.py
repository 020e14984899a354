"""A conversation with the engine and the model that it is held with, for one open library."""

from __future__ import annotations

from dataclasses import replace

from assistant.answer.build import build_engine
from assistant.chat.conversation import Conversation
from assistant.chat.records import ChatOptions, Session
from assistant.chat.serving import ServedModel
from assistant.chat.sessions import Sessions
from assistant.runtime import Runtime


class Talk:
    """What the commands of a chat change: the conversation, its options, model and adapter."""

    def __init__(self, runtime: Runtime, options: ChatOptions, session: Session | None = None) -> None:
        self.library = runtime.library
        self.sessions = Sessions(runtime.library)
        self.model = ServedModel(runtime)
        self.engine = build_engine(runtime, self.model)
        self.conversation = Conversation(
            self.engine,
            self.sessions,
            session,
            replace(options, model=options.model or self.model.name),
            model=self.model,
        )

    @property
    def options(self) -> ChatOptions:
        """How the next question is answered."""
        return self.conversation.options

    def change(self, options: ChatOptions) -> None:
        """Answer like this from now on. Raises Missing, Conflict where a model or adapter cannot be had."""
        if (options.model, options.adapter) != (self.options.model, self.options.adapter):
            before = self.options
            self.model.choose(options.model, options.adapter)
            try:
                _ = self.model.chat
            except BaseException:
                self.model.choose(before.model, before.adapter)
                raise
        self.conversation.options = options

    def open(self, session: Session | None) -> None:
        """Go on with another conversation, or begin a new one."""
        self.conversation = Conversation(self.engine, self.sessions, session, self.options, model=self.model)
