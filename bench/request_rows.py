"""Rows of requests: each in turn with stock nginx on the same disk."""

import os
import statistics
import subprocess
import time

from report import per_request
from stand import (BARE_LOOP, LOADER, LUA_GET, LUA_PUT, http_load, put,
                   resident_mb, wrk)

RUNS = 3
SMALL, LARGE = 1024, 65536
BIG_MB = 256


def measured(target, load):
    """A load's result, with the CPU time that it cost each process."""
    before = target.cpu()
    result = load()
    result["cpu"] = per_request(before, target.cpu(), result["requests"])
    return result


class RequestRows:
    def __init__(self, args, directory, nginx, report):
        self.args, self.directory = args, directory
        self.nginx, self.report = nginx, report
        self.run_number = 0

    def wanted(self, name):
        return not self.args.row or any(r in name for r in self.args.row)

    def alternate(self, name, aim, cluster, ours, baseline, note=None):
        """Runs both RUNS times in turn; each is given a number of its own."""
        if not self.wanted(name):
            return
        pairs = []
        for _ in range(RUNS):
            self.run_number += 1
            n = self.run_number
            pairs.append((measured(cluster, lambda: ours(n)),
                          measured(self.nginx, lambda: baseline(n))))
        rate = statistics.median(o["rate"] for o, _ in pairs)
        base = statistics.median(b["rate"] for _, b in pairs)
        middle = sorted((o for o, _ in pairs), key=lambda o: o["rate"])[RUNS // 2]
        base_middle = sorted((b for _, b in pairs),
                             key=lambda b: b["rate"])[RUNS // 2]
        self.report.add(
            name, rate, base, "req/s", rate / base, aim, result=middle,
            cpu={**middle["cpu"], **base_middle["cpu"]},
            errors=sum(o["errors"] + b["errors"] for o, b in pairs),
            note=note() if note else "")

    # --- GET
    def prepare_get(self, cluster):
        root = self.nginx.directory / "root"
        for i in range(100):
            put(cluster.port, f"small{i}", b"x" * SMALL)
            put(cluster.port, f"large{i}", b"x" * LARGE)
            (root / f"small{i}").write_bytes(b"x" * SMALL)
            (root / f"large{i}").write_bytes(b"x" * LARGE)

    def get(self, name, aim, cluster, key, c, missing=False):
        self.alternate(
            f"{name}-c{c}", aim, cluster,
            lambda n: wrk(self.directory, LUA_GET.replace("KEY", key),
                          cluster.port, c, self.args.seconds, missing),
            lambda n: wrk(self.directory, LUA_GET.replace("KEY", "small"),
                          self.nginx.port, c, self.args.seconds))

    def get_rows(self, cluster):
        self.prepare_get(cluster)
        for c in (16, 64, 256):
            self.get("get-200-1k", 0.8, cluster, "small", c)
        for c in (16, 64):
            self.get("get-302", 0.8, cluster, "large", c)
            self.get("get-404", 0.8, cluster, "missing", c, missing=True)
        self.alternate(
            "get-302-follow-64k-c16", 0.6, cluster,
            lambda n: self.follow(cluster.port), lambda n: self.follow(
                self.nginx.port))

    def follow(self, port):
        return http_load(port, 16, self.args.seconds, "--mode=get",
                         "--prefix=large", "--keys=100")

    # --- PUT
    def put_rows(self, cluster, name, aim):
        durability = name.split("-")[-1]
        for c in (16, 64):
            self.alternate(
                f"{name}-c{c}", aim, cluster,
                lambda n: wrk(self.directory,
                              LUA_PUT.replace("PREFIX", f"p{n}-"),
                              cluster.port, c, self.args.seconds),
                lambda n: wrk(self.directory,
                              LUA_PUT.replace("PREFIX", f"{name}{c}-{n}-"),
                              self.nginx.port, c, self.args.seconds),
                lambda: self.bare_loop(c, durability) if "-r1-" in name else "")

    def bare_loop(self, c, durability):
        """What one thread makes of files and journal in groups of c."""
        os.sync()
        rate = float(subprocess.run(
            [str(BARE_LOOP), f"--dir={self.directory}/bare{self.run_number}",
             f"--group={c}", f"--durability={durability}",
             f"--seconds={self.args.seconds}"], stdout=subprocess.PIPE,
            text=True, check=True).stdout)
        return f"bare loop {rate:.0f}/s"

    def cycle_row(self, cluster, name, aim):
        self.alternate(
            name, aim, cluster,
            lambda n: http_load(cluster.port, 16, self.args.seconds,
                                "--mode=cycle", f"--prefix=cycle{n}-"),
            lambda n: http_load(self.nginx.port, 16, self.args.seconds,
                                "--mode=put", f"--prefix={name}-{n}-"))

    def put_1m_row(self, cluster):
        self.alternate(
            "put-1m-r3-fsync-c16", 0.35, cluster,
            lambda n: http_load(cluster.port, 16, self.args.seconds,
                                "--mode=put", f"--prefix=mega{n}-",
                                f"--bytes={1 << 20}"),
            lambda n: http_load(self.nginx.port, 16, self.args.seconds,
                                "--mode=put", f"--prefix=mega{n}-",
                                f"--bytes={1 << 20}"))

    # --- One large value
    def big_file(self):
        file = self.directory / "big"
        if not file.exists():
            file.write_bytes(os.urandom(1 << 20) * BIG_MB)
        return file

    def timed(self, *command):
        os.sync()
        begin = time.monotonic()
        children = [subprocess.Popen(words, stderr=subprocess.DEVNULL)
                    for words in command]
        failed = [child.wait() for child in children]
        if any(failed):
            raise RuntimeError(f"{command[0]} failed")
        return time.monotonic() - begin

    def upload(self, port, n):
        return self.timed(["curl", "-sf", "-o", "/dev/null", "-T",
                           str(self.big_file()),
                           f"http://127.0.0.1:{port}/big{n}"])

    def dd(self, n):
        return self.timed(*(
            ["dd", f"if={self.big_file()}", f"of={self.directory}/dd{n}-{i}",
             "bs=1M", "conv=fsync"] for i in range(3)))

    def big_rows(self, cluster):
        if not self.wanted("put-256m-r3-fsync"):
            return
        runs = [(self.upload(cluster.port, n), self.dd(n),
                 self.upload(self.nginx.port, n)) for n in range(RUNS)]
        ours, copies, dav = (statistics.median(run[i] for run in runs)
                             for i in range(3))
        self.report.add("put-256m-r3-fsync", ours, copies, "s", ours / copies,
                        1.3, at_most=True,
                        note=f"{ours / dav:.2f} x one copy by nginx, unsynced "
                        f"({dav:.2f} s)")

    def download(self, port):
        return self.timed(["curl", "-sf", "-o", "/dev/null",
                           f"http://127.0.0.1:{port}/big"])

    def proxy_row(self, cluster):
        name = f"get-{BIG_MB}m-proxy"
        if not self.wanted(name):
            return
        root = self.nginx.directory / "root"
        (root / "big").write_bytes(self.big_file().read_bytes())
        self.timed(["curl", "-sf", "-o", "/dev/null", "-T",
                    str(self.big_file()),
                    f"http://127.0.0.1:{cluster.port}/big"])
        runs = [(self.download(cluster.port), self.download(self.nginx.port))
                for _ in range(RUNS)]
        ours, base = (BIG_MB / statistics.median(run[i] for run in runs)
                      for i in range(2))
        self.report.add(name, ours, base, "MB/s", ours / base, 0.7)

    # --- One client alone
    def latency_row(self, cluster, name, aim_ms, *flags):
        """Of one connection; the baseline is the same on nginx."""
        if not self.wanted(name):
            return
        pairs = [[http_load(port, 1, self.args.seconds,
                            *(flag.replace("RUN", str(n)) for flag in flags))
                  for port in (cluster.port, self.nginx.port)]
                 for n in range(RUNS)]
        ours, base = (sorted((pair[i] for pair in pairs),
                             key=lambda r: r["p50"])[RUNS // 2]
                      for i in range(2))
        self.report.add(
            name, ours["p50"] / 1000, base["p50"] / 1000, "ms",
            ours["p50"] / 1000, aim_ms, at_most=True, result=ours,
            errors=sum(a["errors"] + b["errors"] for a, b in pairs),
            note=f"ratio: ms; {ours['stalls']} of {ours['requests']} took 20 ms "
            "or more")

    def memory_row(self, cluster):
        """Of gateway and agents under PUT and GET with 256 connections."""
        name = "memory-c256"
        if not self.wanted(name):
            return
        for i in range(100):
            put(cluster.port, f"small{i}", b"x" * SMALL)
        results = [wrk(self.directory, LUA_PUT.replace("PREFIX", "m"),
                       cluster.port, 256, self.args.seconds),
                   wrk(self.directory, LUA_GET.replace("KEY", "small"),
                       cluster.port, 256, self.args.seconds)]
        usage = {process: peak for process, (_, peak) in cluster.usage().items()
                 if process != "master"}
        worst = max(usage, key=usage.get)
        self.report.add(name, usage[worst], 0, "MB", usage[worst], 100,
                        at_most=True, errors=sum(r["errors"] for r in results),
                        note=f"the largest peak: {worst}")

    # --- Many connections
    def idle_row(self, cluster, connections=10000):
        name = "get-200-1k-c64-idle10k"
        if not self.wanted(name):
            return
        load = lambda n: wrk(self.directory, LUA_GET.replace("KEY", "small"),
                             cluster.port, 64, self.args.seconds)
        alone, beside = [], []
        for n in range(RUNS):
            alone.append(load(n))
            with Idle(cluster.port, connections):
                beside.append(measured(cluster, lambda: load(n)))
                memory = resident_mb(cluster.pids["gateway"])
        ours, base = (statistics.median(r["rate"] for r in runs)
                      for runs in (beside, alone))
        middle = sorted(beside, key=lambda r: r["rate"])[RUNS // 2]
        self.report.add(name, ours, base, "req/s", ours / base, 0.9,
                        result=middle, cpu=middle["cpu"],
                        errors=sum(r["errors"] for r in alone + beside),
                        note=f"baseline: without them; gateway {memory:.0f} MB")
        self.report.add("memory-gateway-idle10k", memory, 0, "MB", memory, 200,
                        at_most=True)

    def overload_row(self, cluster, name, lua):
        """2,000 connections that never rest, against the best of 64."""
        if not self.wanted(name):
            return
        load = lambda c, n: wrk(self.directory,
                                lua.replace("PREFIX", f"o{c}-{n}-"),
                                cluster.port, c, self.args.seconds)
        pairs = [(measured(cluster, lambda: load(2000, n)), load(64, n))
                 for n in range(RUNS)]
        served = lambda r: r["rate"] * (1 - r["shed"] / max(1, r["requests"]))
        ours = statistics.median(served(o) for o, _ in pairs)
        base = statistics.median(served(b) for _, b in pairs)
        middle = sorted((o for o, _ in pairs), key=served)[RUNS // 2]
        self.report.add(
            name, ours, base, "req/s", ours / base, 0.8, result=middle,
            cpu=middle["cpu"],
            errors=sum(o["errors"] - o["shed"] + b["errors"]
                       for o, b in pairs),
            note=f"baseline: c=64; {middle['shed']} shed; "
            + ", ".join(f"{k} {resident_mb(pid):.0f} MB"
                        for k, pid in sorted(cluster.pids.items())))


class Idle:
    """Connections that were used once and are kept open."""

    def __init__(self, port, connections):
        self.command = ["--mode=idle", f"--address=127.0.0.1:{port}",
                        f"--connections={connections}", "--prefix=small"]
        self.child = None

    def __enter__(self):
        self.child = subprocess.Popen([str(LOADER), *self.command],
                                      stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        if "ready" not in self.child.stdout.readline():
            raise RuntimeError("the idle connections were refused")
        return self

    def __exit__(self, *unused):
        self.child.stdin.close()
        self.child.wait()
