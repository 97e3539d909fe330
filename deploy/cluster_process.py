"""Processes of a cluster: start them, find them again, stop them.

A process is known by its program and the data directory among its arguments,
not by a list of ours: a supervisor may be killed between starting a process
and noting it. Signals go to a pid only while its start time is the one seen.
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

PROGRAMS = ("cairn-master", "cairn-volume", "cairn-gateway")


class Failure(Exception):
    """One sentence for the user; the command ends with exit code 1."""


class Refusal(Failure):
    """The sentence of a process that refused to start."""


def start_time(pid):
    """Clock ticks since boot at which the process began; None: gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2:].split()
    return None if fields[0] in "ZX" else int(fields[19])


def arguments(pid):
    """The words of a process's command line; []: gone."""
    try:
        raw = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(word) for word in raw.rstrip(b"\0").split(b"\0")]


def all_pids():
    return [int(d.name) for d in pathlib.Path("/proc").glob("[0-9]*")]


class Running:
    """A process that was alive when it was found."""

    def __init__(self, name, pid, started=None):
        self.name = name
        self.pid = pid
        self.started = start_time(pid) if started is None else started

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


def is_redis(words, data):
    """redis-server writes its address where its arguments were."""
    program = os.path.basename(words[0].split(" ")[0])
    return program == "redis-server" and (
        f"{data}/redis/socket" in " ".join(words))


def running(data):
    """The processes of this data directory that are alive."""
    found = []
    prefix = f"--data={data}/"
    for pid in all_pids():
        words = arguments(pid)
        if words and is_redis(words, data):
            found.append(Running("redis", pid))
        if not words or os.path.basename(words[0]) not in PROGRAMS:
            continue
        names = [w[len(prefix):] for w in words[1:] if w.startswith(prefix)]
        if names and "/" not in names[0]:
            found.append(Running(names[0], pid))
    return [p for p in found if p.started is not None]


def open_files(pid):
    """What the process has open; [] if it is gone or somebody else's."""
    try:
        return [os.readlink(fd)
                for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


def stop_left_nginx(data):
    """Ends nginx processes whose agent was killed; workers outlive a master.

    Ours are those that write the error log of one of our volumes.
    """
    for pid in all_pids():
        words = arguments(pid)
        if not words or "nginx" not in words[0]:
            continue
        if any(file.startswith(f"{data}/volume-") for file in open_files(pid)):
            Running("nginx", pid).signal(signal.SIGKILL)


class Process:
    """A program of the cluster under this supervisor."""

    def __init__(self, name, command, data, addresses):
        self.name = name
        self.command = [str(word) for word in command]
        self.directory = data / name
        self.log = self.directory / "log"
        self.addresses = addresses
        self.child = None
        self.started_at = 0.0
        self.restart_at = None
        self.backoff_s = 0.0
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

    def poll(self):
        return None if self.child is None else self.child.poll()

    def removed(self):
        """The agent of a removed volume notes that, and ends for good."""
        return (self.directory / "removed").exists()

    def lines(self):
        """What it has logged since its start."""
        if not self.log.exists():
            return []
        with open(self.log, "rb") as log:
            log.seek(self.log_offset)
            return log.read().decode(errors="replace").splitlines()

    def sentence(self):
        """Why it refused to start, in its own words, or ""."""
        own = [line for line in self.lines() if line.startswith("cairn-")]
        return own[-1] if own else ""

    def joined(self):
        """An agent: it has reached the master and was not refused."""
        return not self.name.startswith("volume-") or any(
            "joined the cluster" in line for line in self.lines())

    def check_start(self):
        """Raises the process's own sentence when it refused to start."""
        code = self.poll()
        if code is None or self.removed():
            return
        sentence = self.sentence()
        if sentence:
            raise Refusal(sentence)
        raise Failure(f"{self.name} ended with exit code {code} at its start: "
                      f"see {self.log}")

    def answers(self):
        return all(accepts(address) for address in self.addresses)


def accepts(address):
    if address.startswith("unix:"):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(address[5:]) == 0
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def http_get(address, path):
    """(status, body); (0, a sentence) when nobody answers."""
    # Not the proxy of the environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}{path}", timeout=2) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, "the gateway does not answer yet"


def write_whole(path, text, mode=0o644):
    """The file has the old or the new text, whatever happens."""
    temporary = path.with_suffix(".tmp")
    temporary.touch(mode)
    temporary.write_text(text)
    temporary.rename(path)


def read_json(path):
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise Failure(f"{path} is damaged ({error}): remove it, and give "
                      "./dev up the cluster's options again") from error
    if not isinstance(content, dict):
        raise Failure(f"{path} is damaged: remove it, and give ./dev up the "
                      "cluster's options again")
    return content


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
    """Who listens on a port, or ""."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for pid in all_pids():
        if inodes.intersection(open_files(pid)):
            words = " ".join(arguments(pid)).split()  # On one line.
            return f"pid {pid}: {' '.join(words)[:80]}"
    return ""


def check_port(port, option):
    if not 1 <= port <= 65535:
        raise Failure(f"port {port} does not exist: give 1 to 65535 with "
                      f"{option}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = port_user(port) or error.strerror
            raise Failure(f"port {port} cannot be had ({why}): choose another "
                          f"with {option}") from error


def find_program(name):
    """Where the agent looks, too."""
    return shutil.which(name, path=os.environ.get("PATH", "") +
                        ":/usr/sbin:/usr/local/sbin")
