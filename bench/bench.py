"""Measures Cairn against bare nginx on the same disk in the same run.

Each row runs alternately with its baseline, three times; medians and their
ratio are printed. Rows with an aim that is not reached say LOW. Trees are
removed only at the very end: for minutes after a large removal ext4 creates
files many times slower. Rows of 10 M keys run only when --row names them
(--row 10m).
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

import index_rows
import placement_rows
import rebuild_rows
import size_rows
from report import Report, machine
from request_rows import RUNS, RequestRows
from stand import LUA_GET, LUA_PUT, ROOT, Cairn, Nginx, put, wrk

TOOLS = ["//bench:http_load", "//bench:bare_loop", "//bench:index_bench"]
CONNECTIONS = ("-c16", "-c64", "-c256", "")


class Bench:
    def __init__(self, args):
        self.args = args
        self.directory = pathlib.Path(args.dir).absolute() / str(os.getpid())
        self.directory.mkdir(parents=True)
        self.report = Report()
        self.nginx = Nginx(self.directory / "nginx", args.port)
        self.rows = RequestRows(args, self.directory, self.nginx, self.report)
        self.clusters = 0

    def with_cluster(self, names, replicas, durability, run, reads=""):
        """Runs rows on a cluster of their own, if any of them is wanted."""
        if not any(self.rows.wanted(name + c)
                   for name in names for c in CONNECTIONS):
            return
        self.clusters += 1
        cluster = Cairn(self.directory / f"cairn{self.clusters}",
                        self.args.port + 100 * self.clusters, replicas,
                        durability, reads=reads)
        try:
            run(cluster)
            self.report.usage(f"replicas={replicas} {durability}",
                              cluster.usage())
        finally:
            cluster.stop()

    def one_os(self, cluster):
        rows = self.rows
        rows.get_rows(cluster)
        rows.latency_row(cluster, "latency-get-c1", 0.3, "--mode=get",
                         "--prefix=small", "--keys=100")
        rows.idle_row(cluster)
        rows.overload_row(cluster, "overload-get-c2000",
                          LUA_GET.replace("KEY", "small"))
        rows.put_rows(cluster, "put-1k-r1-os", 1.0)

    def one_fsync(self, cluster):
        rows = self.rows
        rows.put_rows(cluster, "put-1k-r1-fsync", 0.5)
        rows.latency_row(cluster, "latency-put-fsync-c1", 2, "--mode=put",
                         "--prefix=latencyRUN-")
        rows.overload_row(cluster, "overload-put-c2000", LUA_PUT)

    def three_os(self, cluster):
        self.rows.put_rows(cluster, "put-1k-r3-os", 0.4)
        self.rows.cycle_row(cluster, "cycle-1k-r3-os-c16", 0.3)

    def three_fsync(self, cluster):
        rows = self.rows
        rows.put_rows(cluster, "put-1k-r3-fsync", 0.2)
        rows.cycle_row(cluster, "cycle-1k-r3-fsync-c16", 0.15)
        rows.put_1m_row(cluster)
        rows.big_rows(cluster)
        rows.memory_row(cluster)

    def many(self, keys, value_bytes):
        def run(cluster):
            size_rows.list_row(self.report, cluster, keys, value_bytes)
            if keys >= 10_000_000:
                size_rows.memory_rows(self.report, cluster, keys)
        return run

    def run(self):
        self.with_cluster(
            ["get-200-1k", "get-302", "get-404", "get-302-follow-64k",
             "latency-get", "get-200-1k-c64-idle10k", "latency-get-c1",
             "overload-get-c2000", "put-1k-r1-os"], 1, "os", self.one_os)
        self.with_cluster(
            ["put-1k-r1-fsync", "latency-put-fsync-c1", "overload-put-c2000"],
            1, "fsync", self.one_fsync)
        self.with_cluster(["put-1k-r3-os", "cycle-1k-r3-os"], 3, "os",
                          self.three_os)
        self.with_cluster(
            ["put-1k-r3-fsync", "cycle-1k-r3-fsync", "put-1m-r3-fsync",
             "put-256m-r3-fsync", "memory-c256"], 3, "fsync", self.three_fsync)
        self.with_cluster(["get-256m-proxy"], 1, "os", self.rows.proxy_row,
                          "proxy")
        self.with_cluster(["list-1m", "list-page-1m"], 1, "os",
                          self.many(1_000_000, 1024))
        if self.args.row:
            self.with_cluster(
                ["list-10m", "list-page-10m", "start-master-10m",
                 "memory-master-10m"], 1, "os", self.many(10_000_000, 0))

    def close(self):
        self.nginx.stop()
        if not self.args.keep:
            shutil.rmtree(self.directory)


def parse():
    parser = argparse.ArgumentParser(
        prog="./dev bench", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    parser.add_argument("--row", action="append", help="only rows with this in "
                        "their name; may be repeated")
    parser.add_argument("--seconds", type=int, default=3,
                        help="of each measurement (default: 3)")
    parser.add_argument("--dir", default=str(ROOT / "bench-data"),
                        help="where data goes; on the disk to be measured")
    parser.add_argument("--port", type=int, default=4000,
                        help="first of about 800 ports (default: 4000)")
    parser.add_argument("--keep", action="store_true",
                        help="do not remove the data")
    parser.add_argument("--index", metavar="INDEX",
                        help="measure an index instead, beside RocksDB: redis "
                        "(one of its own) or the URI of an empty one")
    parser.add_argument("--keys", type=int,
                        help="with --index: keys to commit; with --rebuild: to "
                        "put (default: 1000000); with --placement: small "
                        "values (default: 30000)")
    parser.add_argument("--rebuild", action="store_true",
                        help="measure `cairn rebuild` instead, beside `find`")
    parser.add_argument("--placement", action="store_true",
                        help="measure rebalance, drain and repair instead, "
                        "beside clients that read")
    return parser.parse_args()


def main():
    args = parse()
    if args.placement:
        return placement_rows.run(args, Cairn)
    args.keys = args.keys or 1000000
    if args.index:
        return index_rows.run(args, Cairn, wrk, put, LUA_GET, LUA_PUT)
    if args.rebuild:
        return rebuild_rows.run(args, Cairn, wrk, LUA_PUT)
    subprocess.run(["bazel", "build", *TOOLS], cwd=ROOT, capture_output=True,
                   check=True)
    print(f"{machine()}; median of {RUNS} x {args.seconds} s, load generator on "
          "the same cores")
    bench = Bench(args)
    try:
        bench.run()
    finally:
        bench.close()
    if not bench.report.rows:
        print(f"no row has {' or '.join(args.row)} in its name", file=sys.stderr)
        return 1
    if args.json:
        bench.report.write(args.json)
    if bench.report.errors():
        print("ERRORS in the rows above: their figures mean little")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
