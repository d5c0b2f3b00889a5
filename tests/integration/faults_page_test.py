"""Every test that docs/faults.md names is there, and every fault of its tables names one."""

import re

import mesh as meshes

PAGE = (meshes.ROOT / "docs/faults.md").read_text()


def test_each_named_test_exists():
    named = re.findall(r"`(tests/[\w/]+_test\.py)(?:::(\w+))?`", PAGE)
    assert len(named) > 30
    for file, test in named:
        path = meshes.ROOT / file
        assert path.exists(), file
        assert re.search(rf"^def {test}\b" if test else "^def test_", path.read_text(), re.M), (file, test)


def test_each_row_names_a_test():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    headings = {row for row, below in zip(PAGE.splitlines(), PAGE.splitlines()[1:])
                if below.startswith("| ---")}
    for row in rows:
        if row not in headings and not row.startswith("| ---"):
            assert "`tests/" in row.split("|")[-2], row
