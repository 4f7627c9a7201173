from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.hosts import NoHost, host, never, pattern, region, target


@pytest.mark.parametrize(
    ("text", "url", "fits"),
    [
        ("git.example.eu", "https://git.example.eu/a", True),
        ("git.example.eu", "https://GIT.Example.EU./a", True),
        ("Git.Example.EU.", "https://git.example.eu/a", True),
        ("git.example.eu", "https://git.example.eu:8443/a", True),
        ("git.example.eu:443", "https://git.example.eu/a", True),
        ("git.example.eu:443", "https://git.example.eu:8443/a", False),
        ("git.example.eu:443", "http://git.example.eu/a", False),
        ("git.example.eu", "https://sub.git.example.eu/a", False),
        ("git.example.eu", "https://git.example.eu.evil.eu/a", False),
        ("git.example.eu", "https://evilgit.example.eu/a", False),
        ("git.example.eu", "https://example.eu/a", False),
        ("*.example.eu", "https://git.example.eu/a", True),
        ("*.example.eu", "https://a.b.git.example.eu/a", True),
        ("*.example.eu", "https://example.eu/a", False),
        ("*.example.eu", "https://evilexample.eu/a", False),
        ("*.example.eu:8443", "https://git.example.eu/a", False),
        ("10.1.2.3", "http://10.1.2.3:8000/v1", True),
        ("10.1.2.3", "http://[::ffff:10.1.2.3]:8000/v1", True),
        ("10.1.2.3", "http://10.1.2.30/v1", False),
        ("10.1.0.0/16", "http://10.1.255.3/v1", True),
        ("10.1.0.0/16", "http://10.2.0.1/v1", False),
        ("10.1.0.0/16:8000", "http://10.1.0.1/v1", False),
        ("fd00::1", "http://[fd00:0::1]/v1", True),
        ("[fd00::/64]:443", "https://[fd00::7]/v1", True),
        ("[fd00::/64]:443", "http://[fd00::7]/v1", False),
        ("10.1.0.0/16", "http://name.example/v1", False),
        ("xn--bcher-kva.example", "https://xn--bcher-kva.example/", True),
    ],
)
def test_what_a_pattern_fits(text: str, url: str, fits: bool) -> None:
    assert pattern(text).fits(*target(url)) is fits


@pytest.mark.parametrize(
    "url",
    [
        "https://good.example@evil.example/",
        "https://good.example:x@evil.example/",
        "https://good.example\\@evil.example/",
        "https://good.example\t.evil.example/",
        "https://good.example%2eevil.example/",
        "https://good.example%00.evil.example/",
        "https://good.example:99999/",
        "https://bücher.example/",
        "https://good。example/",
        "https://ｇood.example/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://10.0.0.256/",
        "https://[::1/",
        "https://good..example/",
        "https:///path",
        "good.example",
        "",
    ],
)
def test_what_may_be_read_in_two_ways_is_read_in_none(url: str) -> None:
    with pytest.raises(NoHost):
        target(url)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("*", "everywhere"),
        ("*.*.eu", "no name"),
        ("https://git.example.eu", "is a URL"),
        ("git.example.eu/path", "no network"),
        ("git.example.eu:0", "no port"),
        ("git.example.eu:", "no port"),
        ("me@git.example.eu", "no name"),
        ("bücher.example", "xn--"),
        ("0.0.0.0/0", "everywhere"),
        ("[::/0]", "everywhere"),
        ("10.0.0.1/8", "bits behind its length"),
        ("169.254.169.254", "secrets"),
        ("169.254.0.0/16", "secrets"),
        ("fe80::1", "link-local"),
        ("fd00:ec2::254", "secrets"),
        ("224.0.0.1", "many machines"),
        ("0.0.0.0", "no address of any machine"),
        ("*.10.0.0.1", "below an address"),
        ("0x7f.1", "usual form"),
    ],
)
def test_what_is_no_pattern(text: str, why: str) -> None:
    with pytest.raises(NoHost, match=why):
        pattern(text)


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("::", True),
        ("255.255.255.255", True),
        ("ff02::1", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("64:ff9b::808:808", False),
    ],
)
def test_where_nothing_ever_goes(address: str, wrong: bool) -> None:
    assert bool(never(ip_address(address))) is wrong


@pytest.mark.parametrize(
    ("texts", "url"),
    [
        (["gpu.example.eu:8000", "gpu.example.eu", "*.example.eu:8000"], "http://gpu.example.eu:8000/v1"),
        (["gpu.example.eu", "gpu.example.eu:8000", "*.gpu.example.eu"], "http://gpu.example.eu/v1"),
        (["*.eu.example", "*.example:8000"], "http://gpu.eu.example:8000/v1"),
        (["10.1.2.3:8000", "10.1.2.3", "10.1.0.0/16:8000"], "http://10.1.2.3:8000/v1"),
        (["10.1.0.0/16", "10.0.0.0/8:8000"], "http://10.1.2.3:8000/v1"),
    ],
)
def test_the_closest_pattern_counts_and_not_the_name_of_the_region(texts: list[str], url: str) -> None:
    for where in ("aa", "zz"):
        said = [(pattern(text), "mm" if number else where) for number, text in enumerate(texts)]
        assert region(said, *target(url)) == region(said[::-1], *target(url)) == where


@given(st.text())
def test_any_text_is_a_host_or_none(text: str) -> None:
    for read in (host, target, pattern):
        try:
            read(text)  # type: ignore[operator]
        except NoHost as why:
            assert str(why)


@given(st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]([a-z0-9-]{0,8}[a-z0-9])?){0,3}", fullmatch=True))
def test_a_name_fits_itself_and_what_lies_below_it_does_not(name: str) -> None:
    assert pattern(name).fits(*target(f"https://{name.upper()}/"))
    assert not pattern(name).fits(*target(f"https://x.{name}/"))
    assert pattern(f"*.{name}").fits(*target(f"https://x.{name}/"))
    assert not pattern(f"*.{name}").fits(*target(f"https://{name}/"))
