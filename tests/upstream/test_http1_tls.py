"""TLS: who is believed, and that nothing is written to anybody else."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from remit.edge.upstream.http1 import verified
from remit.errors import UpstreamFault
from tests.upstream.http1_server import OK, Peer, answering, post, serving, whole

DAY = dt.timedelta(days=1)
BODY = bytes(range(256)) * 8_192


class Authority:
    """A certificate authority that lives for one test; `root` is its certificate, a PEM file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        made = self._signed(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.root = self._written("root.pem", made.sign(self._key, hashes.SHA256()))

    def server(self, *names: x509.GeneralName, until: dt.timedelta = DAY) -> ssl.SSLContext:
        """What a server of these names uses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test server")])
        made = self._signed(subject, key.public_key(), until=until).add_extension(
            x509.SubjectAlternativeName(names), critical=False
        )
        chain = self._written("server.pem", made.sign(self._key, hashes.SHA256()))
        private = serialization.PrivateFormat.PKCS8
        with chain.open("ab") as file:
            file.write(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def trusted(self) -> dict[str, Any]:
        """The pool of somebody who trusts this authority."""
        context = ssl.create_default_context(cafile=str(self.root))
        return {"tls": lambda: context}

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, until: dt.timedelta = DAY
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        identity = x509.SubjectKeyIdentifier.from_public_key(key)
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(identity, critical=False).add_extension(ours, critical=False)
        return (
            builder.serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * DAY)
            .not_valid_after(now + until)
        )

    def _written(self, name: str, certificate: x509.Certificate) -> Path:
        path = self._directory / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


HERE = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


async def test_a_server_whose_certificate_is_trusted_is_asked(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        while back := await peer.request():
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(back), back)

    async with serving(script, tls=authority.server(HERE), pool=authority.trusted()) as (pool, server):
        for body in (b"{}", BODY, b"{}"):
            assert await whole(await post(pool, server, body)) == body
        assert len(server.peers) == 1


async def test_a_name_is_asked_by_its_name(authority: Authority) -> None:
    tls = authority.server(x509.DNSName("localhost"))
    async with serving(answering(OK), tls=tls, pool=authority.trusted()) as (pool, server):
        server.url = server.url.with_host("localhost")
        assert await whole(await post(pool, server)) == b"hi"


@pytest.mark.parametrize(
    "case", ["untrusted", "trusted-by-the-system-only", "other-name", "other-address", "expired", "self-made"]
)
async def test_a_server_whose_certificate_is_not_is_sent_nothing(
    authority: Authority, tmp_path: Path, case: str
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    names = {"other-name": x509.DNSName("a.example"), "other-address": x509.IPAddress(ipaddress.ip_address("::1"))}
    tls = (other if case == "self-made" else authority).server(
        names.get(case, HERE), until=-DAY if case == "expired" else DAY
    )
    trusts = {"untrusted": other.trusted(), "trusted-by-the-system-only": {"tls": verified}}
    async with serving(answering(OK), tls=tls, pool=trusts.get(case, authority.trusted())) as (pool, server):
        with pytest.raises(UpstreamFault, match="cannot be reached") as fault:
            await post(pool, server)
        assert (fault.value.sent, fault.value.why) == (False, "unreachable")
        assert server.asked == []


async def test_a_server_without_tls_is_sent_nothing_in_the_clear() -> None:
    async def script(peer: Peer) -> None:
        heard.append(await peer.reader.read(100_000))
        await peer.say(OK)

    heard: list[bytes] = []
    async with serving(script) as (pool, server):
        server.url = server.url.with_scheme("https")
        with pytest.raises(UpstreamFault, match="cannot be reached") as fault:
            await post(pool, server)
        assert not fault.value.sent
        assert [first[:2] for first in heard] == [b"\x16\x03"]  # a ClientHello


@pytest.mark.holds("INV-01-ONCE")
async def test_a_connection_the_server_ended_while_it_rested_is_not_asked(authority: Authority) -> None:
    tls = authority.server(HERE)
    async with serving(answering(OK, close=True), tls=tls, pool=authority.trusted()) as (pool, server):
        for _ in range(3):
            assert await whole(await post(pool, server)) == b"hi"
            await server.peers[-1].writer.wait_closed()
        assert [len(peer.asked) for peer in server.peers] == [1, 1, 1]


async def test_an_answer_cut_off_is_a_fault(authority: Authority) -> None:
    tls = authority.server(HERE)
    async with serving(answering(OK[:-1], close=True), tls=tls, pool=authority.trusted()) as (pool, server):
        with pytest.raises(UpstreamFault, match="broke"):
            await whole(await post(pool, server))


def test_certificates_and_names_are_checked_and_the_context_is_made_once() -> None:
    context = verified()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert verified() is context
