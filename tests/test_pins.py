"""A version stands once, in cluster-setup/versions.toml; whatever repeats it must agree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
SETUP = ROOT / "cluster-setup"
LOCKS = ("requirements.lock", "tests/requirements.lock")
GROUPS = ("kubernetes", "etcd", "kwok", "kind")
# where packages come from, and folders of one machine, are nobody else's business
PRIVATE = ("/work/", "/root/", "proxy.golang", "pypi.org/simple", "registry.npmjs")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins() -> dict[str, Any]:
    return tomllib.loads(read("cluster-setup/versions.toml"))


def project() -> dict[str, Any]:
    return tomllib.loads(read("pyproject.toml"))


def go_mod(group: str) -> str:
    return read(f"cluster-setup/controlplane/{group}/go.mod")


def modules(group: str) -> Iterator[tuple[str, str]]:
    """Module and version of every `require` and of every right side of a `replace`."""
    for line in go_mod(group).splitlines():
        if found := re.fullmatch(r"\s*(?:\S+ => )?(\S+) (v\S+)(?: // indirect)?", line):
            yield found[1], found[2]


def blocks(name: str) -> list[str]:
    """One text per package of a lock file: the package, then its hashes, then who wants it."""
    return re.split(r"^(?=[a-z0-9])", read(name), flags=re.MULTILINE)[1:]


def locked(name: str) -> dict[str, set[Version]]:
    """Package → its version; two where one is for old Pythons only."""
    found: dict[str, set[Version]] = {}
    for block in blocks(name):
        requirement = Requirement(block.partition(" \\\n")[0])
        version = Version(str(requirement.specifier).removeprefix("=="))
        found.setdefault(requirement.name, set()).add(version)
    return found


def conda() -> dict[str, Requirement]:
    """What conda itself installs, without the list for pip."""
    listed = yaml.safe_load(read("environment.yml"))["dependencies"]
    found = [Requirement(each) for each in listed if isinstance(each, str)]
    return {each.name: each for each in found}


def tracked() -> list[Path]:
    """Files that are, or are about to be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_every_group_of_versions_has_a_go_module_and_no_module_is_left_over() -> None:
    folders = {path.parent.name for path in (SETUP / "controlplane").glob("*/go.mod")}
    groups = {name for name, value in pins().items() if "module" in value}
    assert folders == groups == set(GROUPS)


@pytest.mark.parametrize("group", GROUPS)
def test_go_module_names_the_version_and_the_go_of_versions_toml(group: str) -> None:
    pin = pins()[group]
    assert (pin["module"], f"v{pin['version']}") in set(modules(group))
    assert re.search(r"^go (\d+\.\d+)", go_mod(group), re.MULTILINE)[1] == pins()["go"]["version"]


@pytest.mark.parametrize("group", GROUPS)
def test_go_module_makes_one_tool_for_every_program(group: str) -> None:
    block = re.search(r"^tool \((.*?)^\)", go_mod(group), re.MULTILINE | re.DOTALL)[1]
    tools = [re.sub(r"/v\d+$", "", line.strip()) for line in block.split("\n") if line.strip()]
    made = sorted(tool.rpartition("/")[2] for tool in tools)
    # `go install` names etcd for its folder; gpulab.binaries.build renames it
    wanted = sorted("server" if name == "etcd" else name for name in pins()[group]["programs"])
    assert made == wanted


def test_every_module_released_with_the_control_plane_has_its_version() -> None:
    kubernetes, etcd = pins()["kubernetes"]["version"], pins()["etcd"]["version"]
    replaced = re.findall(r"=> k8s\.io/\S+ (v\S+)", go_mod("kubernetes"))
    assert set(replaced) == {f"v0.{kubernetes.partition('.')[2]}"}
    parts = {version for name, version in modules("etcd") if name.startswith("go.etcd.io/etcd/")}
    assert parts == {f"v{etcd}"}


def test_python_minimum_is_the_same_everywhere() -> None:
    minimum = pins()["python"]["version"]
    settings = project()
    assert settings["project"]["requires-python"] == f">={minimum}"
    assert settings["tool"]["ruff"]["target-version"] == f"py{minimum.replace('.', '')}"
    assert str(conda()["python"].specifier) == f">={minimum}"
    makefile = read("Makefile")
    assert f"sys.version_info < ({minimum.replace('.', ', ')})" in makefile
    assert f"--python-version {minimum} " in makefile
    jobs = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]
    assert min(jobs["test"]["strategy"]["matrix"]["python"], key=Version) == minimum


