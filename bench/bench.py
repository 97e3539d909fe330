"""Measures Cairn against bare nginx on the same disk in the same run.

Each row runs alternately with its baseline, three times; medians and their
ratio are printed. Trees are removed only at the very end: for minutes after a
large removal ext4 creates files many times slower.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time

import index_rows
import placement_rows
import rebuild_rows

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNS = 3

LUA_PUT = """
local thread_count = 0
function setup(thread) thread:set("id", thread_count); thread_count = thread_count + 1 end
local n = 0
local body = string.rep("x", 1024)
function request()
  n = n + 1
  return wrk.format("PUT", "/PREFIX" .. id .. "/" .. n, {["Content-Type"]="text/plain"}, body)
end
"""
LUA_GET = """
local n = 0
function request()
  n = n + 1
  return wrk.format("GET", "/KEY" .. (n % 100))
end
"""

NGINX_CONF = """
daemon off; worker_processes 2; pid {dir}/nginx.pid; error_log {dir}/error.log;
{user}
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_max_body_size 0; client_body_temp_path {dir}/temp;
  proxy_temp_path {dir}/t1; fastcgi_temp_path {dir}/t2; uwsgi_temp_path {dir}/t3;
  scgi_temp_path {dir}/t4;
  server {{
    listen 127.0.0.1:{port} backlog=4096; root {dir}/root;
    dav_methods PUT; create_full_put_path on;
  }}
}}
"""


def wait_port(port, seconds=20):
    import socket
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"bench: nothing listens on port {port}")


class Nginx:
    """The baseline: stock nginx serving and storing files."""

    def __init__(self, directory, port):
        self.port, self.directory = port, directory
        (directory / "root").mkdir(parents=True)
        user = "user root;" if os.geteuid() == 0 else ""
        conf = directory / "nginx.conf"
        conf.write_text(NGINX_CONF.format(dir=directory, port=port, user=user))
        self.child = subprocess.Popen(["nginx", "-p", str(directory), "-c",
                                       str(conf), "-e",
                                       str(directory / "error.log")])
        wait_port(port)

    def stop(self):
        self.child.send_signal(signal.SIGQUIT)
        self.child.wait()


class Cairn:
    """A cluster of `./dev up` on ports of its own."""

    def __init__(self, directory, base, replicas, durability, index="",
                 volumes=0, inline_max=""):
        self.port, self.directory = base, directory
        self.pids = {}  # By name: master, volume-1, ...
        # Unless told otherwise as many volumes as replicas: no row gains from
        # an idle volume.
        self.command = [
            ROOT / "dev", "up", "--detach", f"--data={directory}",
            f"--port={base}", f"--admin-port={base + 1}",
            f"--master-port={base + 2}", f"--volume-port={base + 10}",
            f"--http-port={base + 20}", f"--volumes={volumes or replicas}",
            f"--replicas={replicas}", f"--durability={durability}"]
        self.command += [f"--index={index}"] if index else []
        self.command += [f"--inline-max={inline_max}"] if inline_max else []
        self.start()

    def start(self):
        subprocess.run(self.command, check=True, stdout=subprocess.DEVNULL)
        directory = self.directory
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_text().split("\0")
            except OSError:
                continue  # It has ended meanwhile.
            for word in words[1:]:
                if word.startswith(f"--data={directory}/"):
                    self.pids[word.split("/")[-1]] = int(entry.parent.name)

    def usage(self):
        """{process: (CPU seconds, peak RSS in MB)}"""
        found = {}
        tick = os.sysconf("SC_CLK_TCK")
        for name, pid in self.pids.items():
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text().split()
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            rss = next(int(line.split()[1]) for line in status.splitlines()
                       if line.startswith("VmHWM"))
            found[name] = ((int(stat[13]) + int(stat[14])) / tick, rss / 1024)
        return found

    def stop(self):
        subprocess.run([ROOT / "dev", "down", f"--data={self.directory}"],
                       check=True, stdout=subprocess.DEVNULL)


def put(port, key, data):
    subprocess.run(["curl", "-sf", "-o", "/dev/null", "-T", "-",
                    f"http://127.0.0.1:{port}/{key}"], input=data, check=True)


def wrk(directory, lua, port, connections, seconds):
    script = directory / "wrk.lua"
    script.write_text(lua)
    os.sync()
    out = subprocess.run(
        ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--latency", "-s",
         str(script), f"http://127.0.0.1:{port}"],
        stdout=subprocess.PIPE, text=True, check=True).stdout
    result = {"rate": 0.0, "errors": 0, "p50": "", "p99": ""}
    for line in out.splitlines():
        words = line.split()
        if line.startswith("Requests/sec"):
            result["rate"] = float(words[1])
        elif "Non-2xx" in line:
            result["errors"] += int(words[-1])
        elif "Socket errors" in line:
            result["errors"] += sum(int(w.rstrip(",")) for w in words
                                    if w.rstrip(",").isdigit())
        elif words[:1] == ["50%"]:
            result["p50"] = words[1]
        elif words[:1] == ["99%"]:
            result["p99"] = words[1]
    return result


class Bench:
    def __init__(self, args):
        self.args = args
        self.directory = pathlib.Path(args.dir).absolute() / str(os.getpid())
        self.directory.mkdir(parents=True)
        self.rows = []
        self.run_number = 0
        self.nginx = Nginx(self.directory / "nginx", args.port)

    def alternate(self, name, target, ours, baseline):
        """Runs both RUNS times in turn; each gives a wrk result."""
        pairs = []
        for _ in range(RUNS):
            self.run_number += 1
            pairs.append((ours(self.run_number), baseline(self.run_number)))
        our_rate = statistics.median(o["rate"] for o, _ in pairs)
        base_rate = statistics.median(b["rate"] for _, b in pairs)
        errors = sum(o["errors"] + b["errors"] for o, b in pairs)
        middle = sorted((o for o, _ in pairs), key=lambda o: o["rate"])[RUNS // 2]
        self.report(name, our_rate, base_rate, our_rate / base_rate, target,
                    middle["p50"], middle["p99"], errors, "req/s",
                    our_rate / base_rate >= target)

    def report(self, name, ours, base, ratio, target, p50, p99, errors, unit,
               reached):
        row = {"row": name, "cairn": ours, "nginx": base, "ratio": ratio,
               "target": target, "p50": p50, "p99": p99, "errors": errors,
               "unit": unit, "reached": reached}
        self.rows.append(row)
        print(f"{name:26} {ours:10.1f} {base:10.1f} {unit:6} ratio "
              f"{ratio:5.2f} target {target:4} {'ok ' if reached else 'LOW'} "
              f"p50 {p50:>8} p99 {p99:>8}" +
              (f"  {errors} ERRORS" if errors else ""), flush=True)

    def wanted(self, name):
        return not self.args.row or any(r in name for r in self.args.row)

    def get_rows(self, cluster):
        root = self.directory / "nginx/root"
        for i in range(100):
            put(cluster.port, f"small{i}", b"x" * 1024)
            put(cluster.port, f"large{i}", b"x" * 65536)
            (root / f"small{i}").write_bytes(b"x" * 1024)
        for c in (16, 64):
            for row, key in (("get-200-1k", "small"), ("get-302", "large")):
                if not self.wanted(f"{row}-c{c}"):
                    continue
                self.alternate(
                    f"{row}-c{c}", 0.5,
                    lambda n: wrk(self.directory, LUA_GET.replace("KEY", key),
                                  cluster.port, c, self.args.seconds),
                    lambda n: wrk(self.directory,
                                  LUA_GET.replace("KEY", "small"),
                                  self.nginx.port, c, self.args.seconds))

    def put_rows(self, cluster, name, target):
        for c in (16, 64):
            if not self.wanted(f"{name}-c{c}"):
                continue
            self.alternate(
                f"{name}-c{c}", target,
                lambda n: wrk(self.directory,
                              LUA_PUT.replace("PREFIX", f"p{n}-"),
                              cluster.port, c, self.args.seconds),
                lambda n: wrk(self.directory,
                              LUA_PUT.replace("PREFIX", f"{name}{c}-{n}-"),
                              self.nginx.port, c, self.args.seconds))

    def big_row(self, cluster):
        if not self.wanted("put-256m-r3"):
            return
        file = self.directory / "big"
        file.write_bytes(os.urandom(1 << 20) * 256)

        def upload(port, n):
            os.sync()
            begin = time.monotonic()
            subprocess.run(["curl", "-sf", "-o", "/dev/null", "-T", str(file),
                            f"http://127.0.0.1:{port}/big{n}"], check=True)
            return time.monotonic() - begin

        pairs = []
        for n in range(RUNS):
            pairs.append((upload(cluster.port, n), upload(self.nginx.port, n)))
        ours = statistics.median(o for o, _ in pairs)
        base = statistics.median(b for _, b in pairs)
        self.report("put-256m-r3", ours, base, ours / base, 2.5, "", "", 0,
                    "s", ours / base <= 2.5)

    def usage(self, cluster, title):
        usage = cluster.usage()
        print(f"  {title}: " + ", ".join(
            f"{name} {cpu:.1f} s CPU {rss:.0f} MB peak"
            for name, (cpu, rss) in sorted(usage.items())), flush=True)

    def run(self):
        plans = [
            (1, "os", lambda c: (self.get_rows(c),
                                 self.put_rows(c, "put-1k-r1-os", 0.7)),
             ["get-200-1k", "get-302", "put-1k-r1-os"]),
            (1, "fsync", lambda c: self.put_rows(c, "put-1k-r1-fsync", 0.4),
             ["put-1k-r1-fsync"]),
            (3, "os", lambda c: self.put_rows(c, "put-1k-r3-os", 0.25),
             ["put-1k-r3-os"]),
            (3, "fsync", self.big_row, ["put-256m-r3"]),
        ]
        for i, (replicas, durability, rows, names) in enumerate(plans):
            full = [f"{n}{c}" for n in names for c in ("", "-c16", "-c64")]
            if not any(self.wanted(n) for n in full):
                continue
            cluster = Cairn(self.directory / f"cairn{i}",
                            self.args.port + 100 * (i + 1), replicas,
                            durability)
            try:
                rows(cluster)
                self.usage(cluster, f"replicas={replicas} {durability}")
            finally:
                cluster.stop()

    def close(self):
        self.nginx.stop()
        if not self.args.keep:
            shutil.rmtree(self.directory)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    parser.add_argument("--row", action="append", help="only rows with this in "
                        "their name; may be repeated")
    parser.add_argument("--seconds", type=int, default=5,
                        help="of each measurement (default: 5)")
    parser.add_argument("--dir", default=str(ROOT / "bench-data"),
                        help="where data goes; on the disk to be measured")
    parser.add_argument("--port", type=int, default=4000,
                        help="first of about 500 ports (default: 4000)")
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
    args = parser.parse_args()
    if args.placement:
        return placement_rows.run(args, Cairn)
    args.keys = args.keys or 1000000
    if args.index:
        return index_rows.run(args, Cairn, wrk, put, LUA_GET, LUA_PUT)
    if args.rebuild:
        return rebuild_rows.run(args, Cairn, wrk, LUA_PUT)
    print(f"{platform.node()}: {os.cpu_count()} cores, Linux "
          f"{platform.release()}, {time.strftime('%Y-%m-%d')}, wrk -t2, "
          f"median of {RUNS} x {args.seconds} s")
    bench = Bench(args)
    try:
        bench.run()
    finally:
        bench.close()
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(bench.rows, indent=1))
    if any(row["errors"] for row in bench.rows):
        print("ERRORS in the rows above: their figures mean little")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
