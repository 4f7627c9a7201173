"""Trains a small model for unittest assertions: `python deploy/embedded/train.py --out FOLDER`. It needs torch,
transformers and tokenizers beside Umbau; nothing is downloaded.

A Mistral-architecture network of 3.5 million parameters learns to turn one statement or one short method of a unittest
test into its pytest form. The seed fixes the data and the start; different machines still give slightly different
weights.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple
from itertools import count
from pathlib import Path

import torch
from pairs import Pair, pairs, recombined, standard_library
from renamed import by_length, renamed
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

SEED = 20_261_124
VOCABULARY = 1_024
SPECIAL = ("<unk>", "<s>", "</s>", "[INST]", "[/INST]")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}[INST]{{ message['content'] }}[/INST]"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] }}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)
# A name is the same tokens wherever it stands: blanks, words, digits and signs never share one.
PIECES = r" +|\n+|[A-Za-z]+|[0-9]|[^ \nA-Za-z0-9]"
PARTS = 8  # in which statements are made up, each with a seed of its own
POOL = 8_192  # pairs among which batches of one length are made
FUNCTIONS = 0.3  # share of the functions in a pass over the pairs
SHORT = 0.5  # share of the statements on one line, which are learned sooner than those on several
RENAMED = 0.75  # share of pairs that get other names
RISE = 400_000  # tokens until the rate is at its height
BATCH = 4_096  # tokens
RATE = 6e-3
LONGEST = 1_024  # tokens of a pair


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--work", type=Path, default=Path("build/embedded"), help="folder for pairs and progress")
    parser.add_argument("--tokens", type=int, default=40_000_000, help="how much to learn from")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(SEED)
    given.work.mkdir(parents=True, exist_ok=True)

    # It is only asked for statements that have to change.
    known = [pair for pair in stored(given.work / "pairs.json") if pair.kind == "function" or pair.before != pair.after]
    words = by_length([pair.before for pair in known])
    tokenizer = vocabulary(known, given.work / "tokenizer")
    learner = Learner(network().to(given.device), given.work / "state.pt", given.tokens, given.device)
    print(f"{len(known):,} pairs, {learner.seen:,} tokens seen", flush=True)
    learner.learn(batches(known, words, tokenizer, random.Random(SEED + learner.seen)))
    tokenizer.save_pretrained(given.out)
    learner.model.to(torch.bfloat16).save_pretrained(given.out)  # as Transformers, vLLM and mistral.rs read it


def stored(file: Path) -> list[Pair]:
    """Return the pairs to learn from, made once."""
    if not file.exists():
        known = material()
        file.write_text(json.dumps([astuple(pair) for pair in known + composed(known)]))
    return [Pair(*values) for values in json.loads(file.read_text())]


def material() -> list[Pair]:
    """Return the pairs of the standard library's tests."""
    with ProcessPoolExecutor() as pool:
        found = pool.map(_pairs_of, standard_library(), chunksize=4)
        return list({pair.before: pair for own in found for pair in own}.values())


def composed(known: list[Pair]) -> list[Pair]:
    """Return half as many pairs again, of statements that nobody wrote."""
    many = len(known) // 2 // PARTS
    with ProcessPoolExecutor() as pool:
        found = pool.map(_recombined, [known] * PARTS, [many] * PARTS, range(PARTS))
        return [pair for own in found for pair in own]


def _recombined(known: list[Pair], many: int, seed: int) -> list[Pair]:
    return list(recombined(known, many, random.Random(SEED + seed)))


def _pairs_of(file: Path) -> list[Pair]:
    return list(pairs([file]))


