"""The README's marked blocks are found, read as their kind says, and believed only when they succeed."""

import pytest

from tools import readme_commands
from tools.readme_commands import Block, Unrunnable, blocks

READ = {
    "a shell block is run as it is": ("<!-- executed -->\n```sh\nmake demo\nls\n```\n", [Block(3, "make demo\nls\n")]),
    "a console block shows output too": (
        "<!-- executed -->\n```console\n$ make \\\n>   demo\nall is well\n$ ls\n```\n",
        [Block(3, "make \\\n  demo\nls\n")],
    ),
    "a block without a mark is prose": ("```sh\nrm -rf /\n```\n", []),
    "blocks come in order": (
        "<!-- executed -->\n\n```sh\na\n```\n```sh\nno\n```\n<!-- executed -->\n```sh\nb\n```\n",
        [Block(4, "a\n"), Block(11, "b\n")],
    ),
}


@pytest.mark.parametrize("document, found", READ.values(), ids=READ)
def test_marked_blocks_are_found(document, found):
    assert list(blocks(document)) == found


REFUSED = {
    "a mark without a block": "<!-- executed -->\nprose\n",
    "a mark before prose before a block": "<!-- executed -->\nprose\n```sh\nls\n```\n",
    "a kind that no shell reads": "<!-- executed -->\n```yaml\na: 1\n```\n",
}


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED)
def test_a_mark_that_would_run_nothing_is_refused(document):
    with pytest.raises(Unrunnable):
        list(blocks(document))


RUN = {
    "every command succeeds": ("<!-- executed -->\n```sh\ntest -f Makefile\n```\n", 0),
    "what one block leaves the next one finds": (
        "<!-- executed -->\n```sh\ntouch left\n```\n<!-- executed -->\n```sh\ntest -f left\n```\n",
        0,
    ),
    "a command in the middle fails": ("<!-- executed -->\n```sh\nfalse\ntrue\n```\n", 1),
    "a pipe fails": ("<!-- executed -->\n```sh\nfalse | true\n```\n", 1),
    "nothing is marked": ("```sh\ntrue\n```\n", 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("document, status", RUN.values(), ids=RUN)
def test_the_command_succeeds_only_if_every_block_does(document, status, tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text(document)
    monkeypatch.setattr("sys.argv", ["readme_commands.py", str(tmp_path / "README.md")])
    assert readme_commands.main() == status
