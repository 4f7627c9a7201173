"""What is noted of merge requests: what was brought to a forge, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.audit.noting import BY_ITSELF, SEEN

if TYPE_CHECKING:
    from pipelines.forge import Request
    from pipelines.store import Store


def facts_of(request: Request) -> dict[str, Any]:
    """Return what tells a request from others, and what it held."""
    told = ("repo", "branch", "number", "url", "head", "digest")
    return {name: getattr(request, name) for name in told}


def marked(did: str, request: Request) -> str:
    return f"{did} {request.repo} {request.branch} {request.number}"


def published(store: Store, job: str, request: Request, head: str, digest: str, verb: str = "push") -> None:
    """Note that a branch holds a commit of ours, once for each. Said again whenever it is seen to, a process that was
    killed after it had pushed leaves no gap."""
    facts = {**facts_of(request), "head": head, "digest": digest, "how": verb}
    store.audit.note(BY_ITSELF, "published", job, facts, f"published {request.repo} {request.branch} {head} {verb}")


def acted(store: Store, job: str, request: Request, did: str, who: str) -> None:
    """Note that a request was merged, closed or opened again by us, and for whom."""
    store.audit.note(who, did, job, facts_of(request), marked(did, request), again=True)


def seen(store: Store, job: str, kind: str, repo: str, body: Mapping[str, Any]) -> None:
    """Note what was first seen of a request and is not known to be our doing: somebody did it on the forge, or one of
    our processes that was killed before it could say so."""
    if kind in {"merged", "closed"}:
        facts = {"repo": repo, **{name: body[name] for name in ("branch", "number", "url")}}
        store.audit.note(SEEN, kind, job, facts, f"{kind} {repo} {body['branch']} {body['number']}")
