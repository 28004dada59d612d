"""Who speaks: chat models, their reply store and recordings, and the parsing of what they say.

Public door of the room. A `ChatModel` is anything with `identity` and `async complete(messages, position)`;
`open_model` makes the one that the user's settings ask for. Nothing here knows an environment or a graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.agents.messages import ChatModel as ChatModel
    from qredit.agents.messages import Message as Message
    from qredit.agents.messages import Position as Position
    from qredit.agents.messages import Reply as Reply
    from qredit.agents.opening import open_model as open_model
    from qredit.agents.recording import export_recording as export_recording
    from qredit.agents.scripted import ScriptedModel as ScriptedModel
    from qredit.agents.settings import ModelSettings as ModelSettings

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ChatModel": ".messages",
        "Message": ".messages",
        "ModelSettings": ".settings",
        "Position": ".messages",
        "Reply": ".messages",
        "ScriptedModel": ".scripted",
        "export_recording": ".recording",
        "open_model": ".opening",
    },
)
