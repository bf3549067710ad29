"""A text that is masked wherever it is shown."""

from __future__ import annotations

MASK = "•••"


class Secret:
    """A text that must not be seen: it shows as dots wherever it is printed, formatted or logged."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Call it only where it is sent or written by design."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is never pickled")


class SecretField:
    """A field of a dataclass that takes a plain text too, and always holds a Secret.

    https://docs.python.org/3/library/dataclasses.html#descriptor-typed-fields
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Secret:
        if instance is None:
            raise AttributeError(self._name)  # it has no default
        secret: Secret = vars(instance)[self._name]
        return secret

    def __set__(self, instance: object, value: str | Secret) -> None:
        vars(instance)[self._name] = value if isinstance(value, Secret) else Secret(value)
