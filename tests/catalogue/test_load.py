"""What a file declares is exactly what it says; what it must not say names its line."""

import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from remit.catalogue.load import FAULTS_SHOWN_MAX, load
from remit.catalogue.model import TierRule
from remit.errors import ConfigFault
from remit.limits import CATALOGUE_BYTES_MAX

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"), key=lambda path: path.stem)
HEAD = """version: 1
trust_domain: remit.example
environments: [dev]
people: {alice: {email: alice@example.org, os_user: ~}}
"""


@pytest.mark.holds("CATALOGUE-STRICT", "IDENT-ONE", "INV-12", "INPUT-NAME")
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_faulty_catalogue_names_every_line_that_is_wrong(path):
    text = path.read_text()
    expected = [f"remit.yaml:{line}" for line in re.findall(r"^# (\d+: .*)$", text, re.MULTILINE)]

    with pytest.raises(ConfigFault) as fault:
        load(text, "remit.yaml")

    assert expected
    assert fault.value.message.splitlines() == expected
    assert fault.value.where == expected[0].rsplit(": ")[0][: len(fault.value.where)]


def test_at_most_twenty_faults_are_shown_and_the_rest_counted():
    text = HEAD + "".join(f"unknown{n}: 1\n" for n in range(FAULTS_SHOWN_MAX + 3))
    with pytest.raises(ConfigFault) as fault:
        load(text, "f")
    lines = fault.value.message.splitlines()
    assert len(lines) == FAULTS_SHOWN_MAX + 1
    assert lines[-1] == "and 3 more"


@pytest.mark.holds("INPUT-SIZE")
def test_a_file_past_its_limit_is_not_read():
    with pytest.raises(ConfigFault, match="larger than"):
        load("#" * (CATALOGUE_BYTES_MAX + 1), "f")


@pytest.mark.parametrize(
    "written, meant",
    [("1.10", "1.10"), ("no", "no"), ("1_000", "1_000"), ("2024-01-01", "2024-01-01"), ("'~'", "~"), ("0x1F", "0x1F")],
)
def test_a_text_field_is_the_text_that_stands_there(written, meant):
    row = f"agents:\n  a: {{owner: alice, model: {{provider: p, name: m, version: {written}}}, version: '1', "
    assert load(HEAD + row + "environment: dev}\n", "f").agents["a"].model.version == meant


@pytest.mark.parametrize(
    "written, meant",
    [
        ("true", True),
        ("null", None),
        ("3", 3),
        ("-2.5e1", -25.0),
        ("word", "word"),
        ("'no'", "no"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
    ],
)
def test_a_schema_is_the_json_that_stands_there(written, meant):
    rule = f"[{{when: {{const: {written}}}, tier: read}}]"
    text = (
        HEAD
        + f"connectors: {{git: {{owner: alice, environment: dev, command: [g], tools: {{t: {{rules: {rule}}}}}}}}}\n"
    )
    row = load(text, "f").connectors["git"].tools["t"]
    assert row.rules == (TierRule(when={"const": meant}, tier="read"),)


@pytest.mark.parametrize(
    "gateway",
    [
        "{listen: 'localhost:1'}",
        "{listen: '[::1]:8700', people: '127.1.2.3:9'}",
        "{listen: '0.0.0.0:443', tls_cert: /c, tls_key: /k}",
        "{listen: '0.0.0.0:443', behind_proxy: true}",
        "{public_url: 'http://127.0.0.1:8700', checkpoint_to: /var/lib/c}",
        "{checkpoint_to: 'http://localhost:9/c', allowed_hosts: ['a.example:1'], allowed_origins: ['https://a.example']}",
    ],
)
def test_a_sound_gateway_loads(gateway):
    assert load(HEAD + f"gateway: {gateway}\n", "f").gateway


def test_a_schema_may_hold_any_keyword_where_schemas_stand():
    when = "{items: true, $defs: {a: {required: [x]}}, properties: {default: {$ref: '#/$defs/a'}}, const: {unknown: 1}}"
    row = f"{{rules: [{{when: {when}, tier: read}}]}}"
    text = HEAD + f"connectors: {{git: {{owner: alice, environment: dev, command: [g], prompts: {row}}}}}\n"
    assert load(text, "f").connectors["git"].prompts.rules[0].tier == "read"


def test_what_is_left_out_takes_its_default():
    found = load(HEAD, "f")
    assert found.gateway.listen == "127.0.0.1:8700"
    assert found.people["alice"].os_user is None
    assert found.tenants == ("default",)


@given(st.text(max_size=200))
def test_no_text_is_anything_but_loaded_or_a_config_fault(text):
    with pytest.raises(ConfigFault):
        load(text, "f")


@pytest.mark.fuzz
@given(st.integers(0, len(HEAD) - 1), st.sampled_from([*"{}[]:&*!|>'\"%@`,?-#~<\t\n\0", "é", "a", ""]))
def test_a_file_with_one_character_changed_loads_or_is_a_config_fault(at, character):
    try:
        load(HEAD[:at] + character + HEAD[at + 1 :], "f")
    except ConfigFault as fault:
        assert fault.where.startswith("f:")  # noqa: PT017 - both ways are right, and one has to name its line
