"""Rows of `./dev bench --index`: an index by itself, then behind a gateway."""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

from report import machine

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "bazel-bin/bench/index_bench"
RUNS = 3


class Redis:
    """A redis-server of the bench's own, on a unix socket."""

    def __init__(self, directory, appendfsync):
        directory.mkdir(parents=True)
        self.socket = directory / "socket"
        self.child = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(self.socket),
             "--dir", str(directory), "--save", "", "--appendonly", "yes",
             "--appendfsync", appendfsync, "--slowlog-log-slower-than", "500",
             "--slowlog-max-len", "10000",
             # A rewrite of the log would double the work of some runs.
             "--auto-aof-rewrite-percentage", "0"],
            stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while self.cli("PING").strip() != "PONG":
            if time.monotonic() > deadline:
                sys.exit("bench: redis-server does not answer")
            time.sleep(0.05)

    def uri(self):
        return f"redis+unix://{self.socket}"

    def cli(self, *words):
        # The slow log holds arguments of commands: any bytes.
        return subprocess.run(["redis-cli", "-s", str(self.socket), *words],
                              capture_output=True, check=False
                              ).stdout.decode(errors="replace")

    def memory(self):
        line = next(line for line in self.cli("INFO", "memory").splitlines()
                    if line.startswith("used_memory:"))
        return int(line.split(":")[1])

    def slowest(self):
        """(milliseconds, the command) of the slow log, which is emptied: it
        takes memory too."""
        entries = json.loads(self.cli("--json", "SLOWLOG", "GET", "10000"),
                             strict=False)
        self.cli("SLOWLOG", "RESET")
        if not entries:
            return 0.0, "none above 0.5 ms"
        worst = max(entries, key=lambda entry: entry[2])
        return worst[2] / 1000, worst[3][0]

    def stop(self):
        self.child.terminate()
        self.child.wait()


def measure(uri, keys, *more):
    """{row: figure}"""
    out = subprocess.run([str(PROGRAM), f"--index={uri}", f"--keys={keys}",
                          *more], stdout=subprocess.PIPE, text=True,
                         check=True).stdout
    return {line.split()[0]: float(line.split()[1])
            for line in out.splitlines() if len(line.split()) == 3}


def show(rows, index, figures, **more):
    for name, value in {**figures, **more}.items():
        print(f"{index:24} {name:26} {value:12.2f}", flush=True)
        rows.append({"index": index, "row": name, "value": value})


def own_redis(directory, args, rows):
    for appendfsync in ("everysec", "always"):
        redis = Redis(directory / f"redis-{appendfsync}", appendfsync)
        try:
            before = redis.memory()
            figures = measure(redis.uri(), args.keys)
            slowest, command = redis.slowest()
            show(rows, f"redis {appendfsync}", figures,
                 **{"memory-bytes-a-key": (redis.memory() - before) / args.keys,
                    f"slowest-command-ms ({command})": slowest})
        finally:
            redis.stop()


def behind_gateway(directory, args, rows, make, wrk, put, lua_get, lua_put):
    """GET and PUT in turn on two clusters that differ in their index."""
    clusters = {}
    try:
        for i, index in enumerate(("rocksdb", args.index)):
            clusters[index] = make(directory / f"cairn{i}",
                                   args.port + 100 * i, 1, "fsync",
                                   "" if index == "rocksdb" else index)
            for n in range(100):
                put(clusters[index].port, f"small{n}", b"x" * 1024)
        for name in ("get-1k", "put-1k"):
            rates = {index: [] for index in clusters}
            for run in range(RUNS):
                for index, cluster in clusters.items():
                    lua = (lua_get.replace("KEY", "small") if name == "get-1k"
                           else lua_put.replace("PREFIX", f"p{run}-"))
                    result = wrk(directory, lua, cluster.port, 64, args.seconds)
                    if result["errors"]:
                        print(f"{index} {name}: {result['errors']} ERRORS")
                    rates[index].append(result["rate"])
            ours, base = (statistics.median(rates[index])
                          for index in (args.index, "rocksdb"))
            show(rows, "gateway", {f"{name}-{args.index}": ours,
                                   f"{name}-rocksdb": base,
                                   f"{name}-ratio": ours / base})
    finally:
        for cluster in clusters.values():
            cluster.stop()


def run(args, make_cluster, wrk, put, lua_get, lua_put):
    print(f"{machine()}; {args.keys} keys")
    subprocess.run(["bazel", "build", "//bench:index_bench"], cwd=ROOT,
                   capture_output=True, check=True)
    directory = pathlib.Path(args.dir).absolute() / str(os.getpid())
    directory.mkdir(parents=True)
    rows = []
    try:
        show(rows, "rocksdb",
             measure(f"rocksdb:{directory}/rocksdb", args.keys))
        if args.index == "redis":
            own_redis(directory, args, rows)
        elif args.index != "rocksdb":
            show(rows, "given", measure(args.index, args.keys))
        if args.index == "redis":
            behind_gateway(directory, args, rows, make_cluster, wrk, put,
                           lua_get, lua_put)
    finally:
        if not args.keep:
            shutil.rmtree(directory)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=1))
    return 0
