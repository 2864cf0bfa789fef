"""Writes the tables of the reference that come from the code: `python docs/generate.py`.

`state-machine.md`, `settings.md`, `errors.md`, `worker-api.md` and `http.md` are made as a whole; the prose
of the last is `generators/http.txt`. `tests/docs/test_generated.py` fails when they are not what this file
would write now.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generators import errors, http, settings, state_machine, worker_api  # noqa: E402 - after the path is known

PAGES: Mapping[str, Callable[[], str]] = {
    "reference/errors.md": errors.page,
    "reference/http.md": http.page,
    "reference/settings.md": settings.page,
    "reference/state-machine.md": state_machine.page,
    "reference/worker-api.md": worker_api.page,
}


def main() -> None:
    """Every page is up to date."""
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), "utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