def vocabulary(known: list[Pair], kept: Path) -> PreTrainedTokenizerFast:
    """Return the tokenizer, made once."""
    if kept.exists():
        return PreTrainedTokenizerFast.from_pretrained(kept)
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    split = pre_tokenizers.Split(Regex(PIECES), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(
        (f"{one}\n{other}" for pair in known for one, other in [(pair.before, pair.after)]), trainer
    )
    own = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    own.chat_template = TEMPLATE
    own.model_max_length = LONGEST
    own.save_pretrained(kept)
    return own


def network() -> MistralForCausalLM:
    return MistralForCausalLM(
        MistralConfig(
            vocab_size=VOCABULARY,
            hidden_size=256,
            intermediate_size=704,
            num_hidden_layers=4,
            num_attention_heads=8,
            num_key_value_heads=8,
            head_dim=32,
            max_position_embeddings=LONGEST,
            sliding_window=None,
            rope_theta=10_000.0,
            tie_word_embeddings=True,
            bos_token_id=SPECIAL.index("<s>"),
            eos_token_id=SPECIAL.index("</s>"),
        )
    )


def batches(
    known: list[Pair], words: list[list[str]], tokenizer: PreTrainedTokenizerFast, rng: random.Random
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield tokens and labels (-100: not to be learnt) without end, pairs of about one length together."""
    while True:
        chosen = [pair for pair in known if rng.random() < _share(pair)]
        rng.shuffle(chosen)
        for start in range(0, len(chosen), POOL):
            rows = _rows(chosen[start : start + POOL], words, tokenizer, rng)
            ready = list(_batched(sorted(rows, key=lambda row: len(row[0]) + len(row[1]))))
            rng.shuffle(ready)
            yield from ready


def _share(pair: Pair) -> float:
    if pair.kind == "function":
        return FUNCTIONS
    return 1.0 if "\n" in pair.before else SHORT


def _rows(
    chosen: list[Pair], words: list[list[str]], tokenizer: PreTrainedTokenizerFast, rng: random.Random
) -> list[tuple[list[int], list[int]]]:
    begin, end, first, last = (SPECIAL.index(name) for name in ("<s>", "</s>", "[INST]", "[/INST]"))
    shown = [
        renamed(pair.before, pair.after, words, rng) if rng.random() < RENAMED else (pair.before, pair.after)
        for pair in chosen
    ]
    coded = tokenizer.backend_tokenizer.encode_batch([code for both in shown for code in both])
    rows = [
        ([begin, first, *source.ids, last], [*target.ids, end])
        for source, target in zip(coded[::2], coded[1::2], strict=True)
    ]
    return [row for row in rows if len(row[0]) + len(row[1]) <= LONGEST]


def _batched(rows: list[tuple[list[int], list[int]]]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    while rows:
        width = -(-(len(rows[-1][0]) + len(rows[-1][1])) // 8) * 8  # few widths: each is compiled anew
        taken = [rows.pop() for _ in range(min(len(rows), max(1, BATCH // width)))]
        tokens = torch.zeros(len(taken), width, dtype=torch.long)
        labels = torch.full((len(taken), width), -100)
        for number, (source, target) in enumerate(taken):
            tokens[number, : len(source) + len(target)] = torch.tensor(source + target)
            labels[number, len(source) : len(source) + len(target)] = torch.tensor(target)
        yield tokens, labels


class Learner:
    """Trains until `tokens` were seen: matrices by Muon, the rest by AdamW, at a rate that rises and then falls to
    nothing. What it has reached is kept in `state`: killed and started again, it goes on."""

    def __init__(self, model: MistralForCausalLM, state: Path, tokens: int, device: str) -> None:
        self.model, self.state, self.tokens, self.device = model, state, tokens, device
        named = list(model.named_parameters())
        inner = [weights for name, weights in named if weights.ndim == 2 and "embed" not in name]
        outer = [weights for name, weights in named if weights.ndim != 2 or "embed" in name]
        self.optimisers = [
            torch.optim.Muon(inner, lr=RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(outer, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self.seen = 0
        if state.exists():
            kept = torch.load(state, map_location=device)
            self.seen = kept["seen"]
            model.load_state_dict(kept["model"])
            for optimiser, values in zip(self.optimisers, kept["optimisers"], strict=True):
                optimiser.load_state_dict(values)

    def learn(self, source: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> None:
        start, before, losses = time.monotonic(), self.seen, deque[float](maxlen=50)
        for step in count(1):
            if self.seen >= self.tokens:
                break
            losses.append(self._step(*(part.to(self.device) for part in next(source))))
            if step % 50 == 0:
                speed, mean = (self.seen - before) / (time.monotonic() - start), sum(losses) / len(losses)
                print(f"{self.seen:>12,} tokens  loss {mean:.4f}  {speed:,.0f} tokens/s", flush=True)
            if step % 500 == 0:
                self._keep()
        self._keep()

    def _step(self, tokens: torch.Tensor, labels: torch.Tensor) -> float:
        with torch.autocast(self.device, torch.bfloat16):
            loss = self.model(input_ids=tokens, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = RATE * min(1.0, self.seen / RISE, (self.tokens - self.seen) / self.tokens) + 1e-6
            optimiser.step()
            optimiser.zero_grad()
        self.seen += tokens.numel()
        return float(loss.item())

    def _keep(self) -> None:
        optimisers = [optimiser.state_dict() for optimiser in self.optimisers]
        torch.save({"seen": self.seen, "model": self.model.state_dict(), "optimisers": optimisers}, f"{self.state}.new")
        Path(f"{self.state}.new").replace(self.state)


if __name__ == "__main__":
    main()
