"""`remit agent`: keys are made here, only their public half travels, and a profile is its owner's alone."""

import json
import stat

import pytest

from remit.edge.cli import profile
from remit.errors import ConfigFault

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
    assert private not in repr(profile.load(home / "agents" / "scout.json"))
    assert ran.json == {**ENROLLED, "profile": str(home / "agents" / "scout.json")}


def test_what_is_enrolled_is_what_signs(remit, home, enrolling):
    remit("agent", "enroll", "scout")
    assert enrolling.asked[-1][2]["jwk"] == profile.load(home / "agents" / "scout.json").public()


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
    assert profile.load(home / "agents" / "scout.json").public() == enrolling.asked[-1][2]["jwk"]


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
        profile.load(file)


def test_a_missing_profile_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigFault) as caught:
        profile.load(tmp_path / "p.json")
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
