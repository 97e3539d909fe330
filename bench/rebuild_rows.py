"""Rows of `./dev bench --rebuild`: an index made again from the files."""

import json
import pathlib
import shutil
import statistics
import subprocess
import time

from report import machine
from stand import directory_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNS = 3
# After its start a master gives volumes so long to join before it rebuilds: no
# part of the rate.
JOIN_SECONDS = 2.5


def cairn(cluster, *words):
    """What `cairn` prints; the master is that of the cluster."""
    return subprocess.run(
        [str(ROOT / "bazel-bin/admin/cairn"),
         f"--master=127.0.0.1:{cluster.port + 2}", *words],
        stdout=subprocess.PIPE, text=True, check=True).stdout


def fill(directory, cluster, keys, wrk, lua_put):
    """Puts values of 1 KiB until there are so many keys."""
    run, there = 0, 0
    while there < keys:
        run += 1
        wrk(directory, lua_put.replace("PREFIX", f"r{run}-"), cluster.port, 64,
            5)
        there = json.loads(cairn(cluster, "status", "--json"))["keys_count"]
        print(f"  filled {there} of {keys} keys", flush=True)


def find(cluster):
    """(files, seconds) of `find` over the trees of all volumes."""
    begin = time.monotonic()
    out = subprocess.run(
        ["find", *map(str, sorted(cluster.directory.glob("volume-*"))),
         "-name", "*@*", "-printf", "."], stdout=subprocess.PIPE,
        check=True).stdout
    return len(out), time.monotonic() - begin


def rebuild(cluster):
    """(the job's summary, seconds) of a rebuild of an index that is gone."""
    cluster.stop()
    shutil.rmtree(cluster.directory / "master")
    cluster.start()
    time.sleep(JOIN_SECONDS)
    begin = time.monotonic()
    out = cairn(cluster, "rebuild", "--json")
    seconds = time.monotonic() - begin
    return json.loads(out.splitlines()[-1])["summary"], seconds


def run(args, make_cluster, wrk, lua_put):
    print(f"{machine()}; at least {args.keys} keys of 1 KiB on 2 volumes with "
          "4 subvolumes")
    with directory_of(args) as directory:
        rows = measure(args, directory, make_cluster, wrk, lua_put)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=1))
    return 0


def measure(args, directory, make_cluster, wrk, lua_put):
    cluster = make_cluster(directory / "cairn", args.port, 2, "os")
    rows = []
    try:
        fill(directory, cluster, args.keys, wrk, lua_put)
        finds, rebuilds = [], []
        for _ in range(RUNS):
            blobs, seconds = find(cluster)
            finds.append(blobs / seconds)
            summary, seconds = rebuild(cluster)
            rebuilds.append(blobs / seconds)
            print(f"  find {finds[-1]:.0f} files/s, rebuild "
                  f"{rebuilds[-1]:.0f} blobs/s: {summary}", flush=True)
        print("  the last one: " + ", ".join(
            f"{name} {cpu:.1f} s CPU {rss:.0f} MB peak"
            for name, (cpu, rss) in sorted(cluster.usage().items())))
        rate, base = statistics.median(rebuilds), statistics.median(finds)
        rows.append({"row": "rebuild", "cairn": rate, "find": base,
                     "ratio": rate / base, "blobs": blobs})
        print(f"rebuild {rate:.0f} blobs/s, find {base:.0f} files/s, ratio "
              f"{rate / base:.2f}")
    finally:
        cluster.stop()
    return rows
