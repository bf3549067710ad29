"""Which certificates are trusted."""

from __future__ import annotations

import ssl

import certifi


def trusted() -> ssl.SSLContext:
    """Certificates that the machine trusts (an office's own among them), and the usual public ones."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
