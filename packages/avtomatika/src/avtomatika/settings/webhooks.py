"""The settings of webhooks."""

import ipaddress

import msgspec

from avtomatika.commands.webhooks import WebhookPolicy, keys_of
from avtomatika.kernel.time import Span
from avtomatika.ports.delivery import Reach
from avtomatika.settings.reader import SHORTEST, Reader

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class WebhookSettings(msgspec.Struct, frozen=True):
    """Where webhooks may go, how often they are tried, and how many at once."""

    reach: Reach = Reach()
    policy: WebhookPolicy = WebhookPolicy()
    timeout: Span = Span(10_000)
    width: int = 100


def webhook_secret(reader: Reader) -> str | None:
    """`WEBHOOK_SECRET`: one, or several with blanks between them."""
    secret = reader.optional("WEBHOOK_SECRET")
    try:
        if secret is not None and keys_of(secret):
            return secret
    except ValueError:
        pass
    if secret is not None:
        reader.problem("WEBHOOK_SECRET", "must be whsec_ and the Base64 of 24 to 64 bytes")
    return None


def read_webhooks(reader: Reader) -> WebhookSettings:
    """The `WEBHOOK_…` variables."""
    hosts, networks = set[str](), list[Network]()
    for text in filter(None, map(str.strip, reader.text("WEBHOOK_ALLOWED_HOSTS", "").split(","))):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            if "/" in text or ":" in text:
                reader.problem("WEBHOOK_ALLOWED_HOSTS", f"{text!r} is neither a host name nor a network")
            hosts.add(text.lower())
    default = WebhookPolicy()
    return WebhookSettings(
        reach=Reach(
            http=reader.flag("WEBHOOK_ALLOW_HTTP", False),
            private=reader.flag("WEBHOOK_ALLOW_PRIVATE", False),
            hosts=frozenset(hosts),
            networks=tuple(networks),
        ),
        policy=WebhookPolicy(
            tries=reader.whole("WEBHOOK_MAX_TRIES", default.tries, 1),
            backoff_first=reader.span("WEBHOOK_BACKOFF_SECONDS", 5, SHORTEST),
            backoff_most=reader.span("WEBHOOK_BACKOFF_MAX_SECONDS", 43_200, SHORTEST),
            keep_dead=Span(reader.whole("WEBHOOK_DEAD_LETTER_DAYS", 30, 1) * 86_400_000),
        ),
        timeout=reader.span("WEBHOOK_TIMEOUT_SECONDS", 10, SHORTEST),
        width=reader.whole("WEBHOOK_CONCURRENCY", 100, 1),
    )
