"""What ends a run, in sentences that say who must act: the key, a payment, the address, a proxy, a firewall."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from provisioner.defaults import CREATE_PATH
from provisioner.errors import KeyRefusedError, PaymentRequiredError, ServiceDownError, WrongServiceError

if TYPE_CHECKING:
    from provisioner.service.transport import NeverConnected, Reply
    from provisioner.settings import Connection

TRY_LATER = "Run again in a few minutes; if it stays so, ask Mission Inbox's support."
NOT_YET_VALID, EXPIRED = 9, 10
"""OpenSSL's verification errors, X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
OTHER_CREATE_PATH = "/mailbox/"
"""As the service's API reference has it."""


def quoted(said: str) -> str:
    """The service's own sentence, to stand after a status."""
    return f": {said.removesuffix('.')}" if said else ""


def key_refused(reply: Reply, said: str) -> KeyRefusedError:
    return KeyRefusedError(
        f"Mission Inbox rejected the API key ({reply.status}{quoted(said)}).",
        remedy="Ask the manager of your account for the right key, then run again.",
    )


def payment_required(said: str) -> PaymentRequiredError:
    return PaymentRequiredError(
        f"Mission Inbox wants a payment before it goes on (402{quoted(said)}).",
        remedy="Pay or renew the card at Mission Inbox, then run again. There is nothing to fix in the rows.",
    )


def blocked(origin: str, reply: Reply) -> WrongServiceError:
    """A page from a firewall or a proxy, which says nothing about the key."""
    return WrongServiceError(
        f"Something in front of {origin} answered with a web page ({reply.status}) and let nothing through. Your API "
        "key and your sheet are not the cause.",
        remedy="Run again in a few minutes, with a lower --rate. If it stays so, ask Mission Inbox's support to let "
        "this computer's address through.",
    )


def key_uncertain(origin: str, reply: Reply, said: str) -> ServiceDownError:
    return ServiceDownError(
        f"{origin} refused a request ({reply.status}{quoted(said)}) and then did not say whether the API key is still "
        "good.",
        remedy=TRY_LATER,
    )


def out_of_order(origin: str, reply: Reply, said: str) -> ServiceDownError:
    page = ", with a web page from something in front of it" if reply.is_web_page else ""
    return ServiceDownError(
        f"{origin} answers that it is out of order ({reply.status}{quoted(said)}){page}.", remedy=TRY_LATER
    )


def wrong_service(origin: str, reply: Reply, location: str) -> WrongServiceError:
    """`location` is where a redirect leads, if it can be shown."""
    if 300 <= reply.status < 400:
        what = f"redirects to {location or 'another address'}, which is not followed"
    elif reply.status == 404:
        what = "has no such page (404)"
    else:
        what = f"answers with a web page instead of data ({reply.status})"
    return WrongServiceError(
        f"{origin} {what}: this is not the service's address, or something in front of it answers.",
        remedy="Check --api-url or MISSION_INBOX_URL. If the address is right, run again later.",
    )


def nothing_creates(connection: Connection, reply: Reply) -> WrongServiceError:
    path = connection.create_path
    other = OTHER_CREATE_PATH if path == CREATE_PATH else CREATE_PATH
    return WrongServiceError(
        f"No mailboxes are created at {connection.api_url.rstrip('/')}{path} ({reply.status}). Your rows are not the "
        "cause.",
        remedy=f"Check --api-url, or name the path that creates mailboxes: --create-path {other}",
    )


def untrusted(origin: str, failure: NeverConnected) -> WrongServiceError:
    if failure.certificate in (NOT_YET_VALID, EXPIRED):
        now = datetime.now(tz=UTC).astimezone()
        when = "is not valid yet" if failure.certificate == NOT_YET_VALID else "has expired"
        return WrongServiceError(
            f"By this computer's clock, which says {now:%Y-%m-%d %H:%M}, the certificate of {origin} {when}.",
            remedy="If the clock is wrong, set it and run again. If it is right, ask Mission Inbox's support.",
            technical=failure.reason,
        )
    return WrongServiceError(
        f"{origin} does not prove who it is.",
        remedy="Check the address. If your office's network reads encrypted traffic, its certificate must be "
        "installed on this computer.",
        technical=failure.reason,
    )


def proxy_refused(connection: Connection, status: int) -> ServiceDownError:
    if status == 407:
        refuses, wants = "does not accept the user name and password in HTTPS_PROXY", "wants a user name and password"
        return ServiceDownError(
            f"Your office's proxy {refuses if '@' in (connection.proxy or '') else wants} (407).",
            remedy="Write them into HTTPS_PROXY, like http://user:password@proxy.example:3128. Your network "
            "administrator knows them.",
        )
    return ServiceDownError(
        f"Your office's proxy does not let this computer reach {connection.api_url} ({status}).",
        remedy="Ask your network administrator to allow that address.",
    )
