"""`remit agent`: keys are made here, only their public half travels, and a profile is its owner's alone."""

import json
import stat
import time

import pytest

from remit.catalogue import View, load as catalogue
from remit.edge.cli import profile
from remit.edge.keys.authenticator import Standing, TokenAuthenticator
from remit.edge.keys.jwks import KeyDirectory
from remit.errors import ConfigFault
from remit.identity.jwk import enrollable
from remit.reasons import Denied, Reason

STATUS = {"url": "http://127.0.0.1:8700"}
ENROLLED = {"kid": "k1", "receipt": 4, "epoch": 0}


@pytest.fixture
def enrolling(door):
    door.answers["GET", "/v1/status"] = STATUS
    door.answers["POST", "/v1/agents/scout/enroll"] = ENROLLED
    return door


def test_list_tells_who_owns_what(remit, door):
    door.answers["GET", "/v1/agents"] = {
        "agents": [
            {"name": "scout", "owner": "ana", "environment": "dev", "revoked": False, "keys": ["k1", "k2"]},
            {"name": "mole", "owner": "bo", "environment": "dev", "revoked": True, "keys": []},
        ]
    }
    lines = remit("agent", "list").out.splitlines()
    assert lines[1].split() == ["scout", "ana", "dev", "active", "k1", "k2"]
    assert lines[2].split() == ["mole", "bo", "dev", "revoked", "none"]


def test_enroll_writes_a_profile_only_its_owner_reads(remit, home, enrolling):
    ran = remit("agent", "enroll", "scout")
    file = home / "agents" / "scout.json"
    assert ran.code == 0, ran.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    written = json.loads(file.read_text())
    assert (written["agent"], written["url"], written["trust_domain"]) == ("scout", STATUS["url"], "remit.local")


@pytest.mark.holds("CLI-SECRET")
def test_the_private_half_stays_in_the_profile(remit, home, enrolling):
    ran = remit("agent", "enroll", "scout", "--json")
    private = json.loads((home / "agents" / "scout.json").read_text())["key"]["d"]
    sent = json.dumps(enrolling.asked)
    assert private not in sent
    assert '"d"' not in sent
    assert private not in ran.out + ran.err
    assert private not in repr(profile.load(home / "agents" / "scout.json", "scout"))
    assert ran.json == {**ENROLLED, "profile": str(home / "agents" / "scout.json")}


def test_what_is_enrolled_is_what_signs(remit, home, enrolling):
    remit("agent", "enroll", "scout")
    assert enrolling.asked[-1][2]["jwk"] == profile.load(home / "agents" / "scout.json", "scout").public()


def test_a_profile_is_never_overwritten(remit, home, enrolling):
    remit("agent", "enroll", "scout")
    before = (home / "agents" / "scout.json").read_bytes()
    ran = remit("agent", "enroll", "scout")
    assert (ran.code, (home / "agents" / "scout.json").read_bytes()) == (2, before)
    assert [method for method, *_ in enrolling.asked].count("POST") == 1


@pytest.mark.parametrize("fault", ["CallerFault", "ConfigFault", "Conflict", "Denied", "NotPermitted"])
def test_a_refused_enrolment_leaves_no_profile(remit, home, enrolling, fault):
    enrolling.refuses("POST", "/v1/agents/scout/enroll", fault)
    assert remit("agent", "enroll", "scout").code != 0
    assert list((home / "agents").iterdir()) == []


@pytest.mark.parametrize("fault", ["StoreFault", "UpstreamFault", "Surprise"])
def test_a_profile_is_kept_where_it_may_have_been_enrolled(remit, home, enrolling, fault):
    enrolling.refuses("POST", "/v1/agents/scout/enroll", fault)
    ran = remit("agent", "enroll", "scout")
    assert ran.code != 0
    assert "whether it is enrolled is not known" in ran.err
    assert profile.load(home / "agents" / "scout.json", "scout").public() == enrolling.asked[-1][2]["jwk"]


def _a_file(path):
    path.write_text("")


def _a_link_to_nowhere(path):
    path.symlink_to("/nowhere")


@pytest.mark.parametrize("parent", [_a_file, _a_link_to_nowhere])
def test_a_key_that_cannot_be_saved_is_not_enrolled(remit, enrolling, tmp_path, parent):
    parent(tmp_path / "p")
    ran = remit("agent", "enroll", "scout", "--out", tmp_path / "p" / "scout.json")
    assert (ran.code, "cannot be written" in ran.err) == (4, True)
    assert [method for method, *_ in enrolling.asked] == ["GET"]


def test_a_key_made_elsewhere_is_enrolled_as_it_is(remit, home, enrolling, tmp_path):
    (tmp_path / "scout.jwk").write_text('{"kty": "EC"}')
    assert remit("agent", "enroll", "scout", "--public-key", tmp_path / "scout.jwk").code == 0
    assert enrolling.asked == [("POST", "/v1/agents/scout/enroll", {"jwk": {"kty": "EC"}})]
    assert not (home / "agents").exists()


