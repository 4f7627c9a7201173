"""The Transformers engine in this process: what it makes of a batch, and of a folder that holds no checkpoint."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve._private.api import call_user_app_builder_with_args_if_necessary
from ray.serve.schema import ServeDeploySchema

from pipelines.errors import Refused
from pipelines.serve.protocol import Chat, Piece, Refusal
from pipelines.serve.settings import Settings
from pipelines.serve.transformers import app, check
from tests.operators.checkpoint import checkpoint

DEPLOY = Path(__file__).parents[3] / "deploy" / "serve"
DIGEST = f"{'0' * 32}:{'0' * 64}"


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(model_id="m", model_source=str(folder), key_digest=DIGEST, **more)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"key_digest": "secret"}, "the digest of an API key is needed"),
        ({"model_source": ""}, "model_source"),
        ({"dtype": "int8"}, "dtype"),
        ({"max_batch_size": 0}, "max_batch_size"),
        ({"max_bach_size": 1}, "max_bach_size"),
    ],
)
def test_settings_that_cannot_work(more: dict[str, Any], why: str, tmp_path: Path) -> None:
    known = {"model_id": "m", "model_source": str(checkpoint(tmp_path / "checkpoint")), "key_digest": DIGEST}
    assert app(known)
    with pytest.raises((ValueError, Refused), match=why):
        app(known | more)


def test_the_configuration_that_comes_with_it_is_one(tmp_path: Path) -> None:
    whole = yaml.safe_load((DEPLOY / "embedded-transformers.yaml").read_text())
    (application,) = ServeDeploySchema.model_validate(whole).applications
    assert application.import_path == f"{app.__module__}:{app.__name__}"
    args = {"model_source": str(checkpoint(tmp_path / "checkpoint")), "key_digest": DIGEST, **application.args}
    assert call_user_app_builder_with_args_if_necessary(app, args), "as `serve deploy` calls it"


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def of_a_classifier(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace("MistralForCausalLM", "MistralForSequenceClassification"))


def truncated(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(file.seek(0, 2) - 100)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (shutil.rmtree, "is not a folder on this machine"),
        (without_tokenizer, "holds no whole checkpoint as Transformers saves it: tokenizer.json"),
        (of_a_classifier, "says architectures MistralForSequenceClassification; this model has one that ends in"),
        (truncated, "is truncated: it has"),
    ],
)
def test_a_checkpoint_that_is_none_is_seen_before_anything_starts(
    harm: Callable[[Path], None], why: str, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path / "checkpoint")
    check(str(folder))
    harm(folder)
    with pytest.raises(Refused, match=why):
        check(str(folder))


def with_a_broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def without_template(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))


def of_another_shape(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"hidden_size": 32', '"hidden_size": 16'))


def of_more_layers(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 1', '"num_hidden_layers": 2'))


def of_an_unknown_kind(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"mistral"', '"sirocco"'))


def of_another_class(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace("MistralForCausalLM", "LlamaForCausalLM"))


def without_an_end(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": None}))
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    del tokenizer["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (with_a_broken_tokenizer, "the tokenizer cannot be loaded"),
        (without_template, "holds no chat template: add chat_template.jinja"),
        (of_another_shape, "cannot be loaded"),
        (of_more_layers, r"9 weights are missing, model.layers.1\S+ for one"),
        (of_an_unknown_kind, "cannot be loaded"),
        (of_another_class, "holds LlamaForCausalLM, not a MistralForCausalLM"),
        (without_an_end, "does not say how an answer ends"),
    ],
)
def test_a_checkpoint_that_cannot_be_run(harm: Callable[[Path], None], why: str, tmp_path: Path) -> None:
    engine = engine_module()
    folder = checkpoint(tmp_path / "checkpoint")
    harm(folder)
    with pytest.raises(Refused, match=why):
        engine.Engine(settings(folder))


@pytest.mark.slow
def test_a_context_that_the_model_has_not_seen(tmp_path: Path) -> None:
    engine = engine_module()
    with pytest.raises(Refused, match=r"max_model_len is 513, but .* has seen 512 tokens at most: lower it"):
        engine.Engine(settings(checkpoint(tmp_path / "checkpoint"), max_model_len=513))


def engine_module() -> Any:
    for needed in ("torch", "transformers"):
        pytest.importorskip(needed, reason="install umbau[transformers]")
    from pipelines.serve import engine

    return engine


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    module = engine_module()
    made = module.Engine(settings(checkpoint(tmp_path_factory.mktemp("engine") / "checkpoint"), max_batch_size=8))
    yield made
    made.close()


def asked(text: str, **more: Any) -> Chat:
    given = {"model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 12, **more}
    return Chat.model_validate(given)


def answers(engine: Any, *chats: Chat) -> list[list[Piece | Refusal]]:
    """Ask all at once, and return the pieces of each answer."""

    async def pieces(chat: Chat) -> list[Piece | Refusal]:
        return [piece async for piece in engine.answer(chat)]

    async def together() -> list[list[Piece | Refusal]]:
        return await asyncio.gather(*map(pieces, chats))

    return asyncio.run(together())


def text(pieces: list[Piece | Refusal]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Piece))


@pytest.mark.slow
def test_greedy_and_drawn_requests_share_a_batch(tiny: Any) -> None:
    chats = [
        *(asked(f"greedy {n}") for n in range(8)),
        *(asked(f"warm {n}", temperature=0.7, seed=n) for n in range(8)),
        *(asked("hot", temperature=2, seed=n, stream=True) for n in range(8)),
    ]
    together = [text(one) for one in answers(tiny, *chats)]
    alone = [text(answers(tiny, chat)[0]) for chat in chats]
    assert together == alone
    assert len(set(together[16:])) == 8, "other seeds draw other tokens"
    unseeded = [text(one) for one in answers(tiny, *[asked("hot", temperature=2)] * 4)]
    assert len(set(unseeded)) == 4, "without a seed one is drawn"


@pytest.mark.slow
def test_draws_follow_the_distribution(tiny: Any) -> None:
    """One token, 2,000 times, against the softmax of the model's own scores."""
    import torch

    chat = asked("x", temperature=0.5, max_tokens=1)
    drawn = answers(tiny, *(chat.model_copy(update={"seed": seed}) for seed in range(2_000)))
    prompt = tiny._prompt(chat)
    with torch.no_grad():
        likely = (tiny._model(torch.tensor([prompt])).logits[0, -1].float() / 0.5).softmax(0)
    best = tiny._text([int(likely.argmax())])
    share = sum(text(one) == best for one in drawn) / len(drawn)
    assert abs(share - float(likely.max())) < 4 * (0.25 / len(drawn)) ** 0.5


