#!/usr/bin/env python3
"""Structure is a test: includes run one way, third-party headers stay where they belong.

Prints each offence as file:line and exits 1 when there is one.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A folder may include itself and these.
ALLOWED = {
    "base": set(),
    "engine": {"base"},
    "mesh": {"base"},
    "actors": {"base", "engine", "mesh"},
    "services": {"base", "engine", "mesh", "actors"},
}

# Outside engine/, only these of its headers.
ENGINE_PUBLIC = re.compile(
    r"engine/(engine|engine_thread)\.hpp|engine/text/text_model\.hpp"
    r"|engine/model/(pack|model_tools|gguf)\.hpp|engine/kv/block_store\.hpp|engine/cpu/isa\.hpp"
    r"|engine/fake/fake_text_model\.hpp")

# A third-party header, and the files that may name it.
HOMES = [
    (r"msgpack", r"mesh/.*codec.*\.cpp"),
    (r"zmq\.hpp|zmq\.h", r"mesh/(wire|loop_socket|client_socket|endpoint|zmq_)[^/]*|actors/[^/]*(host|shell|loop)[^/]*"),
    (r"caf/", r"actors/([^/]*|[^/]*/[^/]*_shell)\.(cpp|hpp)"),
    (r"boost/beast", r"actors/(fronts/http_[^/]*|monitor/[^/]*http[^/]*)"),
    (r"CLI/", r"services/.*"),
    (r"histedit", r"services/line_reader\.cpp"),
    (r"aorta/client\.hpp", r"services/.*"),
    (r"sqlite3\.h", r"actors/admission/journal_sql\.hpp"),
    (r"yaml-cpp/", r"base/config[^/]*\.cpp"),
]


def tracked():
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.splitlines()
    return [name for name in names if (ROOT / name).is_file()]


def check_includes(name, lines):
    top = name.split("/")[0]
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
        if not match:
            continue
        bracket, header = match.groups()
        if bracket == '"' and top in ALLOWED:
            target = header.split("/")[0]
            if target != top and target not in ALLOWED[top]:
                yield number, f"{top}/ must not include {header}"
            if target == "engine" and top != "engine" and not ENGINE_PUBLIC.fullmatch(header):
                yield number, f"{header} is internal to engine/"
        if bracket == "<" and top in ALLOWED:
            for pattern, home in HOMES:
                if re.match(pattern, header) and not re.fullmatch(home, name):
                    yield number, f"<{header}> belongs in {home}"


def main():
    offences = []
    for name in tracked():
        path = ROOT / name
        if path.suffix in {".gguf", ".f32", ".safetensors"} or name.startswith(("tests/golden/", "tests/fuzz/corpus/")):
            continue
        lines = path.read_text(errors="replace").splitlines()
        if path.suffix in {".hpp", ".cpp"}:
            offences += [(name, *found) for found in check_includes(name, lines)]
            if path.suffix == ".hpp" and (not lines or lines[0] != "#pragma once"):
                offences.append((name, 1, "a header begins with #pragma once"))
    for name, number, what in offences:
        print(f"{name}:{number}: {what}")
    print(f"{len(offences)} offences")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
