"""Tries on the spot that secrets of every kind are kept back."""

from __future__ import annotations

import re

from operators.spot import MARK, MASKED
from operators.veil import Rules, Veil

_DRAWN = "q7Wx2Zk9Lp4Vt8Rb3Ny6"  # no secret of anybody's
_LONG = _DRAWN * 2
PLANTED = {
    "AWS key": ("key = 'AKIA{}'", "QWERTYUIOPASDFGH"),
    "GitHub token": ("# ghp_{}", _LONG),
    "GitLab token": ("# glpat-{}", _DRAWN),
    "Slack token": ("# xoxb-{}", _DRAWN),
    "Stripe key": ("# sk_live_{}", _DRAWN),
    "Google key": ("# AIza{}", _LONG[:35]),
    "npm token": ("# npm_{}", _LONG[:36]),
    "PyPI token": ("# pypi-A{}", _LONG * 2),
    "OpenAI key": ("# sk-proj-{}", _DRAWN),
    "Anthropic key": ("# sk-ant-{}", _DRAWN),
    "Mistral key": ("MISTRAL_API_KEY={}", _LONG[:32]),
    "Hugging Face token": ("# hf_{}", _LONG),
    "JWT": ("# eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{}", _DRAWN),
    "private key": ("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", _LONG),
    "password in an assignment": ("password = '{}'", _DRAWN),
    "password in a URL": ("postgres://app:{}@db.internal/app", f"{_DRAWN[:8]}!{_DRAWN[8:]}"),
    "header": ("Authorization: Bearer {}", _DRAWN),
}
"""Kind to a text and the secret that is planted in it."""


def slips(rules: Rules) -> list[str]:
    """Return the kinds that would reach a prompt, a log or the store. Raises Slow."""
    return [kind for kind, (text, secret) in PLANTED.items() if _slips(text.format(secret), secret, rules)]


def _slips(text: str, secret: str, rules: Rules) -> bool:
    veil, log = Veil.of([text], rules), rules.masked(f"E   {text}")
    told = veil.hide(f"{text}\n\nrefused: {text}")
    parts = re.findall(r"\w+", secret)  # another rule may find some of it
    kept = not any(part in told or part in log for part in parts) and MARK in told and MASKED in log
    return not kept or veil.show(told) != f"{text}\n\nrefused: {text}"