@pytest.mark.slow
def test_pieces_add_up(tiny: Any) -> None:
    (whole,), (*pieces, last) = answers(tiny, asked("add up"), asked("add up", stream=True))
    assert text([*pieces, last]) == whole.text
    assert pieces
    assert (last.finish, last.tokens_in, last.tokens_out) == ("length", len("add up") + 3, 12)
    assert last.usage() == whole.usage()


@pytest.mark.slow
def test_a_stop_string_ends_the_answer(tiny: Any) -> None:
    whole = text(answers(tiny, asked("go on", max_tokens=40))[0])
    found = re.search(r"[ -~]", whole[2:])  # bytes that make no character are held back till the end
    assert found
    stop = found[0]
    for stream in (False, True):
        pieces = answers(tiny, asked("go on", max_tokens=40, stop=["never there", stop], stream=stream))[0]
        assert text(pieces) == whole[: whole.index(stop)]
        assert pieces[-1].finish == "stop"
        assert pieces[-1].tokens_out < 40
    assert tiny.running == 0


@pytest.mark.slow
def test_no_more_is_written_than_the_context_has_room_for(tiny: Any) -> None:
    (last,) = answers(tiny, asked("x" * 500, max_tokens=8192))[0]
    assert (last.tokens_in, last.tokens_out, last.finish) == (503, 9, "length")
    (refusal,) = answers(tiny, asked("x" * 509))[0]
    assert isinstance(refusal, Refusal)
    assert "maximum context length is 512 tokens" in refusal.message


@pytest.mark.slow
def test_who_goes_away_is_not_generated_for(tiny: Any) -> None:
    async def leave() -> None:
        pieces = tiny.answer(asked("long", max_tokens=400, stream=True))
        await anext(pieces)
        assert tiny.running == 1
        await pieces.aclose()
        assert tiny.running == 0

    asyncio.run(leave())
    assert len(answers(tiny, asked("next"))) == 1
