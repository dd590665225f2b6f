"""Who is who on a page: users by their ids, and what else may have done something."""

from keva import identity, people
from keva.storage.transaction import Reader


class Names:
    """The names of users and API keys, as they are at one moment."""

    def __init__(self, reader: Reader) -> None:
        self._users = {user["id"]: user["name"] for user in people.list_all(reader)}
        self._keys = {key["id"]: key["name"] for key in identity.list_keys(reader)}

    def user(self, user_id: str) -> str:
        """What `assignedTo` holds may be any text; where it is no user's id, it is its own name."""
        return str(self._users.get(user_id, user_id))

    def actor(self, done_by: str) -> str:
        """Who an event says did it."""
        if done_by in self._keys:
            return f"{self._keys[done_by]} (API key)"
        return {"fixed key": "The API", "keva": "A test"}.get(done_by) or self.user(done_by)
