"""Who needs a token, and which address people are told."""

import pytest

from launch.compose import access_of, urls
from launch.settings import Network


def test_on_loopback_nobody_needs_a_token():
    assert not access_of(Network(("127.0.0.1", "::1", "localhost"))).needs_token


def test_beyond_loopback_a_token_is_made_or_taken_unless_it_is_waived():
    made = access_of(Network(("0.0.0.0",)))
    assert made.needs_token
    assert made.token is not None
    assert len(made.token) >= 32
    assert access_of(Network(("192.168.1.5",), token="mine")).token == "mine"
    assert not access_of(Network(("0.0.0.0",), auth=False)).needs_token


def test_two_servers_make_different_tokens():
    assert access_of(Network(("0.0.0.0",))).token != access_of(Network(("0.0.0.0",))).token


def test_a_token_given_on_loopback_is_asked_for():
    assert access_of(Network(("127.0.0.1",), token="mine")).needs_token


@pytest.mark.parametrize(
    ("address", "tls", "url"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:80"),
        ("0.0.0.0", False, "http://127.0.0.1:80"),
        ("::", True, "https://[::1]:80"),
        ("::1", False, "http://[::1]:80"),
    ],
)
def test_the_printed_address_can_be_opened(address: str, tls: bool, url: str):
    assert urls({address: 80}, access_of(Network()), tls) == [url]


def test_the_printed_address_carries_the_token():
    assert urls({"0.0.0.0": 80}, access_of(Network(("0.0.0.0",), token="mine")), False) == [
        "http://127.0.0.1:80/?token=mine"
    ]
