"""The client of the service: `client` has its calls, `session` sends them, `answers` reads the responses."""

from provisioner.service.client import Service
from provisioner.service.lists import ListChangedError, ListingUnavailableError

__all__ = ["ListChangedError", "ListingUnavailableError", "Service"]
