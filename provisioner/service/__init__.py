"""The client of the service. Its calls are `client`'s; under them `wire` knows the network, and `answers` the words."""

from provisioner.service.answers import ListingUnavailableError
from provisioner.service.client import Service

__all__ = ["ListingUnavailableError", "Service"]
