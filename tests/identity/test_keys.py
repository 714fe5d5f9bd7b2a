"""Token keys in files, and the tokens they mint."""

import stat

import pytest
from msgspec import json

from remit.catalogue import View
from remit.edge.keys.files import load_key, make_key
from remit.edge.keys.jwks import keys_in
from remit.edge.keys.local import LocalIssuer, public_jwks
from remit.errors import ConfigFault
from remit.identity import Key, peek
from remit.identity.jwk import enrollable
from remit.limits import TOKEN_LIFETIME_MAX_S
from remit.reasons import Denied, Reason
from tests.identity.forge import pair
from tests.identity.world import DOMAIN, ENDPOINT, GATEWAY, NOW, World, declared


def enrolled(world: World, key, name: str) -> None:
    row = json.encode({"agent": name, "jwk": dict(key.public.jwk), "at": 1})
    world.view = View.of(declared(), "sha256:0", pins={}, seen={}, keys={key.public.kid: row}, revoked={})


async def test_an_enrolled_agent_mints_tokens_that_are_accepted(tmp_path):
    world, key = World(), make_key(tmp_path / "bot.pem")
    enrolled(world, key, "bot")

    token = LocalIssuer(key, DOMAIN).mint("bot", audience=ENDPOINT, now_s=NOW, task="task-1")
    principal = await world.authenticator.agent(token, ENDPOINT)

    assert (principal.name, principal.task, principal.key) == ("bot", "task-1", key.public.kid)
    assert principal.expires == NOW + TOKEN_LIFETIME_MAX_S


async def test_an_enrolled_key_mints_in_vain_for_another_agent(tmp_path):
    world, key = World(), make_key(tmp_path / "bot.pem")
    enrolled(world, key, "bot")

    with pytest.raises(Denied) as refused:
        await world.authenticator.agent(LocalIssuer(key, DOMAIN).mint("other", audience=ENDPOINT, now_s=NOW), ENDPOINT)

    assert refused.value.reason is Reason.IDENTITY_INVALID


def test_every_token_is_another_one(tmp_path):
    minting = LocalIssuer(make_key(tmp_path / "bot.pem"), DOMAIN)

    tokens = [minting.mint("bot", audience=ENDPOINT, now_s=NOW) for _ in range(2)]

    assert len({peek(token).claims["jti"] for token in tokens}) == 2
    assert "task" not in peek(tokens[0]).claims


def test_a_key_is_loaded_as_it_was_made(tmp_path):
    made = make_key(tmp_path / "bot.pem")

    assert load_key(tmp_path / "bot.pem").public == made.public
    assert made.public.kid == enrollable(made.public.jwk).kid


def test_a_key_file_is_its_owner_s_alone(tmp_path):
    make_key(tmp_path / "bot.pem")

    assert stat.S_IMODE((tmp_path / "bot.pem").stat().st_mode) == 0o600


def test_a_key_shows_its_public_half_only(tmp_path):
    key = make_key(tmp_path / "bot.pem")

    assert repr(key) == f"<TokenKey {key.public.kid}>"
    assert sorted(key.public.jwk) == ["alg", "crv", "kty", "x", "y"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_others_can_read_is_not_loaded(tmp_path, mode):
    make_key(tmp_path / "bot.pem")
    (tmp_path / "bot.pem").chmod(mode)

    with pytest.raises(ConfigFault, match="open to others") as fault:
        load_key(tmp_path / "bot.pem")

    assert fault.value.advice.startswith("run `chmod 600")


def test_a_key_is_never_overwritten(tmp_path):
    made = make_key(tmp_path / "bot.pem")

    with pytest.raises(ConfigFault, match="exists already"):
        make_key(tmp_path / "bot.pem")

    assert load_key(tmp_path / "bot.pem").public == made.public


def test_a_key_cannot_be_made_where_there_is_no_directory(tmp_path):
    with pytest.raises(ConfigFault, match="cannot be written"):
        make_key(tmp_path / "none" / "bot.pem")


def test_a_link_to_a_key_is_not_followed(tmp_path):
    make_key(tmp_path / "bot.pem")
    (tmp_path / "link.pem").symlink_to(tmp_path / "bot.pem")

    with pytest.raises(ConfigFault, match="cannot be read"):
        load_key(tmp_path / "link.pem")


@pytest.mark.parametrize(
    "pem",
    [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "another curve", "a public key"],
    ids=str,
)
def test_what_is_no_key_is_refused_without_quoting_it(tmp_path, pem):
    if pem == "another curve":
        pem = pair("ES384", "").key.as_pem(private=True)
    elif pem == "a public key":
        pem = GATEWAY.key.as_pem(private=False)
    path = tmp_path / "bot.pem"
    path.touch(mode=0o600)
    path.write_bytes(pem)

    with pytest.raises(ConfigFault, match="is no ES256 key") as fault:
        load_key(path)

    assert fault.value.__cause__ is None


def test_the_published_keys_are_read_back_and_say_for_whom_they_sign(tmp_path):
    gateway, own = make_key(tmp_path / "gateway.pem").public, make_key(tmp_path / "bot.pem").public
    bound = Key(kid=own.kid, jwk=own.jwk, only_subject="spiffe://local.test/agent/bot")

    document = public_jwks([gateway, bound])

    assert [row.get("sub") for row in document["keys"]] == [None, "spiffe://local.test/agent/bot"]
    assert keys_in(json.encode(document), bundle=False) == {gateway.kid: gateway, own.kid: own}
