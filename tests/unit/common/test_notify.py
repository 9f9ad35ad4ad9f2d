"""Notifications: by a real request to each address, whose failure is one line that holds no address."""

import logging
from collections.abc import Iterator

import pytest

from common.notify import NOTIFY, notify
from support.notified import Notified

SECRET = "t0ps3cret"


@pytest.fixture
def server() -> Iterator[Notified]:
    with Notified() as running:
        yield running


def test_each_address_gets_it(server: Notified, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NOTIFY, f"{server.address('a')}\n {server.address('b')}")
    notify("BUY BTCUSDT", "Expected return +1.2 % — as < 5 % & more")
    assert server.messages == [("BUY BTCUSDT", "Expected return +1.2 % — as < 5 % & more")] * 2


def test_without_addresses_nothing_is_sent(server: Notified, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NOTIFY, raising=False)
    notify("BUY", "now")
    assert server.messages == []


def test_what_fails_is_told_without_its_address(
    server: Notified,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    refusing = server.address(SECRET)
    server.refuses = True
    # refused, none that apprise knows, none that answers
    addresses = [refusing, f"nosuch://{SECRET}@host", f"json://127.0.0.1:9/{SECRET}", SECRET]
    monkeypatch.setenv(NOTIFY, " ".join(addresses))
    with caplog.at_level(logging.DEBUG):
        notify("BUY BTCUSDT", "now")
    out, err = capfd.readouterr()
    assert out + err == f"{NOTIFY}: no notification of 'BUY BTCUSDT' by address 1, 2, 3, 4 of 4\n"
    assert SECRET not in caplog.text
    # what logs afterwards is heard again
    assert logging.root.manager.disable == 0
