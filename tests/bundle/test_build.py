"""What the builder makes runs by itself and is what it says it is."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import flexvol
import webhook
from flexvol.bundle import elf
from flexvol.bundle.layout import DESCRIPTION, PYTHON, contents, read_description
from tests.guest.machine import PROJECT


def run(*command: object) -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=True, env={}, cwd="/").stdout


NO_LIBRARY = ("linux-vdso.so.1", "statically")
"""What ldd says of the kernel's own page, and of a file that needs no library at all."""


def compiled(bundle: Path) -> list[Path]:
    return [bundle / PYTHON, *bundle.rglob("*.so*")]


def test_answers_the_kubelets_first_call_from_wherever_it_lies(bundle: Path) -> None:
    answer = json.loads(run(bundle / "slab", "init"))
    assert answer["status"] == "Success"
    assert answer["capabilities"]["attach"] is False


def test_imports_from_nowhere_but_itself(bundle: Path) -> None:
    program = (
        "import sys, flexvol.driver, argparse; print(*sys.path, sep='\\n'); "
        "[print(m.__file__) for m in sys.modules.values() if getattr(m, '__file__', None)]"
    )
    places = run(bundle / PYTHON, "-ISB", "-c", program).splitlines()
    assert places
    assert [place for place in places if not place.startswith(f"{bundle}/")] == []


def test_loads_no_library_but_glibcs_and_its_own(bundle: Path) -> None:
    for path in compiled(bundle):
        for line in run("ldd", path).splitlines():
            name = line.split()[0].rsplit("/", 1)[-1]
            assert elf.GLIBC.fullmatch(name) or name in NO_LIBRARY or str(bundle) in line


def test_states_the_glibc_that_the_loader_asks_for(bundle: Path) -> None:
    asked = set()
    for path in compiled(bundle):
        file = ""
        for line in run("ldd", "-v", path).partition("Version information:")[2].splitlines():
            if line.endswith(":"):
                file = line.strip("\t:")
            elif (wanted := re.search(r"\(GLIBC_([\d.]+)\)", line)) and file.startswith(
                str(bundle)
            ):
                asked.add(tuple(map(int, wanted[1].split("."))))
    assert read_description(bundle).glibc == elf.newest(asked)


def test_tells_the_digest_of_every_file(bundle: Path) -> None:
    described = read_description(bundle).files
    assert described == dict(contents(bundle))
    assert len(described) == sum(p.is_file() for p in bundle.rglob("*")) - 1
    assert DESCRIPTION not in described


def test_holds_no_part_of_the_agent_or_the_builder(bundle: Path) -> None:
    ours = {path.stem for path in bundle.rglob("flexvol/**/*.pyc")}
    assert {"driver", "allocator", "placing"} <= ours
    assert not {"agent", "closure", "elf", "build"} & ours


def test_no_code_of_the_driver_reads_docstrings_which_a_bundle_has_not(bundle: Path) -> None:
    in_bundle = {path.stem for path in bundle.rglob("flexvol/**/*.pyc")}
    readers = [
        path
        for path in (PROJECT / "flexvol").rglob("*.py")
        if path.stem in in_bundle and re.search(r"__doc__|\bassert ", path.read_text())
    ]
    assert [path for path in readers if path.parent.name != "bundle"] == []


def test_all_say_the_same_version() -> None:
    with (PROJECT / "pyproject.toml").open("rb") as stream:
        declared = tomllib.load(stream)["project"]["version"]
    assert {flexvol.__version__, webhook.__version__} == {declared}
