"""Who may sign, as a contract in words."""

from typing import Protocol

from remit.identity.model import Principal


class Authenticator(Protocol):
    """Turns a bearer token into a principal, on every request; nothing is trusted from an earlier one.

    A verified token may be remembered by its hash, no longer than its expiry and no longer than the revocation epoch
    stands still. Keys of an issuer are fetched at most once per `JWKS_REFETCH_MIN_S`, however many unknown
    key ids are presented. Raises `Denied(identity.*)`; never says which check of a signature failed.
    """

    async def agent(self, token: str | None, audience: str) -> Principal:
        """A principal of kind `agent` (a catalogued, enrolled, unrevoked one). `audience` is the endpoint's URL."""
        ...

    async def service(self, token: str | None, audience: str) -> Principal:
        """A principal of kind `service`, at the people's door."""
        ...

    async def subject(self, id_token: str) -> str:
        """`issuer#subject` of a person's verified ID token, from an issuer marked `for_people`."""
        ...
