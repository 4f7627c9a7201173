"""What is a secret, and what only looks like one."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from operators.spot import mostly, spot

B64 = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4"
KEY = "\n".join(
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "MIIEowIBAAKCAQEAuyGm2Q1kT7yqN0pXe7R3bZcV5hJwLkP8sD4fG6hJ9kL2zXcv",
        "BnM1qWeR5tYuIoP3aSdFgH7jKlZxCvBnM8QwErTyUiOpAsDfGhJkLzXcVbNm4QwE",
        "Q2x3",
        "-----END RSA PRIVATE KEY-----",
    ]
)

SECRETS = {
    'key = "AKIAQWERTYUIOPASDFGH"': "AKIAQWERTYUIOPASDFGH",
    "# ghp_" + "a1B2c3D4e5F6" * 3 + " was here": "ghp_" + "a1B2c3D4e5F6" * 3,
    "github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ": "github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ",
    "glpat-aB3dE6gH9jK2mN5pQ8sT": "glpat-aB3dE6gH9jK2mN5pQ8sT",
    "xoxb-123456789012-abcDEF456ghi": "xoxb-123456789012-abcDEF456ghi",
    "https://hooks.slack.com/services/T0AB12CD3/B0EF45GH6/aBcDeFgHiJkLmNoPqRsTuVwX": (
        "T0AB12CD3/B0EF45GH6/aBcDeFgHiJkLmNoPqRsTuVwX"
    ),
    "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "AIzaSyA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v": "AIzaSyA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v",
    "npm_" + "a1B2c3D4e5F6" * 3: "npm_" + "a1B2c3D4e5F6" * 3,
    "pypi-AgEIcHlwaS5vcmc" + "aB3" * 15: "pypi-AgEIcHlwaS5vcmc" + "aB3" * 15,
    "sk-proj-aB3dE6gH9jK2mN5pQ8sT": "sk-proj-aB3dE6gH9jK2mN5pQ8sT",
    "sk-ant-api03-aB3dE6gH9jK2mN5pQ8sT": "sk-ant-api03-aB3dE6gH9jK2mN5pQ8sT",
    "MISTRAL_API_KEY=aB3dE6gH9jK2mN5pQ8sTvW1xY4zA7bC0": "aB3dE6gH9jK2mN5pQ8sTvW1xY4zA7bC0",
    "hf_" + "aB3dE6gH9jK2" * 3: "hf_" + "aB3dE6gH9jK2" * 3,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N": (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"
    ),
    'password = "hunter2-hunter2"': "hunter2-hunter2",
    "PASSWORD: str = 'Tr0ub4dor&3'": "Tr0ub4dor&3",
    'connect(password=b"s3cr3t!word")': "s3cr3t!word",
    'secret = f"Zq8Lk2Vw9Tabc"': "Zq8Lk2Vw9Tabc",
    '{"client_secret": "8f14e45fceea167a5a36dedd4bea2543"}': "8f14e45fceea167a5a36dedd4bea2543",
    'os.environ.setdefault("API_TOKEN", "zq81-77aa-kk3d")': "zq81-77aa-kk3d",
    'said = "{\\"token\\": \\"zq81x77aa\\"}"': "zq81x77aa",
    "    db_password: Tr0ub4dor-and-3": "Tr0ub4dor-and-3",
    "export DB_PASSWORD=Tr0ub4dor&3x": "Tr0ub4dor&3x",
    "# the password: Tr0ub4dor-3.": "Tr0ub4dor-3",
    'url = "postgres://app:geheim77@db.example.eu/x"': "geheim77",
    "git clone https://oauth2aB3dE6gH9jK2mN5@git.example.eu/x": "oauth2aB3dE6gH9jK2mN5",
    'headers = {"Authorization": "Bearer aB3dE6gH9jK2mN5pQ8sTvW1x"}': "aB3dE6gH9jK2mN5pQ8sTvW1x",
    "Authorization: Basic YWRhOnMzY3IzdC1wYXNz": "YWRhOnMzY3IzdC1wYXNz",
    "curl -u ada:s3cr3tpass https://x": "s3cr3tpass",
    "AccountKey=" + "aB3dE6gH9jK2" * 4 + "==;": "aB3dE6gH9jK2" * 4 + "==",
}
NONE = (
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    'sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
    'id = "123e4567-e89b-12d3-a456-426614174000"',
    f'DATA = "{B64}"',
    'password = os.environ["DB_PASSWORD2"]',
    "token = None",
    'password = ""',
    'password = "xxxxxxxxxxxx"',
    'api_key = "your-api-key-1"',
    'token = "<token123>"',
    'secret = "${VAULT_SECRET_1}"',
    'password = f"{prefix}12345678"',
    'token = "{token1}"',
    'password = "changeme123"',
    'password = "ChangeMe-123"',
    'password = "SommerRegenWetter"',
    'password = "password123"',
    'help = "The password of user 1, if any"',
    'password_field = "user_password_2"',
    'TOKEN_URL = "/oauth2/v1/token"',
    "token: Token2 = next(tokens)",
    "def login(user: str, password: Secret2Str) -> None:",
    "token = tokens[0].value2",
    "password = get_password2(user1)",
    'assert form.password == "hunter2-hunter2"',
    'self.assertEqual(form.token, "zq81x77aa-zz")',
    "https://example.eu:8080/@user",
    "ssh://git@git.example.eu/x.git",
    "http://user:password@localhost/",
    "http://{user}:{password}@localhost/",
    "AKIAIOSFODNN7EXAMPLE",
    ".sk-circle-fade-dot-animation-name",
    'if "-----BEGIN RSA PRIVATE KEY-----" in text: return SomeVeryLongClassName12345678()',
    "token_count = 12345678",
    'tokenizer = "bert-base-uncased-v2"',
    "password: str | None = None",
    'password = "UMBAU_SECRET_3"',
    "password = UMBAU_MASKED",
    "keywords = 'abc123def456'",
)


@pytest.mark.parametrize(("text", "secret"), SECRETS.items())
def test_secrets_are_seen(text: str, secret: str) -> None:
    assert secret in [text[one.start : one.end] for one in spot(text)]


@pytest.mark.parametrize("text", NONE)
def test_what_only_looks_like_one_is_left_alone(text: str) -> None:
    assert [text[one.start : one.end] for one in spot(text)] == []


@pytest.mark.parametrize("lines", [str, repr, lambda text: "\n".join(f"+  {one}" for one in text.split("\n"))])
def test_each_line_of_a_private_key_is_one(lines: Callable[[str], str]) -> None:
    text = lines(KEY)
    assert [text[one.start : one.end] for one in spot(text)] == KEY.split("\n")[1:-1]


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        (".env", "DEBUG=1\n", ".env is a file for secrets"),
        ("deploy/.env.production", "", ".env.production is a file for secrets"),
        (".env.example", "DEBUG=1\n", ""),
        ("id_rsa", "", "id_rsa is a file for secrets"),
        ("keys.py", f'"""Keys."""\nKEY = """{KEY}"""\n', "mostly secrets (5 of 6 lines)"),
        (
            "a.py",
            'A_TOKEN = "zq81x77aa1"\n\nB_TOKEN = "zq81x77aa2"\nC_TOKEN = "zq81x77aa3"\nx = 1\n',
            "mostly secrets (3 of 4 lines)",
        ),
        ("b.py", 'A_TOKEN = "zq81x77aa1"\nx = 1\n', ""),
        ("k.py", f"x = 1\ny = 1\nA_TOKEN = '{B64}1'\n", "mostly secrets (75 % of it)"),
        ("c.py", "x = 1\n", ""),
    ],
)
def test_a_file_that_is_mostly_secret_is_told(path: str, text: str, why: str) -> None:
    assert mostly(path, text) == why


def test_texts_of_any_kind_are_looked_at_in_time() -> None:
    hostile = [
        "token" * 20_000,
        "-----BEGIN PRIVATE KEY-----" * 4000,
        "://" * 33_000,
        "password: " * 10_000,
        "İ" * 100_000,
    ]
    hostile += [
        "bearer " * 14_000,
        "-u " * 33_000,
        "eyJ" + "a" * 100_000,
        "sk-" * 33_000,
        "'" * 100_000,
        "key\n" * 25_000,
    ]
    hostile += ["-----BEGIN PRIVATE KEY-----" + "A" * 100_000, "secret" + " " * 100_000, 'token="' * 14_000]
    hostile += ["tokens:" * 14_000, "tokens1:" * 12_500]
    for text in hostile:
        begin = time.process_time()
        spot(text)
        assert time.process_time() - begin < 3, text[:20]
