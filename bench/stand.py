"""What the rows of the bench run on: nginx, clusters, and load generators."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOADER = ROOT / "bazel-bin/bench/http_load"
BARE_LOOP = ROOT / "bazel-bin/bench/bare_loop"
INDEX_BENCH = ROOT / "bazel-bin/bench/index_bench"

# What wrk itself prints rounds too much, and has no 99.9th percentile.
LUA_DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d\\n", summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), e.status, e.connect + e.read + e.write + e.timeout))
end
"""
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
events {{ worker_connections 4096; }}
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
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"bench: nothing listens on port {port}")


def cpu_seconds(pid):
    """CPU time of a process so far; 0 if it is gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    words = stat.rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid, field="VmRSS"):
    """Resident memory; VmHWM: its peak."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def children_of(pid):
    out = subprocess.run(["pgrep", "-P", str(pid)], stdout=subprocess.PIPE,
                         text=True, check=False).stdout
    return [int(word) for word in out.split()]


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

    def cpu(self):
        """{process: CPU seconds}"""
        return {"nginx": sum(map(cpu_seconds, children_of(self.child.pid)))}

    def stop(self):
        self.child.send_signal(signal.SIGQUIT)
        self.child.wait()


class Cairn:
    """A cluster of `./dev up` on ports of its own."""

    def __init__(self, directory, base, replicas, durability, index="",
                 volumes=0, inline_max="", reads=""):
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
        for option, value in (("index", index), ("inline-max", inline_max),
                              ("reads", reads)):
            self.command += [f"--{option}={value}"] if value else []
        self.start()

    def start(self):
        subprocess.run(self.command, check=True, stdout=subprocess.DEVNULL)
        self.pids = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_text().split("\0")
            except OSError:
                continue  # It has ended meanwhile.
            for word in words[1:]:
                if word.startswith(f"--data={self.directory}/"):
                    self.pids[word.split("/")[-1]] = int(entry.parent.name)

    def cpu(self):
        """{process: CPU seconds}; an agent's nginx is one of its own."""
        found = {name: cpu_seconds(pid) for name, pid in self.pids.items()}
        for name, pid in self.pids.items():
            if name.startswith("volume-"):
                found[f"nginx-{name[7:]}"] = sum(
                    cpu_seconds(worker) for master in children_of(pid)
                    for worker in children_of(master))
        return found

    def usage(self):
        """{process: (CPU seconds, peak RSS in MB)}"""
        return {name: (cpu_seconds(pid), resident_mb(pid, "VmHWM"))
                for name, pid in self.pids.items()}

    def stop(self):
        subprocess.run([ROOT / "dev", "down", f"--data={self.directory}"],
                       check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def directory_of(args):
    """A new directory of this run, removed in the end unless --keep."""
    directory = pathlib.Path(args.dir).absolute() / str(os.getpid())
    directory.mkdir(parents=True)
    try:
        yield directory
    finally:
        if not args.keep:
            shutil.rmtree(directory)


def put(port, key, data):
    subprocess.run(["curl", "-sf", "-o", "/dev/null", "-T", "-",
                    f"http://127.0.0.1:{port}/{key}"], input=data, check=True)


def wrk(directory, lua, port, connections, seconds, expect_errors=False):
    """Load by wrk: {rate, p50, p99, p999 (microseconds), errors, shed}.

    `expect_errors`: every answer should be one of 400 and above.
    """
    script = directory / f"wrk-{port}-{connections}.lua"
    script.write_text(lua + LUA_DONE)
    os.sync()
    out = subprocess.run(
        ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s",
         "-s", str(script), f"http://127.0.0.1:{port}"],
        stdout=subprocess.PIPE, text=True, check=True).stdout
    line = next(line for line in out.splitlines() if line.startswith("RESULT"))
    requests, micros, p50, p99, p999, refused, broken = map(
        int, line.split()[1:])
    errors = broken + (requests - refused if expect_errors else refused)
    return {"rate": requests / micros * 1e6, "requests": requests, "p50": p50,
            "p99": p99, "p999": p999, "errors": errors, "shed": refused}


def http_load(port, connections, seconds, *flags):
    """The same of our own generator, which follows redirects and cycles."""
    os.sync()
    out = subprocess.run(
        [str(LOADER), f"--address=127.0.0.1:{port}",
         f"--connections={connections}", f"--seconds={seconds}", *flags],
        stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out)