@pytest.mark.parametrize("named", [False, True])
def test_it_says_how_to_connect_with_the_profile_it_wrote(remit, enrolling, tmp_path, named):
    file = tmp_path / "elsewhere" / "scout.json"
    last = remit("agent", "enroll", "scout", *(("--out", file) if named else ())).out.splitlines()[-1]
    assert last == "connect it with: remit connect --agent scout" + (f" --profile {file}" if named else "")


def gatekeeper(home, jwk) -> TokenAuthenticator:
    """What a gateway of this home checks tokens with, once the key is enrolled."""
    key = enrollable(jwk)
    row = json.dumps({"agent": "scout", "jwk": dict(key.jwk), "at": 1}).encode()
    declared = catalogue((home / "remit.yaml").read_text(), "remit.yaml")
    view = View.of(declared, "sha256:0", pins={}, seen={}, keys={key.kid: row}, revoked={})
    standing = Standing(view=lambda: view, epoch=lambda: 1, now_ms=lambda: int(time.time() * 1000))
    return TokenAuthenticator(standing, KeyDirectory(None, lambda: int(time.time() * 1000)), token_keys={})


# What is typed → the path the token is for, the task it names.
TOKENS = {
    "all tool servers": ((), "/mcp", None),
    "one tool server": (("--connector", "git"), "/mcp/git", None),
    "a task": (("--connector", "git", "--task", "t-1"), "/mcp/git", "t-1"),
}


@pytest.mark.parametrize("more, path, task", TOKENS.values(), ids=TOKENS)
async def test_a_token_is_accepted_where_it_is_for_and_nowhere_else(remit, staffed, tmp_path, more, path, task):
    file = tmp_path / "scout.json"
    made = profile.make("scout", url=STATUS["url"], trust_domain="remit.local")
    profile.save(made, file)
    gate = gatekeeper(staffed, made.public())

    ran = remit("agent", "token", "scout", "--profile", file, *more)
    assert (ran.code, ran.err) == (0, "")
    token = ran.out.removesuffix("\n")
    principal = await gate.agent(token, STATUS["url"] + path)
    assert (principal.name, principal.task) == ("scout", task)
    with pytest.raises(Denied) as refused:
        await gate.agent(token, STATUS["url"] + "/mcp/other")
    assert refused.value.reason is Reason.IDENTITY_AUDIENCE
    again = remit("agent", "token", "scout", "--profile", file, *more, "--json")
    assert again.json["url"] == STATUS["url"] + path
    assert again.json["token"] != token


def test_a_token_is_signed_with_the_agent_s_own_profile_alone(remit, home, enrolling):
    remit("agent", "enroll", "scout")
    assert remit("agent", "token", "scout").out.count(".") == 2
    ran = remit("agent", "token", "mole", "--profile", home / "agents" / "scout.json")
    assert (ran.code, ran.out, "is `scout`'s, not `mole`'s" in ran.err) == (2, "", True)
    assert (remit("agent", "token", "mole").code, remit("agent", "token", "mole").out) == (4, "")


@pytest.mark.parametrize("more, path, task", TOKENS.values(), ids=TOKENS)
async def test_headers_are_what_a_request_needs(remit, staffed, tmp_path, more, path, task):
    file = tmp_path / "scout.json"
    made = profile.make("scout", url=STATUS["url"], trust_domain="remit.local")
    profile.save(made, file)

    ran = remit("agent", "headers", "scout", "--profile", file, "--client", "laptop", *more)
    assert (ran.code, ran.err) == (0, "")
    headers = ran.json
    scheme, token = headers.pop("Authorization").split(" ")
    assert headers == {"Remit-Client": "laptop"} | ({"Remit-Task": task} if task else {})
    principal = await gatekeeper(staffed, made.public()).agent(token, STATUS["url"] + path)
    assert (scheme, principal.name, principal.task) == ("Bearer", "scout", task)


PROFILES = {
    "not JSON": b"{",
    "unknown member": b'{"agent": "a", "url": "u", "trust_domain": "t", "key": {}, "more": 1}',
    "no key": b'{"agent": "a", "url": "u", "trust_domain": "t"}',
    "binary": b"\xff\xfe",
}


@pytest.mark.parametrize("data", PROFILES.values(), ids=PROFILES)
def test_what_is_no_profile_is_refused(data, tmp_path):
    file = tmp_path / "p.json"
    file.write_bytes(data)
    file.chmod(0o600)
    with pytest.raises(ConfigFault, match="is no agent's profile"):
        profile.load(file, "a")


def test_a_missing_profile_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigFault) as caught:
        profile.load(tmp_path / "p.json", "a")
    assert "remit agent enroll" in caught.value.advice


KEYS = {
    "empty": {},
    "symmetric": {"kty": "oct", "k": "AAAA"},
    "public only": {k: v for k, v in profile.make("a", url="u", trust_domain="t").key.items() if k != "d"},
    "broken": {**profile.make("a", url="u", trust_domain="t").key, "x": "!!"},
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_profile_s_key_has_to_be_a_private_one(key):
    with pytest.raises(ConfigFault, match="no P-256 key"):
        profile.Profile(agent="a", url="u", trust_domain="t", key=key).issuer()
