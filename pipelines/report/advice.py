"""What a person can do about each kind of failure."""

from __future__ import annotations

_REJECTED = {
    "tests": "Look at one with `umbau show`: either the edit breaks something, and the prompt or the codemod has to "
    "say more, or the tests need something that `environment.install` does not name.",
    "command": "The command of the job found fault. Run it by hand on one of the files; if it complains of what was "
    "there before, use `complaints` in its place.",
    "complaints": "A linter or type checker says something new. Name its rule in the prompt, or run its fixer.",
    "honest": "The edit would weaken tests. Look at one; a rule that does not fit is allowed by `honest: {allow}`.",
    "api": "A public name would change. If that is meant, allow it by `api: {allow}`.",
    "scope": "The edit changes more than the job allows. Say in the prompt what must stay, or widen `scope`.",
    "keeps": "Names or values would come or go. If that is meant, name them in `keeps: {free}`.",
    "inside": "The edit reaches beyond its shard. Cut larger shards (`shard.by`), or allow the file.",
    "parses": "The edit is no valid code. More `attempts` help with a model, so does a larger one (`fallback`).",
    "original": "The model wrote much that stands in nothing it was shown. Look where it comes from, or show it more.",
    "idempotent": "Applied twice, the step changes more each time. Mend the codemod, or leave `idempotent` out.",
    "gone": "What must be gone is still there. Say in the prompt how the rest of it is to be replaced.",
    "rule": "The rule still finds something. Say in the prompt how to put it right.",
    "reply": "The model's replies could not be understood. Try another `reply` protocol, or more `max_tokens`.",
    "step": "A codemod or command could not do its work. Its message says why.",
    "pinned": "No generated test holds what the code did before. Write a test by hand, or ask for less in `covered`.",
    "review": "Somebody asked for something that the job could not do. Answer on the request, or edit by hand.",
    "ci": "The pipeline of the request fails. Its log says why; what the pipeline runs belongs into `checks` as well.",
}
_STATUS = {
    "rejected": "Look at one with `umbau show`, change the job, and run it again: only what changed is done anew.",
    "failed": "Nothing is wrong with the shard: `umbau run` tries it again.",
    "skipped": "Cannot be worked on as it is. Mend the file, or leave it out by `select.exclude`.",
    "left out of its request": "Alone it is good, together with its neighbours it is not. Cut smaller requests "
    "(`merge_request.group`), or edit by hand.",
}


def advice(status: str, judge: str) -> str:
    """Return what to do about shards of this status that this judge found fault with."""
    return _REJECTED.get(judge, _STATUS["rejected"]) if status == "rejected" else _STATUS.get(status, "")
