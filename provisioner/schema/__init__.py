"""The sheet's contract: which columns there are, what may stand in them, and what is said where something else does."""

from provisioner.schema.headers import normalize
from provisioner.schema.loader import load, read_schema, shipped
from provisioner.schema.model import Column, MailboxSchema, Rule
from provisioner.schema.probe import LONGEST_CELL

__all__ = ["LONGEST_CELL", "Column", "MailboxSchema", "Rule", "load", "normalize", "read_schema", "shipped"]
