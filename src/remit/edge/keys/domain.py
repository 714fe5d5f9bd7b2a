"""The local trust domain as a running gateway speaks for it: step tokens, standing tokens, and the public keys others
verify with.
"""

from collections.abc import Callable, Mapping
from typing import Any

from remit.catalogue import View
from remit.catalogue.model import StandingToken
from remit.edge.keys.files import TokenKey
from remit.edge.keys.local import LocalIssuer, public_jwks
from remit.identity.model import Key
from remit.identity.spiffe import agent_id
from remit.task.model import Task


class Domain:
    """`view` is what is in force; `url` the gateway's, as agents are told; `now_ms` epoch ms."""

    def __init__(self, key: TokenKey, view: Callable[[], View], *, url: str, now_ms: Callable[[], int]) -> None:
        self._key = key
        self._view = view
        self._url = url
        self._now_ms = now_ms

    def step_token(self, task: Task) -> str:
        """A token of the task's agent, for this task, at the endpoint of all connectors; valid for minutes."""
        issuer = LocalIssuer(self._key, self._view().declared.trust_domain)
        return issuer.mint(task.agent, audience=f"{self._url}/mcp", now_s=self._now_ms() // 1000, task=task.id)

    def standing_token(self, jti: str, row: StandingToken) -> str:
        """The standing token of a row, which is worth nothing before the row is written."""
        return LocalIssuer(self._key, self._view().declared.trust_domain).stand(jti, row)

    def jwks(self) -> Mapping[str, Any]:
        """See `published`."""
        return published(self._key.public, self._view())


def published(own: Key, view: View) -> Mapping[str, Any]:
    """The gateway's own key, and every enrolled key that is not revoked, as others fetch them."""
    enrolled = {kid: view.agent_key(kid) for kid in sorted(view.keys)}
    of_agents = [
        Key(kid=kid, jwk=key.jwk, only_subject=agent_id(view.declared.trust_domain, key.agent))
        for kid, key in enrolled.items()
        if key is not None
    ]
    return public_jwks([own, *of_agents])
