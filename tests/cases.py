"""The table of odd cases and the tests that prove them: `python -m tests.cases > docs/cases.md`."""

import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def table() -> str:
    found: dict[int, list[str]] = defaultdict(list)
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                for number in _cases(node):
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


def _cases(node: ast.FunctionDef) -> list[int]:
    return [
        argument.value
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.case"
        for argument in decorator.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, int)
    ]


if __name__ == "__main__":
    sys.stdout.write(table())
