"""Users and milestones of an instance of GitLab. What does not change is asked once and remembered."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.forge import Memory
from pipelines.forges.gitlab.api import Api, Json, Refusal, project

DEVELOPER = 30  # the least access level that may push: https://docs.gitlab.com/api/access_requests/


class People:
    def __init__(self, api: Api, memory: Memory) -> None:
        self._api, self._memory = api, memory
        self._me: Json | None = None

    @property
    def me(self) -> Json:
        """Whom the token belongs to. Asked once in a process: another token is another user."""
        if self._me is None:
            found = self._api.get(self._api.url, "/user")
            self._me = {"id": int(found["id"]), "username": str(found["username"]), "name": str(found["name"])}
            self._memory.remember(self._key("me"), self._me["username"])
        return self._me

    @property
    def last(self) -> str:
        """Our user's name as far as it is known without asking."""
        return str(self._memory.recall(self._key("me")) or "")

    def ids(self, names: Iterable[str]) -> tuple[dict[str, int], list[str]]:
        """Return names to ids, and the names that nobody goes by."""
        found = {name: self._id(name) for name in dict.fromkeys(names)}
        return {name: one for name, one in found.items() if one}, [name for name, one in found.items() if not one]

    def robot(self, user: Json) -> bool:
        """Say whether a user is a bot: of a project or group token, a service account, GitLab's own."""
        key = self._key(f"robot {user['id']}")
        known = self._memory.recall(key)
        if known is None:
            try:
                known = bool(self._api.get(user["username"], f"/users/{user['id']}").get("bot"))
            except Refusal as why:
                if why.status != 404:
                    raise
                known = False  # deleted since, or hidden from us
            self._memory.remember(key, known)
        return bool(known)

    def may_write(self, repo: str, name: str) -> bool:
        """Say whether a person may push to a project, now. Bots may not give orders, we ourselves included. Who goes by
        that name is asked anew: it may have been given up, and be somebody else's since."""
        if name == self.me["username"] or not (user := self._asked(name)):
            return False
        if self.robot({"id": user, "username": name}):
            return False
        try:
            member = self._api.get(repo, f"{project(repo)}/members/all/{user}")
        except Refusal as why:
            if why.status == 404:
                return False
            raise
        return member.get("state", "active") == "active" and int(member.get("access_level") or 0) >= DEVELOPER

    def milestone(self, repo: str, title: str) -> int:
        """Return the milestone of a project or of the groups it is in; 0 when there is none of that title."""
        key = self._key(f"milestone {repo} {title}")
        known = self._memory.recall(key)
        if not known:
            listed = self._api.list(repo, f"{project(repo)}/milestones", title=title, include_ancestors="true")
            known = next((one["id"] for one in listed if one["title"] == title), 0)
            if known:
                self._memory.remember(key, known)
        return int(known)

    def _id(self, name: str) -> int:
        """Return a user's id, 0 when nobody goes by that name."""
        key = self._key(f"user {name.lower()}")
        known = self._memory.recall(key)
        if not known:
            known = self._asked(name)
            if known:
                self._memory.remember(key, known)
        return int(known)

    def _asked(self, name: str) -> int:
        listed = self._api.list(name, "/users", username=name)
        return next((int(one["id"]) for one in listed if one["username"].lower() == name.lower()), 0)

    def _key(self, what: str) -> str:
        return f"gitlab {self._api.url} {what}"
