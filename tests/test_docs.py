"""The documentation is true: its Python runs, its commands work, and the reference is what the code says.

A ```python block runs in a namespace of its own; ```python continue goes on in the one before; ```console test runs its
`$ pylon` lines in an empty folder.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

from pylon import App
from pylon.cli.codes import CODES
from pylon.cli.commands import COMMANDS, find, split
from pylon.cli.reference import PAGES
from pylon.model.errors import REGISTRY
from pylon.oauth_settings import is_oauth_variable
from pylon.settings import RETIRED, VARIABLES
from pylon.web.app import api_routes
from pylon.web.openapi import undescribed

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
_BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)(?P<target>[^)#\s]+)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it is, what follows the fence, and its text."""

    file: Path
    line: int
    info: str
    text: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(*infos: str) -> list[Block]:
    found = []
    for page in pages():
        text = page.read_text("utf-8")
        for match in _BLOCK.finditer(text):
            if match["info"].strip() in infos:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Block(page, line, match["info"].strip(), match["text"]))
    return found


def scripts() -> list[list[Block]]:
    """Python blocks, each with those that continue it."""
    groups: list[list[Block]] = []
    for block in blocks("python", "python continue"):
        if block.info == "python":
            groups.append([block])
        else:
            assert groups, f"{block} continues nothing"
            assert groups[-1][0].file == block.file, f"{block} continues nothing"
            groups[-1].append(block)
    return groups


@pytest.mark.parametrize("group", scripts(), ids=lambda group: str(group[0]))
def test_every_python_block_runs(group: list[Block]) -> None:
    module = types.ModuleType(f"documented_{group[0].file.stem.replace('-', '_')}_{group[0].line}")
    sys.modules[module.__name__] = module
    try:
        for block in group:
            code = "\n" * block.line + block.text  # so that a traceback names the line of the page
            exec(compile(code, str(block.file), "exec", dont_inherit=True), vars(module))
        for value in list(vars(module).values()):
            if isinstance(value, App):
                value.spec()
    finally:
        del sys.modules[module.__name__]


@pytest.mark.parametrize("block", blocks("console test"), ids=str)
def test_every_marked_command_works(block: Block, tmp_path: Path) -> None:
    for line in block.text.splitlines():
        if line.startswith("$ pylon "):
            words = shlex.split(line.removeprefix("$ pylon "))
            done = subprocess.run(
                [sys.executable, "-P", "-m", "pylon", *words],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert done.returncode == 0, f"{block}: {line}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    written = (REFERENCE / name).read_text("utf-8")
    assert written == PAGES[name](), f"docs/reference/{name} is out of date: run `make docs`"


def test_every_command_variable_and_code_is_documented() -> None:
    text = {name: (REFERENCE / name).read_text("utf-8") for name in PAGES}
    for command in COMMANDS:
        assert f"## pylon {command.name}\n" in text["cli.md"]
    for variable in [*(v.name for v in VARIABLES), *RETIRED]:
        assert f"| `{variable}` |" in text["env.md"]
    for code in [*REGISTRY, *CODES]:
        assert f"| `{code}` |" in text["errors.md"]


def test_every_route_says_what_it_answers() -> None:
    missing = undescribed(api_routes())
    assert not missing, (
        f"not described: {', '.join(missing)}. Put `@describes(<answer>, body=…, who=…, errors=…)` of "
        "pylon.web.described over each responder."
    )


def test_no_code_means_two_things() -> None:
    assert not set(REGISTRY) & set(CODES)


def test_every_code_that_the_command_line_reports_can_be_explained() -> None:
    named = re.compile(r'(?:failure|finding|_error|_told|code=)\(?(?:Severity\.\w+, )?"([A-Z][A-Z_]{3,})"')
    reported = {
        code
        for folder in ("cli", "loading.py")
        for path in ([ROOT / "src/pylon" / folder] if folder.endswith(".py") else (ROOT / "src/pylon/cli").glob("*.py"))
        for code in named.findall(path.read_text("utf-8"))
    }
    assert len(reported) > 10
    known = {*CODES, *REGISTRY, "NO_ENTRY", "ENTRY_NOT_FOUND"}  # these two get the command's prefix
    assert reported <= known, reported - known


@pytest.mark.parametrize("page", [*pages(), *sorted(ROOT.glob("*.md"))], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for match in _LINK.finditer(_BLOCK.sub("", page.read_text("utf-8"))):
        assert (page.parent / match["target"]).exists(), f"{page.name} links to {match['target']}"


@pytest.mark.parametrize("page", [*pages(), *sorted(ROOT.glob("*.md"))], ids=lambda page: page.name)
def test_every_variable_that_is_named_exists(page: Path) -> None:
    known = {variable.name for variable in VARIABLES} | set(RETIRED)
    named = set(re.findall(r"\bPYLON_[A-Z0-9_]*[A-Z0-9]\b", page.read_text("utf-8")))
    unknown = {name for name in named - known if not is_oauth_variable(name)}
    assert not unknown


@pytest.mark.parametrize("page", [*pages(), *sorted(ROOT.glob("*.md"))], ids=lambda page: page.name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    for words in re.findall(r"`pylon ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", page.read_text("utf-8")):
        name, _ = split(words.split())
        assert name is not None
        assert find(name) is not None, f"{page.name} speaks of `pylon {words}`"
