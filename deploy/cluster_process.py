"""Processes of a cluster: start them, know them again, stop them.

A process is known by its pid, its start time and the data directory in its
command line, so that a pid that went to a stranger is never signalled.
"""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request


class Failure(Exception):
    """One sentence for the user; the command ends with exit code 1."""


def start_time(pid):
    """Clock ticks since boot at which the process began; None: gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2:].split()
    return None if fields[0] in "ZX" else int(fields[19])


def command_line(pid):
    try:
        raw = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace")


class Record:
    """What a file under DATA/run says of one process."""

    def __init__(self, name, run_dir, pid, started=None):
        self.name = name
        self.file = run_dir / f"{name}.json"
        self.pid = pid
        self.started = start_time(pid) if started is None else started

    def save(self):
        self.file.write_text(
            json.dumps({"pid": self.pid, "started": self.started}))

    def alive(self):
        return self.started is not None and (
            start_time(self.pid) == self.started)

    def signal(self, number):
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def wait(self, seconds):
        """True: it has ended."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def forget(self):
        self.file.unlink(missing_ok=True)


def records(run_dir):
    found = []
    for file in sorted(run_dir.glob("*.json")):
        try:
            content = json.loads(file.read_text())
            found.append(Record(file.stem, run_dir, content["pid"],
                                content["started"]))
        except (ValueError, KeyError):
            continue  # Torn by a kill: that process is found by nobody.
    return found


def running(run_dir, data):
    """Records of this directory's processes that are alive."""
    return [r for r in records(run_dir) if r.name != "supervisor"
            and r.alive() and str(data) in command_line(r.pid)]


class Process:
    """A program of the cluster under this supervisor."""

    def __init__(self, name, command, data, addresses):
        self.name = name
        self.command = [str(word) for word in command]
        self.directory = data / name
        self.run_dir = data / "run"
        self.log = self.directory / "log"
        self.addresses = addresses
        self.child = None
        self.started_at = 0.0
        self.restart_at = None
        self.backoff_s = 0.2
        self.retired = False
        self.log_offset = 0

    def start(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        if not os.access(self.command[0], os.X_OK):
            raise Failure(f"{self.command[0]} is missing: ./dev build")
        with open(self.log, "ab") as log:
            self.log_offset = log.tell()
            # A session of its own: Ctrl-C is the supervisor's to pass on.
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True)
        self.started_at = time.monotonic()
        Record(self.name, self.run_dir, self.child.pid).save()

    def poll(self):
        return None if self.child is None else self.child.poll()

    def check_start(self):
        """Raises the process's own sentence when it refused to start."""
        code = self.poll()
        if code is None:
            return
        with open(self.log, "rb") as log:
            log.seek(self.log_offset)
            lines = log.read().decode(errors="replace").splitlines()
        own = [line for line in lines if line.startswith("cairn-")]
        raise Failure(own[-1] if own else
                      f"{self.name} ended with exit code {code} at its start: "
                      f"see {self.log}")

    def answers(self):
        return all(accepts(address) for address in self.addresses)


def accepts(address):
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def http_get(address, path):
    """(status, body); (0, "") when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}",
                                    timeout=2) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, "the gateway does not answer yet"


def lock(path):
    """A descriptor that holds the lock, None when another process does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    except BlockingIOError:
        os.close(descriptor)
        return None


def port_user(port):
    """The command line of who listens on a port, or ""."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for directory in pathlib.Path("/proc").glob("[0-9]*/fd"):
        try:
            for link in directory.iterdir():
                if os.readlink(link) in inodes:
                    pid = directory.parent.name
                    return f"pid {pid}: {command_line(pid).strip()[:80]}"
        except OSError:
            continue
    return ""


def check_port(port, option):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            user = port_user(port) if isinstance(error, OSError) else ""
            raise Failure(
                f"port {port} cannot be had" +
                (f" ({user})" if user else f" ({error})") +
                f": choose another with {option}") from error


def find_program(name):
    return shutil.which(name, path=os.environ.get("PATH", "") +
                        ":/usr/sbin:/usr/local/sbin")


def stop_left_nginx(data):
    """Ends nginx groups whose agent was killed; workers outlive a master.

    An agent gives its nginx a process group of its own, led by the master.
    """
    groups = set()
    for file in data.glob("volume-*/nginx/nginx.pid"):
        try:
            groups.add(int(file.read_text()))
        except ValueError:
            continue
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        pid = int(directory.name)
        line = command_line(pid)
        try:
            group = os.getpgid(pid)
        except ProcessLookupError:
            continue
        ours = f"{data}/volume-" in line or group in groups
        if "nginx" in line.split(" ")[0] and ours and "cairn-" not in line:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def remove_empty(*directories):
    """Takes back what a refused first start has made, if nothing is in it."""
    for directory in directories:
        for name in ("supervisor.lock", "supervisor.log"):
            (directory / name).unlink(missing_ok=True)
        try:
            directory.rmdir()
        except OSError:
            return
