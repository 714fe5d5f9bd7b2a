"""The reference names every key of the file, its real default, and an example that loads."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import inspect

from remit.catalogue import load, model

REFERENCE = (Path(__file__).parents[2] / "docs/reference/catalogue.md").read_text()
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "The file": model.Declared,
    "`gateway`": model.Gateway,
    "`people`": model.Person,
    "`services`": model.Service,
    "`identity`": model.ExternalIdentity,
    "`issuers`": model.IssuerRow,
    "`agents`": model.Agent,
    "`model`": model.Model,
    "`template`": model.Template,
    "`limits`": model.AgentLimits,
    "`connectors`": model.Connector,
    "`tools`": model.ToolRow,
    "`rules`": model.TierRule,
    "`purposes`": model.Purpose,
}


def documented(section: str) -> dict[str, str]:
    text = REFERENCE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return {
        key: default.strip("`") for key, default in re.findall(r"^\| `(\w+)` \| (.*?) \| .+ \|$", text, re.MULTILINE)
    }


def default(field: inspect.Field) -> Any:
    if field.required:
        return "required"
    made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    # A struct that is all defaults is what an empty table gives.
    return {} if isinstance(made, msgspec.Struct) else msgspec.json.decode(msgspec.json.encode(made))


def test_every_kind_of_row_has_a_section():
    rows = {row for row in vars(model).values() if isinstance(row, type) and issubclass(row, model._Row)}
    assert rows - {model._Row} == set(SECTIONS.values())


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_documented_with_its_default(section):
    fields = {field.name: default(field) for field in inspect.type_info(SECTIONS[section]).fields}
    assert {key: yaml.safe_load(text) for key, text in documented(section).items()} == fields


def test_the_example_loads_and_shows_every_key():
    example = REFERENCE.split("```yaml\n")[1].split("```")[0]
    assert load(example, "example.yaml").agents["coder"].version == "1.10"
    alternatives = {"tls_cert", "tls_key", "jwks_file", "bundle_url"}
    shown = set(re.findall(r"(\w+):(?= |\n|$)", example))
    assert {key for section in SECTIONS for key in documented(section)} - shown == alternatives
