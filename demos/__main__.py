"""`python -m demos` lists the demos; `python -m demos NAME ...` runs one, as `python -m demos.NAME ...` does."""

import ast
import runpy
import sys

from demos import HERE, NAMES, refuse_unknown
from demos.vietnamese import DOCUMENTATION
from minigrad.language import language

USAGE = {
    "en": "python -m demos NAME [--quick] [--seed N] [--out DIR]     (NAME --help says more)\n",
    "vi": "python -m demos TÊN [--quick] [--seed N] [--out THƯ_MỤC]     (TÊN --help nói thêm)\n",
}


def title(name: str) -> str:
    """The first line of a demo's docstring, read without importing it, in the language in force."""
    if language() == "vi":
        return DOCUMENTATION[name].split("\n")[0]
    path = HERE / name / "__init__.py" if (HERE / name).is_dir() else HERE / f"{name}.py"
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]


def main() -> None:
    """List, or run the demo named first."""
    if not sys.argv[1:] or sys.argv[1] in ("-h", "--help", "--list"):
        print(USAGE[language()])
        for name in NAMES:
            print(f"  {name:24} {title(name)}")
        return
    name = sys.argv[1]
    refuse_unknown(name)
    sys.argv = [f"python -m demos.{name}", *sys.argv[2:]]
    runpy.run_module(f"demos.{name}", run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    main()
