"""Draw docs/page.png, the README's picture of the page: `python tests/web/picture.py`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parents[2] / "docs" / "page.png"
SHEET = """\
email,domain,relay_server,password,project,reply_to,Client
ann.lee,acme-mail.example,Mailgun,Sheet-Pass-77!,Spring campaign,sales@acme.example,Contoso
bob ray,acme-mail.example,Mailgun,Other-Pass-42?,,,Northwind
cy.fox,,Mailgun,Third-Pass-43?,,,Contoso
dan.elk,acme-mail.example,Mailgun,weak,,,Contoso
eve.doe,acme-mail.example,Mailgun,weak,,,Contoso
"""


def draw(folder: Path) -> None:
    """Open the check screen of a sheet with a few mistakes, and keep what it looks like."""
    (folder / "spring.csv").write_text(SHEET, encoding="utf-8")
    command = [sys.executable, "-m", "provisioner", "web", str(folder), "--sandbox", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        assert program.stdout is not None
        address = program.stdout.readline().strip()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            tab = browser.new_page(viewport={"width": 1360, "height": 860}, color_scheme="light")
            tab.goto(address)
            tab.get_by_role("link", name="spring.csv").click()
            tab.get_by_role("table", name="Rows to fix").wait_for()
            PICTURE.write_bytes(tab.screenshot())
            browser.close()
        program.terminate()


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        draw(Path(folder))
