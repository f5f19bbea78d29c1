"""What the two travellers change while they are offline, fixed so that every run tells the same story."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from couchette.database import Database

PLACES_MIN: Final = 10
"""So many places are needed for everyone to have something to edit."""

EDITS_MAX: Final = 250
"""Places that each traveller edits alone: enough for a rate, little beside all places."""

PACKING: Final = "note:旅行の持ち物"
TICKET: Final = ("ticket.txt", b"Platform 4, 07:12, seat by the window.\n")


@dataclass(frozen=True)
class Plan:
    """Which places are edited by whom; the documents come with the largest place first.

    Attributes:
        contested: edited by both, each in another way: this will be the conflict.
        agreed: edited by both in the same way.
        deleted: deleted on the phone.
        ticketed: gets an attachment on the phone.
        phone, laptop: the ids that each edits alone.
    """

    contested: str
    agreed: str
    deleted: str
    ticketed: str
    phone: list[str]
    laptop: list[str]

    @classmethod
    def of(cls, ids: list[str]) -> Plan:
        """The four largest places are special; then come the phone's and the laptop's."""
        contested, agreed, deleted, ticketed, *others = ids
        each = min(EDITS_MAX, len(others) // 2)
        return cls(contested, agreed, deleted, ticketed, others[:each], others[each : 2 * each])


def edit_on_phone(phone: Database, plan: Plan) -> int:
    """Return how many edits were made."""
    for doc_id in [*plan.phone, plan.agreed]:
        _update(phone, doc_id, {"visited": True})
    del phone[plan.deleted]
    name, content = TICKET
    phone.put_attachment(plan.ticketed, name, content, "text/plain", rev=phone[plan.ticketed]["_rev"])
    _update(phone, plan.contested, {"rating": 4})
    _update(phone, plan.contested, {"rating": 5, "note": "Walk along the river at night."})
    return len(plan.phone) + 5


def edit_on_laptop(laptop: Database, plan: Plan) -> int:
    """Return how many edits were made."""
    for doc_id in plan.laptop:
        _update(laptop, doc_id, {"plan": "next summer"})
    _update(laptop, plan.agreed, {"visited": True})
    laptop[PACKING] = {"kind": "note", "text": "雨具, Ladegerät, зонт, مفتاح"}
    _update(laptop, plan.contested, {"plan": "next summer", "note": "Take the train from the airport."})
    return len(plan.laptop) + 3


def _update(database: Database, doc_id: str, fields: dict[str, Any]) -> None:
    database[doc_id] = {**database[doc_id], **fields}
