"""The issuer process, and what a test says to it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest


class IssuerProcess:
    """The issuer as seen from outside: its URL and its control endpoint."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def mint(self, claims: dict[str, Any]) -> str:
        return self._control(do="mint", claims=claims)

    def rotate(self, keep: int = 0) -> str:
        return self._control(do="rotate", keep=keep)

    def behave(self, manner: str) -> None:
        self._control(do="behave", manner=manner)

    def count(self) -> int:
        return self._control(do="count")

    def _control(self, **what: Any) -> Any:
        asked = Request(f"{self.url}/control", json.dumps(what).encode(), method="POST")
        with urlopen(asked, timeout=5) as answer:
            return json.load(answer)


@pytest.fixture
def issuer() -> Iterator[IssuerProcess]:
    script = Path(__file__).with_name("issuer.py")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield IssuerProcess(int(process.stdout.readline()))
        finally:
            process.kill()
