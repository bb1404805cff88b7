"""The table of odd cases and the tests that prove them: `python -m tests.cases > docs/cases.md`."""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def table() -> str:
    found: dict[int, list[str]] = defaultdict(list)
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                for number in _cases_of(ast.walk(node.value)):
                    found[number].append(f"all of [{file.stem}](../{file.relative_to(ROOT)})")
            if isinstance(node, ast.FunctionDef):
                for number in _cases_of(node.decorator_list):
                    sentence = node.name.removeprefix("test_").replace("_", " ")
                    found[number].append(f"{sentence} ([{file.stem}](../{file.relative_to(ROOT)}))")
    lines = [
        "# Odd cases, and the tests that prove them",
        "",
        "Made by `python -m tests.cases`; a test keeps it true.",
        "",
        "| case | proved by |",
        "|---|---|",
    ]
    lines += [f"| {number} | {'<br>'.join(found[number])} |" for number in sorted(found)]
    return "\n".join(lines) + "\n"


def _cases_of(nodes: Iterable[ast.AST]) -> list[int]:
    return [
        argument.value
        for call in nodes
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.case"
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, int)
    ]


if __name__ == "__main__":
    sys.stdout.write(table())
