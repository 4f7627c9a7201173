"""Whether a model may be hosted, and from which folder: licence, download, weights."""

from __future__ import annotations

from pathlib import Path

from pipelines.catalogue import Model, catalogue
from pipelines.errors import Refused
from pipelines.serve.checkpoint import weights
from pipelines.serve.config import Config, Hosted
from pipelines.site import Site, site, site_file


def placed_of(hosted: Hosted, config: Config, folder: str) -> tuple[Hosted, Model, str, int]:
    """Return a model with its entry of the catalogue, where its weights are, and their bytes. Raises Refused."""
    allowed = site()
    known = {**catalogue(), **allowed.models}
    if hosted.model_id not in known:
        raise Refused(
            f"{config.file} hosts {hosted.model_id}, of which nothing is known: add it to `models` in the site's"
            f" umbau.yaml, as the top of deploy/models.yaml shows. Known are {', '.join(known)}"
        )
    entry = known[hosted.model_id]
    licensed(hosted.model_id, entry, allowed)
    if (hosted.longest or 1) > entry.context:
        raise Refused(f"{config.file}: max_model_len is {hosted.longest}, and {hosted.model_id} sees {entry.context}")
    if not folder and hosted.source and hosted.source == entry.repository:
        if not allowed.downloads:
            raise Refused(
                f"{hosted.source} would be downloaded, and the site does not allow that. Say with --dir where the"
                f" weights are, or write `downloads: true` into {site_file()}"
            )
        return hosted, entry, hosted.source, entry.weight_bytes
    named = folder or hosted.source
    if not named and not entry.shipped:
        raise Refused(f"say with --dir where the weights of {hosted.model_id} are")
    place = Path.cwd() / named if folder else config.file.resolve().parent / hosted.source
    place = (place if named else entry.shipped or place).resolve()
    return hosted, entry, str(place), weights(place, entry.architectures, mistral=hosted.mistral)


def licensed(name: str, entry: Model, allowed: Site) -> None:
    """Raise Refused when the licence has a condition and the site does not state that it is met."""
    if not entry.licence.condition or name in allowed.licences_met:
        return
    file = site_file()
    line = f"licences_met: [{', '.join([*allowed.licences_met, name])}]"
    where = "change its line to" if allowed.licences_met else "add the line"
    read = f"Read it at https://huggingface.co/{entry.repository}. " if entry.repository else ""
    raise Refused(
        f"{name} comes under a licence with a condition ({entry.licence.name}): {entry.licence.condition}.\n"
        f"{read}If it is met, {where}\n\n    {line}\n\n"
        f"in {file.resolve()}."
    )
