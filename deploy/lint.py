"""Checks that no formatter makes: sizes of files, and who includes whom."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES_MAX = 700
# Where a library may be included, by the start of the path.
ONLY_IN = {
    "rocksdb/": ("index/rocksdb/",),
    "httplib.h": ("gateway/",),
    "spdlog/": ("base/",),
    "CLI/": ("admin/",),
    "hiredis/": ("index/redis/",),
}
# The processes never link one another.
PROCESSES = ("master", "volume", "gateway", "admin")


def findings(path, text):
    lines = text.count("\n")
    if lines > LINES_MAX:
        yield f"{path}: {lines} lines: would two names tell more than one?"
    for name in re.findall(r'#include [<"]([^>"]+)[>"]', text):
        for library, folders in ONLY_IN.items():
            if name.startswith(library) and not path.startswith(folders):
                yield f"{path}: includes {name}, which belongs in {folders[0]}"
        folder, own = name.split("/")[0], path.split("/")[0]
        if folder in PROCESSES and folder != own and own != "tests":
            yield f"{path}: includes {name} of another process"


def main():
    files = subprocess.run(["git", "ls-files", "*.h", "*.cc"], cwd=ROOT,
                           stdout=subprocess.PIPE, text=True, check=True)
    bad = 0
    for path in files.stdout.split():
        file = ROOT / path
        if not file.exists():
            continue
        for finding in findings(path, file.read_text()):
            print(f"lint: {finding}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
