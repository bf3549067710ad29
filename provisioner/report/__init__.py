"""report.html: how a run went, on one page that needs no network and may be passed on."""

from provisioner.report.page import write_report

__all__ = ["write_report"]
