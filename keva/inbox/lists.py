"""What a list of tickets shows, as its address has it: filters, a search, where the page begins."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from keva.conversations import NEWEST, STATUSES, Filter
from keva.inbox.fields import number
from keva.people import User

ASSIGNEES = ("me", "nobody")


@dataclass(frozen=True)
class View:
    """Each value as the address has it, empty for none; `before` is the seq of a message."""

    status: str = ""
    waiting: bool = False
    assignee: str = ""
    workspace: str = ""
    search: str = ""
    before: int = NEWEST

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "View":
        """What is no filter or no value of one is as if it were not there."""
        status, assignee, before = (query.get(name, "") for name in ("status", "assignee", "before"))
        return cls(
            status=status if status in STATUSES else "",
            waiting=query.get("waiting") == "yes",
            assignee=assignee if assignee in ASSIGNEES else "",
            workspace=query.get("workspace", ""),
            search=query.get("q", "").strip(),
            before=number(before, NEWEST),
        )

    def filter(self, user: User) -> Filter:
        return Filter(
            status=self.status or None,
            waiting=self.waiting,
            assigned_to=user.id if self.assignee == "me" else None,
            unassigned=self.assignee == "nobody",
        )

    def with_(self, **changes: object) -> str:
        """The address of the same view but for those values, from its first page on."""
        changed = replace(self, **{"before": NEWEST, **changes})  # type: ignore[arg-type]
        parts = {
            "status": changed.status,
            "waiting": "yes" if changed.waiting else "",
            "assignee": changed.assignee,
            "workspace": changed.workspace,
            "q": changed.search,
            "before": "" if changed.before == NEWEST else changed.before,
        }
        given = {name: value for name, value in parts.items() if value}
        return "/inbox" + (f"?{urlencode(given)}" if given else "")

    @property
    def address(self) -> str:
        return self.with_(before=self.before)

    @property
    def is_whole(self) -> bool:
        """True where nothing is filtered or searched."""
        return self == View(before=self.before)
