"""Which URLs may be tried at all, and which addresses may be connected to."""

from contextlib import nullcontext
from ipaddress import ip_address, ip_network

import pytest

from avtomatika.delivery.address import AddressRefused, Zone, check_address, destination, zone
from avtomatika.errors import InvalidInput
from avtomatika.ports.delivery import Reach
from tests.unit.delivery.hostile import cases

CLOSED = Reach()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://app.example", "app.example"),
        ("https://app.example/", "app.example"),
        ("HTTPS://App.Example/hook", "app.example"),
        ("https://app.example:8443/hook?to=a@b.example&x=http://127.0.0.1/#top", "app.example"),
        ("https://app.example/?ü=€", "app.example"),
        ("https://xn--mnchen-3ya.example/", "xn--mnchen-3ya.example"),
        ("https://some_host.example/", "some_host.example"),
        ("https://3com.example/", "3com.example"),
        ("https://1.1.1.1/", "1.1.1.1"),
        ("https://[2606:4700:4700::1111]:8443/", "[2606:4700:4700::1111]"),
        ("https://[::ffff:1.1.1.1]/", "[::ffff:1.1.1.1]"),
        ("https://app.example/" + "a" * 2_028, "app.example"),
    ],
)
def test_an_ordinary_url_may_be_tried(url: str, host: str) -> None:
    assert destination(url, CLOSED).host == host


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://app.example/", "must begin with https://"),
        ("https://app.example/" + "a" * 2_029, "more than 2048 characters"),
        ("https://me:secret@app.example/", "user name or a password"),
        ("https://127.0.0.1/", "not public"),
        ("https://2130706433/", "not the usual one"),
        ("https://localhost/", "full name of a public host"),
        ("https://münchen.example/", "ASCII form"),
        ("https://app.example:0/", "names no port"),
        ("https://app.example/a b", "without blanks"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_repeating_it(url: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        destination(url, CLOSED)
    assert caught.value.field == "webhook_url"
    assert "secret" not in caught.value.message


def test_every_hostile_url_that_tells_by_itself_is_refused_when_the_job_is_created() -> None:
    told = [case for case in cases() if case.kind not in ("resolved", "mixed")]
    passed = []
    for case in told:
        try:
            passed.append((case.url, destination(case.url.format(port=8443), CLOSED)))
        except InvalidInput:
            continue
    # They name no address: what they lead to is told by their look-up.
    assert [(url, found.address) for url, found in passed] == [
        ("https://public.example#@127.0.0.1:{port}/", None),
    ]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("1.1.1.1", Zone.PUBLIC),
        ("9.255.255.255", Zone.PUBLIC),
        ("10.0.0.0", Zone.PRIVATE),
        ("11.0.0.0", Zone.PUBLIC),
        ("100.63.255.255", Zone.PUBLIC),
        ("100.64.0.0", Zone.PRIVATE),
        ("100.128.0.0", Zone.PUBLIC),
        ("169.253.255.255", Zone.PUBLIC),
        ("169.254.0.0", Zone.FORBIDDEN),
        ("169.255.0.0", Zone.PUBLIC),
        ("172.15.255.255", Zone.PUBLIC),
        ("172.32.0.0", Zone.PUBLIC),
        ("192.167.255.255", Zone.PUBLIC),
        ("192.169.0.0", Zone.PUBLIC),
        ("198.17.255.255", Zone.PUBLIC),
        ("198.20.0.0", Zone.PUBLIC),
        ("223.255.255.255", Zone.PUBLIC),
        ("224.0.0.0", Zone.FORBIDDEN),
        ("255.255.255.255", Zone.FORBIDDEN),
        ("168.63.129.15", Zone.PUBLIC),
        ("168.63.129.16", Zone.FORBIDDEN),
        ("::1", Zone.PRIVATE),
        ("::", Zone.FORBIDDEN),
        ("2001:1ff:ffff::1", Zone.FORBIDDEN),
        ("2001:200::1", Zone.PUBLIC),
        ("2001:4860:4860::8888", Zone.PUBLIC),
        ("2002:101:101::1", Zone.PUBLIC),
        ("2002:7f00:1::1", Zone.PRIVATE),
        ("2002:a9fe:a9fe::1", Zone.FORBIDDEN),
        ("64:ff9b::1.1.1.1", Zone.PUBLIC),
        ("64:ff9b::10.0.0.1", Zone.PRIVATE),
        ("2600::5efe:8.8.8.8", Zone.PUBLIC),
        ("2600::5efe:10.0.0.1", Zone.PRIVATE),
        ("fe80::5efe:8.8.8.8", Zone.FORBIDDEN),
        ("fd00:ec2::254", Zone.FORBIDDEN),
        ("::ffff:100.100.100.200", Zone.FORBIDDEN),
        ("2002:a83f:8110::1", Zone.FORBIDDEN),
        ("64:ff9b:1::1", Zone.PRIVATE),
        ("::ffff:0:101:101", Zone.PUBLIC),
        ("::ffff:0:a00:1", Zone.PRIVATE),
    ],
)
def test_the_borders_of_the_zones_are_where_the_registries_draw_them(address: str, kind: Zone) -> None:
    assert zone(ip_address(address)) is kind


@pytest.mark.parametrize(
    ("reach", "address", "host", "allowed"),
    [
        (Reach(), "10.0.0.1", "db.example", False),
        (Reach(private=True), "10.0.0.1", "db.example", True),
        (Reach(private=True), "::1", "db.example", True),
        (Reach(private=True), "169.254.169.254", "db.example", False),
        (Reach(private=True), "fd00:ec2::254", "db.example", False),
        (Reach(private=True), "224.0.0.1", "db.example", False),
        (Reach(hosts=frozenset({"db.example"})), "10.0.0.1", "db.example", True),
        (Reach(hosts=frozenset({"db.example"})), "10.0.0.1", "x.db.example", False),
        (Reach(hosts=frozenset({"db.example"})), "169.254.169.254", "db.example", False),
        (Reach(networks=(ip_network("10.1.0.0/16"),)), "10.1.2.3", "db.example", True),
        (Reach(networks=(ip_network("10.1.0.0/16"),)), "10.2.0.1", "db.example", False),
        (Reach(networks=(ip_network("10.1.0.0/16"),)), "::ffff:10.1.2.3", "db.example", True),
        (Reach(networks=(ip_network("169.254.0.0/16"),)), "169.254.169.254", "db.example", False),
    ],
)
def test_an_operator_can_open_private_addresses_but_never_those_of_metadata(
    reach: Reach, address: str, host: str, allowed: bool
) -> None:
    expected = nullcontext() if allowed else pytest.raises(AddressRefused, match=f"^{host} has an address")
    with expected:
        check_address(ip_address(address), host, reach)


def test_names_without_a_dot_can_be_allowed_by_name() -> None:
    assert destination("https://localhost:1/", Reach(hosts=frozenset({"localhost"}))).host == "localhost"
    assert destination("https://localhost:1/", Reach(private=True)).host == "localhost"


def test_http_can_be_allowed_and_nothing_else() -> None:
    assert destination("http://app.example/", Reach(http=True)).host == "app.example"
    with pytest.raises(InvalidInput, match="https:// or http://"):
        destination("ftp://app.example/", Reach(http=True))
