"""What the account has, as it is shown beside a sheet."""

from __future__ import annotations

import re
from typing import Any


def names(html: str) -> list[str]:
    return re.findall('<th scope="row">(.*?)</th>', html)


def test_all_that_can_be_written_into_a_sheet_is_listed(site: Any, sandbox: Any) -> None:
    """More than a sentence about a wrong cell names, and which domains are not verified; every screen leads to it."""
    page = site(sandbox(latency=0))
    assert f'href="{page.path}/account"' in page.get("check").text
    html = page.get("account").text
    domains = ["acme-mail.example", "acme-outreach.example", "acme-news.example", "acme-pending.example"]
    assert names(html)[:4] == domains
    assert "MissionInbox" in names(html)
    assert "Spring campaign" in names(html)
    assert re.findall("<td>(yes|no)</td>", html) == ["yes", "yes", "yes", "no"]


def test_a_list_that_the_service_does_not_give_hides_no_other(site: Any, sandbox: Any) -> None:
    """It is said which one there is not, in the place where it would stand."""
    html = site(sandbox(latency=0, no_projects=True)).get("account").text
    assert "The account&#39;s projects cannot be listed" in html
    assert "acme-mail.example" in names(html)


def test_a_key_that_is_refused_is_said(site: Any, sandbox: Any) -> None:
    """In the words of the command line."""
    answer = site(sandbox(latency=0), api_key="wrong").get("account")
    assert answer.status_code == 409
    assert "rejected the API key" in answer.text
