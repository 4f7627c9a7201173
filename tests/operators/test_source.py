from __future__ import annotations

import ast
import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.data import Skip
from operators.source import MAX_BYTES, Source, decode, ending, generated, newline, split

COOKIE = b"# -*- coding: latin-1 -*-\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x = 1\n",
        b"x = 1",
        "s = 'über – 日本'\n".encode(),
        codecs.BOM_UTF8 + b"x = 1\n",
        codecs.BOM_UTF8 + "# coding: utf-8\ns = 'ü'\n".encode(),
        COOKIE + "s = 'ü'\n".encode("latin-1"),
        b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\ns = '\x80'\n",
        b"# coding: euc-jp\n" + "s = '日本'\n".encode("euc-jp"),
        b"# coding: koi8-r\n" + "s = 'я'\n".encode("koi8-r"),
        b"x = 1\r\ny = 2\r\n",
        b"x = 1\r\ny = 2\nz = 3\r\n",
        b"x = 1\ry = 2\n",
        b"x = 1\n\x0c\ndef f():\n\tpass\n",
        b"x = '''\x0b\x1c\xc2\x85'''\n",
        b"\n\n\n",
    ],
)
def test_what_is_read_comes_back_byte_for_byte(data: bytes) -> None:
    source = decode(data, "a.py")
    assert source.encode(source.text) == data


@given(st.text(alphabet="aé\n\r\t\x0c 日", max_size=30), st.sampled_from(["", "# coding: utf-8\n"]), st.booleans())
def test_any_text_comes_back_byte_for_byte(text: str, cookie: str, bom: bool) -> None:
    data = codecs.BOM_UTF8 * bom + (cookie + text).encode()
    try:
        source = decode(data, "a.py")
    except Skip as why:
        assert "carriage return only" in str(why)
    else:
        assert source == Source(cookie + text, "utf-8", bom)
        assert source.encode(source.text) == data


@given(st.binary(max_size=40), st.sampled_from([b"", COOKIE, codecs.BOM_UTF8, b"# coding: big5\n", b"#coding:gbk\n"]))
def test_any_bytes_come_back_or_are_left_alone_with_a_reason(data: bytes, start: bytes) -> None:
    try:
        source = decode(start + data, "a.py")
    except Skip as why:
        assert str(why)
    else:
        assert source.encode(source.text) == start + data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"x = '\0'\n", "binary"),
        ("x = 'ü'\n".encode("utf-16"), "binary"),
        (b"x = '\xfc'\n", "not UTF-8"),
        (b"\n\n\n\nx = '\xfc'\n", "not UTF-8"),
        (b"# coding: ascii\nx = '\xfc'\n", "not ascii, which it says it is"),
        (b"# coding: euc-jp\nx = '\xff'\n", "not euc_jp, which it says it is"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
        (b"#" * (MAX_BYTES + 1), "larger than 1 MB"),
        (b"x = 1\ry = 2\r", "lines end with a carriage return only"),
        (b"# coding: utf-7\nx = 1\n", "encoding utf-7"),
        (b"# coding: rot13\nk = 1\n", "encoding rot-13"),
        (b"# coding: idna\nx = 1\n", "encoding idna"),
        (b"# coding: hex\n78\n", "encoding hex"),
        (b"# coding: unicode_escape\nx = 1\n", "encoding unicode-escape"),
        (b"# coding: utf-16\nx = 1\n", "encoding utf-16"),
        (b"# coding: shift_jis\nx = 1\n", "encoding shift_jis"),
        (b"# coding: klingon\nx = 1\n", "unknown encoding: klingon"),
        (codecs.BOM_UTF8 + b"# coding: latin-1\nx = 1\n", "encoding problem: utf-8"),
    ],
)
def test_what_cannot_be_worked_on_is_left_alone_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Skip) as why:
        decode(data, "a.py")
    assert str(why.value) == reason


def test_a_codec_that_knows_two_ways_to_write_a_character_is_left_alone() -> None:
    data = b"# coding: big5\nx = '\xa2\xcc\xa4\x51'\n"  # both read as the same character, only the second is written
    with pytest.raises(Skip) as why:
        decode(data, "a.py")
    assert str(why.value) == "does not come back byte for byte from big5"


def test_a_file_of_the_greatest_size_is_read() -> None:
    assert len(decode(b"#" * MAX_BYTES, "a.py").text) == MAX_BYTES


def test_only_python_files_have_a_coding_cookie() -> None:
    assert decode("# coding: latin-1\nü\n".encode(), "README.md").encoding == "utf-8"
    assert decode(COOKIE + b"\xfc", "a.pyi").encoding == "iso8859-1"


def test_a_character_outside_of_the_encoding_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        decode(COOKIE, "a.py").encode("→")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a\n"]),
        ("a\r\nb\rc\nd", ["a\r\n", "b\r", "c\n", "d"]),
        ("a\x0cb\x0b\x1c\x85\u2028c\n", ["a\x0cb\x0b\x1c\x85\u2028c\n"]),
        ("\n\r\n\r", ["\n", "\r\n", "\r"]),
    ],
)
def test_lines_are_split_where_python_counts_them(text: str, lines: list[str]) -> None:
    assert split(text) == lines


@given(st.lists(st.sampled_from(["\n", "\r\n", "\r", "# \x0c\x0b\x1c\x85\u2028\n", "'''\n\r\x0c'''\n"]), max_size=8))
def test_the_parser_counts_lines_as_we_do(parts: list[str]) -> None:
    text = "".join([*parts, "x"])
    assert ast.parse(text).body[-1].lineno == len(split(text))
    assert "".join(split(text)) == text


@pytest.mark.parametrize(("line", "end"), [("a\n", "\n"), ("a\r\n", "\r\n"), ("a\r", "\r"), ("a", ""), ("\n", "\n")])
def test_a_line_knows_its_ending(line: str, end: str) -> None:
    assert ending(line) == end


@pytest.mark.parametrize(
    ("text", "usual"),
    [("", "\n"), ("a", "\n"), ("a\nb\n", "\n"), ("a\r\nb\r\n", "\r\n"), ("a\r\nb\n", "\n"), ("a\r\nb\r\nc\n", "\r\n")],
)
def test_the_usual_ending_is_that_of_most_lines(text: str, usual: str) -> None:
    assert newline(text) == usual


@pytest.mark.parametrize(
    ("text", "so"),
    [
        ("# @generated by protoc\n", True),
        ("# Generated by the protocol buffer compiler.  DO NOT EDIT!\n", True),
        ("# Autogenerated file, please do not modify\n", True),
        ("# DO NOT EDIT: this file is generated by tools/gen.py\n", True),
        ("#\n# AUTO-GENERATED FILE\n# Do not edit.\n", True),
        ("\n" * 12 + "# @generated\n", False),
        ("# Generated by Django 4.2 on 2023-04-01\n", False),
        ("def generated(): ...\n", False),
        ("", False),
    ],
)
def test_generated_files_are_known_by_their_first_lines(text: str, so: bool) -> None:
    assert generated(text) is so