def test_go_minimum_is_the_same_everywhere() -> None:
    minimum = pins()["go"]["version"]
    assert str(conda()["go"].specifier) == f">={minimum}"
    assert f'"version": "{minimum}"' in read(".devcontainer/devcontainer.json")
    assert "go-version-file: cluster-setup/controlplane/kubernetes/go.mod" in read(
        ".github/workflows/test.yml"
    )


def test_conda_kubectl_may_be_the_control_planes_and_is_never_newer() -> None:
    version = Version(pins()["kubernetes"]["version"])
    allowed = conda()["kubernetes-client"].specifier
    assert version in allowed
    assert f"{version.major}.{version.minor + 1}.0" not in allowed
    assert f"{version.major}.{version.minor - 3}.0" not in allowed


def test_conda_takes_the_python_packages_from_the_lock() -> None:
    environment = yaml.safe_load(read("environment.yml"))
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert environment["dependencies"][-1] == {"pip": ["-r requirements.lock"]}


@pytest.mark.parametrize(
    ("name", "extras"),
    [(LOCKS[0], ()), (LOCKS[1], ("test", "class"))],
    ids=["runtime", "test"],
)
def test_every_dependency_is_locked_at_a_version_that_it_allows(
    name: str, extras: tuple[str, ...]
) -> None:
    settings, found = project()["project"], locked(name)
    wanted = list(settings["dependencies"])
    for extra in extras:
        wanted += settings["optional-dependencies"][extra]
    assert wanted
    for each in map(Requirement, wanted):
        assert each.name in found, f"{name} lacks {each.name}: make lock"
        for version in found[each.name]:
            assert version in each.specifier, f"{name} has {version}, not {each}: make lock"


def test_test_lock_holds_the_runtime_lock() -> None:
    runtime, test = (locked(name) for name in LOCKS)
    assert {name: test.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_version_and_hashes(name: str) -> None:
    assert len(blocks(name)) > 20
    for block in blocks(name):
        assert re.match(r"\S+==\S+( ; [^\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}", block), block


def test_no_lock_names_where_packages_come_from() -> None:
    files = [ROOT / name for name in LOCKS]
    files += [path for kind in ("mod", "sum") for path in SETUP.glob(f"controlplane/*/go.{kind}")]
    assert len(files) == 2 + 2 * len(GROUPS)
    for path in files:
        text = path.read_text(encoding="utf-8")
        found = re.findall(r".*(?:://|--(?:extra-)?index-url|--find-links| @ ).*", text)
        assert found == [], path


def test_no_file_names_a_package_index_or_a_folder_of_one_machine() -> None:
    files = [path for path in tracked() if path != Path(__file__).resolve()]
    assert ROOT / "pyproject.toml" in files
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in files
        for word in PRIVATE
        if word.encode() in path.read_bytes()
    ]
    assert found == []


def test_every_imported_package_is_a_declared_dependency() -> None:
    """What another package happens to bring may be gone with its next version."""
    settings = project()["project"]
    declared = _modules(settings["dependencies"]) | {"yaml"}  # pyyaml's own name
    sources = [*ROOT.glob("autograders/**/*.py"), *ROOT.glob("cluster-setup/gpulab/**/*.py")]
    room = ROOT / "cluster-setup" / "gpulab" / "classroom"
    bridges = {  # they alone know nbgrader, and nothing of a learner's loads them
        ROOT / "autograders" / "nbgrader.py",
        room / "gradebook.py",
        room / "nbgrader_settings.py",
    }
    of_a_class = _modules(settings["optional-dependencies"]["class"])

    imported = {
        (module, path)
        for path in sources
        for module in _imports(path)
        if path not in bridges or module not in of_a_class
    }

    strange = {
        f"{path.relative_to(ROOT)} imports {module}"
        for module, path in imported
        if module not in sys.stdlib_module_names
        and module not in ("autograders", "gpulab")
        and module not in declared
    }
    assert not strange


def _modules(requirements: list[str]) -> set[str]:
    return {Requirement(line).name.replace("-", "_").lower() for line in requirements}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
