"""The client of the service: `client` has its calls, `transport` sends them, `answers` reads the responses."""

from provisioner.service.answers import ListingUnavailableError
from provisioner.service.client import Service

__all__ = ["ListingUnavailableError", "Service"]
