"""The file list is the architecture: what may import what."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import provisioner

ROOT = Path(provisioner.__file__).parent
LAYERS = (
    ("defaults", "errors", "secret", "concurrency"),
    ("records", "certificates", "domains", "redaction", "passwords", "private_files"),
    ("resources",),
    ("settings", "summary", "events"),
    ("messages",),
    ("schema", "progress"),
    ("sheets", "journal", "service", "mail", "keys", "run_folder", "run_log"),
    ("stages",),
    ("result",),
    ("report",),
    ("run_record", "account"),
    ("checking", "pipeline", "verification", "credentials"),
    ("library", "fixing", "console"),
    ("web",),
    ("cli",),
    ("__main__",),
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}
PACKAGES = {
    *("cli", "console", "fixing", "journal", "report", "schema", "service", "sheets", "stages", "web"),
}
"""Their modules may import each other."""
ONLY_HERE = {
    "httpx": "service.transport",
    "sqlite3": "journal",
    "click": "cli",
    "tqdm": "console",
    "keyring": "keys",
    "imaplib": "mail",
    "smtplib": "mail",
}
"""Each of these libraries is the business of one module or package."""


@cache
def modules() -> dict[str, Path]:
    """Every module outside the sandbox by its dotted name below the package."""
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
    names = {".".join(path.with_suffix("").parts): ROOT / path for path in paths if path.parts[0] != "sandbox"}
    return {name.removesuffix(".__init__"): path for name, path in names.items() if name != "__init__"}


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """Everything in a module's source."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@cache
def imported(path: Path) -> set[str]:
    """The dotted names that a module imports, those for types alone too."""
    names: set[str] = set()
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


def inside(names: set[str]) -> set[str]:
    """The top-level parts of this package among imported names."""
    return {name.split(".")[1] for name in names if name.startswith("provisioner.")}


def test_a_module_imports_from_lower_levels_only() -> None:
    """Every module has a level, and what it imports lies below it or in its own package."""
    for name, path in modules().items():
        own = name.split(".", maxsplit=1)[0]
        assert own in LEVELS, f"{name} has no place in the layers"
        for other in inside(imported(path)) - {"__version__", "sandbox"}:
            same_package = other == own and own in PACKAGES
            assert LEVELS[other] < LEVELS[own] or same_package, f"{name} imports {other}, which is not below it"


def test_one_library_is_one_modules_business() -> None:
    """HTTP, SQL, the command line and the progress bars are each known to one module or package alone."""
    for name, path in modules().items():
        libraries = {imported_name.split(".")[0] for imported_name in imported(path)}
        for owner in {ONLY_HERE[library] for library in libraries & set(ONLY_HERE)}:
            assert name == owner or name.startswith(f"{owner}."), f"{name} imports what only {owner} may"


def test_a_class_name_means_one_thing() -> None:
    """No two modules have a class of one name, whatever their packages."""
    owners: dict[str, str] = {}
    for name, path in modules().items():
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                assert owners.setdefault(node.name, name) == name, f"{name} and {owners[node.name]}: {node.name}"


def test_the_sandbox_stands_alone() -> None:
    """The stand-in service shares no code with the program, and only the command line and the library start it."""
    for path in (ROOT / "sandbox").rglob("*.py"):
        assert inside(imported(path)) <= {"sandbox"}, path
    users = {name.split(".")[0] for name, path in modules().items() if "sandbox" in inside(imported(path))}
    assert users <= {"cli", "library"}


def test_only_the_top_prints_exits_or_reads_the_environment() -> None:
    """The core has no print, no sys.exit and no os.environ."""
    for name, path in modules().items():
        if name.split(".")[0] in ("cli", "console"):
            continue
        for node in nodes_of(path):
            if isinstance(node, ast.Name):
                assert node.id not in ("print", "exit", "quit", "SystemExit"), name
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("environ", "getenv", "_exit"), name


def loaded_after(code: str) -> set[str]:
    """The modules that a new interpreter has loaded after some code."""
    command = [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_the_help_loads_no_heavy_library() -> None:
    """Importing the command line loads neither pandas nor pandera, httpx, anyio or the server."""
    heavy = {"pandas", "pandera", "numpy", "httpx", "anyio", "starlette", "uvicorn", "tqdm", "sqlite3", "keyring"}
    assert not loaded_after("import provisioner.cli") & heavy


def test_the_package_loads_nothing_heavy_before_it_is_used() -> None:
    """`import provisioner` costs next to nothing; the names are there all the same."""
    heavy = {"pandas", "pandera", "numpy", "httpx", "anyio", "starlette", "sqlite3", "asyncio"}
    assert not loaded_after("import provisioner; dir(provisioner)") & heavy


def test_a_check_waits_for_nothing_that_only_a_run_needs() -> None:
    """What validates a sheet loads no client, no mail library and no writer of workbooks."""
    assert not loaded_after("import provisioner.checking") & {"httpx", "imaplib", "smtplib", "xlsxwriter"}


def _sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def test_only_public_names_of_other_libraries_are_used() -> None:
    """No module reaches for an underscore name that it does not define itself, in attributes, imports or getattr."""
    for path in _sources():
        nodes = nodes_of(path)
        own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        own |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and _is_self(node.value)}
        own |= {text for node in nodes if isinstance(node, ast.Assign) for text in _slots(node)}
        for node in nodes:
            names = []
            if isinstance(node, ast.Attribute) and not _is_self(node.value):
                names = [node.attr]
            elif isinstance(node, ast.ImportFrom):
                names = [part for alias in node.names for part in (alias.name, *str(node.module).split("."))]
            elif isinstance(node, ast.Import):
                names = [part for alias in node.names for part in alias.name.split(".")]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("attr"):
                names = [str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)]
            private = {name for name in names if name.startswith("_") and not name.startswith("__")} - own - DOCUMENTED
            assert not private, f"{path}:{node.lineno}: {private}"  # type: ignore[attr-defined] # it is one of these


DOCUMENTED = {"_asdict", "_fields", "_make", "_replace", "_exit"}
"""Public, whatever they look like: https://docs.python.org/3/library/collections.html#collections.namedtuple, and
https://docs.python.org/3/library/os.html#os._exit."""


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _slots(node: ast.Assign) -> list[str]:
    is_slots = any(isinstance(target, ast.Name) and target.id == "__slots__" for target in node.targets)
    return list(ast.literal_eval(node.value)) if is_slots else []


def test_every_library_that_is_imported_is_declared() -> None:
    """The package's imports beside the standard library are pyproject's dependencies, no more and no fewer."""
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[^A-Za-z0-9-]", line)[0].lower() for line in project["dependencies"]}
    modules = {name.split(".")[0] for path in _sources() for name in imported(path)}
    used = modules - sys.stdlib_module_names - {"provisioner"}
    distributions = packages_distributions()
    assert {distributions[module][0].lower() for module in used} == declared
