"""Which links lead astray."""

import time

import pytest

from plumbline_guards.findings import Finding, Kind
from plumbline_guards.links import hosts_in, is_harmful, leads_elsewhere
from plumbline_guards.scanner import scan
from plumbline_guards.testing import HOSTS, LINKS, SAFE_LINKS


def found(text: str, hosts: frozenset[str] = HOSTS) -> list[Finding]:
    return [
        finding
        for finding in scan(text, is_unsafe=lambda link: is_harmful(link) or leads_elsewhere(link, hosts))
        if finding.kind is Kind.UNSAFE_LINK
    ]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(
    "frame", ["{}", "See {} now.", "![x]({})", "<a href={}>", "({}), yes", "\u6f22\u5b57 {}\u3002"]
)
def test_what_leads_astray_is_found_to_its_end(link: str, frame: str) -> None:
    text = frame.format(link)
    start = text.index(link)
    assert found(text) == [Finding(Kind.UNSAFE_LINK, start, start + len(link))]


@pytest.mark.parametrize("link", SAFE_LINKS)
def test_a_known_host_is_left(link: str) -> None:
    assert not found(f"See [lamp]({link}), {link} or <{link}>.")


@pytest.mark.parametrize(
    "text",
    ["C++ std::vector, a//b, C:\\dir, http: the protocol.", "At 12:30, key:value, data: a table.", "See //, or www."],
)
def test_what_is_no_link_is_left(text: str) -> None:
    assert not found(text)


@pytest.mark.parametrize("sign", ["&sol;&sol;", "&#47;&#x2F;", "https&colon;//", "&bsol;/"])
def test_no_sign_of_an_address_is_spelled_out(sign: str) -> None:
    assert found(f"![x]({sign}other.example/pixel.png)")


def test_an_address_ends_before_the_full_stop_of_a_script_without_spaces() -> None:
    assert not found("\u89c1https://shop.example/lamp\u3002\u8c22\u8c22\u3002")
    assert not found("\u89c1https://shop.example\u3002")


def test_a_key_in_a_safe_link_is_found() -> None:
    [finding] = scan("https://shop.example/?k=sk-proj-" + "Ab12Cd34" * 4, is_unsafe=lambda link: False)
    assert finding.kind is Kind.SECRET


def test_the_second_of_two_links_without_a_space_is_found() -> None:
    assert found("(https://shop.example/a)(https://other.example/b)")


def test_hosts_are_named_or_linked_to() -> None:
    texts = ["Go to Shop.Example, or https://www.m\u00fcller.example:8080/x.", "help@mail.example"]
    assert hosts_in(texts) == {"shop.example", "m\u00fcller.example", "mail.example"}


def test_a_name_of_another_script_is_a_host_like_others_unless_it_imitates_one() -> None:
    hosts = hosts_in(["https://m\u00fcller.example and https://sh\u043ep.example"])
    assert not found("https://m\u00fcller.example/x", hosts)
    assert found("https://sh\u043ep.example/x", hosts)


@pytest.mark.parametrize("text", ["a." * 50_000, "-a.a." * 20_000, "https://shop.example/" + ")" * 100_000])
def test_hosts_of_a_long_text_take_the_time_of_its_length(text: str) -> None:
    began = time.process_time()
    hosts_in([text])
    assert time.process_time() - began < 5
