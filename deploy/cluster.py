"""Runs a whole Cairn cluster on loopback: what `./dev up` and its kin do.

The supervisor starts master, volumes and gateway, waits until all answer,
starts again what dies, and stops all in the end. What it must remember is in
DATA/cluster.json (options) and DATA/run/supervisor.json (who it is).
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import cluster_process as process
from cluster_process import Failure, Refusal
from cluster_supervisor import (START_DEADLINE_S, STOP_DEADLINE_S, Supervisor,
                                stop_all, volumes_missing)

REREAD = signal.SIGUSR1  # To the supervisor: cluster.json has one volume more.
# The path of a unix socket has at most so many bytes.
SOCKET_PATH_MAX = 107
REFUSED = 3  # Exit code of a detached supervisor: a process refused to start.

# Options that a data directory remembers, with their defaults.
REMEMBERED = {
    "port": 3000, "admin_port": 3080, "master_port": 3100,
    "volume_port": 3201, "http_port": 3301, "volumes": 3, "replicas": 2,
    "subvolumes": 4, "index": "", "inline_max": "", "durability": "fsync",
    "reads": "redirect",
    "nginx": "nginx",
}


class Cluster:
    """One data directory and the processes that belong to it."""

    def __init__(self, data, bin_dir):
        # Links resolved: the processes are found again by this path.
        self.data = pathlib.Path(data).resolve()
        self.bin_dir = pathlib.Path(bin_dir).absolute()
        self.run_dir = self.data / "run"
        self.options = dict(REMEMBERED)
        self.file = self.data / "cluster.json"
        self.is_new = not self.file.exists()
        self.load()

    def load(self):
        if self.file.exists():
            self.options.update(process.read_json(self.file))

    def save(self):
        # Nobody else's to read: --index may hold a password.
        process.write_whole(self.file,
                            json.dumps(self.options, indent=1) + "\n", 0o600)

    def volume_numbers(self, removed_too=False):
        """Volumes in the directory, or as many as a new one shall have."""
        numbers = set(range(1, self.options["volumes"] + 1))
        if not self.is_new:
            numbers |= {int(d.name[7:]) for d in self.data.glob("volume-*")
                        if d.name[7:].isdigit()}
        return sorted(n for n in numbers if removed_too or not (
            self.data / f"volume-{n}" / "removed").exists())

    def volume_id(self, number):
        """As its agent wrote it down; None: not yet."""
        file = self.data / f"volume-{number}" / "volume.json"
        try:
            return json.loads(file.read_text()).get("volume_id")
        except (OSError, ValueError):
            return None

    def address(self, option, offset=0):
        return f"127.0.0.1:{self.options[option] + offset}"

    def master_command(self):
        o = self.options
        command = [self.bin_dir / "master/cairn-master",
                   f"--data={self.data}/master",
                   f"--listen={self.address('master_port')}",
                   f"--replicas={o['replicas']}",
                   f"--subvolumes={o['subvolumes']}",
                   f"--durability={o['durability']}"]
        index = o["index"]
        if self.own_redis():
            index = f"redis+unix://{self.redis_socket()}"
        command += [f"--index={index}"] if index else []
        inline_max = o["inline_max"]
        return command + ([f"--inline_max={inline_max}"] if inline_max else [])

    def own_redis(self):
        return self.options["index"] == "redis"

    def redis_socket(self):
        return self.data / "redis" / "socket"

    def redis_command(self):
        """Keeps all that it has acknowledged, forgets nothing, and is reached
        by nobody but this machine."""
        return [process.find_program("redis-server") or "redis-server",
                "--port", "0", "--unixsocket", self.redis_socket(),
                "--unixsocketperm", "700", "--dir", self.data / "redis",
                "--appendonly", "yes", "--appendfsync", "always",
                "--save", "", "--maxmemory-policy", "noeviction"]

    def volume_command(self, number):
        return [self.bin_dir / "volume/cairn-volume",
                f"--data={self.data}/volume-{number}",
                f"--listen={self.address('volume_port', number - 1)}",
                f"--http_listen={self.address('http_port', number - 1)}",
                f"--master={self.address('master_port')}",
                f"--subvolumes={self.options['subvolumes']}",
                f"--nginx={self.options['nginx']}"]

    def gateway_command(self):
        return [self.bin_dir / "gateway/cairn-gateway",
                f"--data={self.data}/gateway",
                f"--listen={self.address('port')}",
                f"--admin_listen={self.address('admin_port')}",
                f"--master={self.address('master_port')}",
                f"--reads={self.options['reads']}"]

    def make_volume(self, number):
        """A volume that is not started yet, with the ports it must answer."""
        return process.Process(
            f"volume-{number}", self.volume_command(number), self.data,
            [self.address("volume_port", number - 1),
             self.address("http_port", number - 1)])

    def make_processes(self):
        """In the order in which they start."""
        found = []
        if self.own_redis():
            found.append(process.Process("redis", self.redis_command(),
                                         self.data,
                                         [f"unix:{self.redis_socket()}"]))
        found.append(process.Process("master", self.master_command(),
                                     self.data,
                                     [self.address("master_port")]))
        found += [self.make_volume(n) for n in self.volume_numbers()]
        found.append(process.Process("gateway", self.gateway_command(),
                                     self.data, [self.address("port")]))
        return found

    def ports(self):
        """(port, the option that changes it, volume or 0) of all processes."""
        o = self.options
        for name in ("port", "admin_port", "master_port"):
            yield o[name], "--" + name.replace("_", "-"), 0
        for n in self.volume_numbers():
            yield o["volume_port"] + n - 1, "--volume-port", n
            yield o["http_port"] + n - 1, "--http-port", n

    def readiness(self):
        """(ready, sentence) as the gateway's admin port says."""
        code, body = process.http_get(self.address("admin_port"), "/readyz")
        try:
            return code == 200, json.loads(body)["detail"]
        except (ValueError, KeyError, TypeError):
            return code == 200, body.strip()


def check_options(cluster):
    o = cluster.options
    for name in ("replicas", "volumes", "subvolumes"):
        if o[name] < 1:
            raise Failure(f"--{name}={o[name]}: at least 1")
    if cluster.is_new and o["volumes"] < o["replicas"]:
        lack = o["replicas"] - o["volumes"]
        raise Failure(
            f"replicas={o['replicas']} but {o['volumes']} volumes: start "
            f"{lack} more with --volumes {o['replicas']} or pass --replicas "
            f"{o['volumes']}")
    if cluster.own_redis():
        if not process.find_program("redis-server"):
            raise Failure("redis-server is missing: apt-get install "
                          "redis-server, or give --index=redis://host:port")
        if len(os.fsencode(cluster.redis_socket())) > SOCKET_PATH_MAX:
            raise Failure(f"{cluster.redis_socket()} is too long for a socket: "
                          "choose a shorter --data")
    if not process.find_program(o["nginx"]):
        raise Failure(f"{o['nginx']} is missing: apt-get install nginx, or say "
                      "where it is with --nginx")


def check_ports(cluster, volumes=None):
    """Of all processes, or of these volumes alone."""
    options = {}
    for port, option, volume in cluster.ports():
        if port in options:
            raise Failure(f"port {port} is wanted twice, by {options[port]} "
                          f"and by {option}: choose others")
        options[port] = option
        if volumes is None or volume in volumes:
            process.check_port(port, option)


def check_copies(cluster):
    """A copied volume would be refused by the master, for as long as the
    original runs: nobody could tell which of them it is."""
    seen = {}
    for n in cluster.volume_numbers():
        volume_id = cluster.volume_id(n)
        if volume_id is not None and volume_id in seen:
            raise Failure(
                f"volume-{n} in {cluster.data} is a copy of "
                f"volume-{seen[volume_id]}: move one of the two directories "
                "away")
        seen[volume_id] = n


def banner(cluster, ready, why):
    gateway = cluster.address("port").replace("127.0.0.1", "localhost")
    o = cluster.options
    lines = [f"Cairn runs: {len(cluster.volume_numbers())} volumes, "
             f"{o['replicas']} replicas, data in {cluster.data}"]
    if not ready:
        lines.append(f"It is NOT ready: {why}")
    lines += [
        f"  gateway  http://{gateway}   (admin "
        f"http://{cluster.address('admin_port')}/readyz)",
        f"  master   {cluster.address('master_port')} (gRPC)",
        f"  volumes  from {cluster.address('volume_port')} (gRPC) and "
        f"{cluster.address('http_port')} (nginx)", "Try:",
        f"  curl -d bar -X PUT http://{gateway}/foo",
        f"  curl -L http://{gateway}/foo",
        f"  curl -L http://{gateway}/foo?list"]
    return "\n".join(lines)


def take(cluster):
    """Locks the directory and stops what a killed supervisor has left. What
    can be checked before anything is made is checked before; the lock."""
    lock = None
    if cluster.run_dir.exists():
        lock = take_lock(cluster)
        stop_all(cluster, say_stderr)
    check_copies(cluster)
    check_ports(cluster)
    if lock is None:
        cluster.run_dir.mkdir(parents=True, exist_ok=True)
        lock = take_lock(cluster)
    return lock


def take_lock(cluster):
    lock = process.lock(cluster.run_dir / "supervisor.lock")
    if lock is None:
        raise Failure(f"the cluster in {cluster.data} runs already: "
                      "./dev status shows it, ./dev down stops it")
    return lock


def take_back(cluster, before):
    """Removes what a refused first start has made: `before` was there.

    Not if a blob is among it; then a client was faster than the refusal.
    """
    if any(cluster.data.glob("volume-*/subvolume-*/*/*@*")):
        return
    for entry in cluster.data.iterdir():
        if entry.name not in (before or []):
            shutil.rmtree(entry, ignore_errors=True)
    if before is None:
        cluster.data.rmdir()


def command_up(args):
    cluster = Cluster(args.data or args.root / "data", args.bin_dir)
    for name in REMEMBERED:
        value = getattr(args, name)
        if value is None:
            continue
        if name == "volumes" and not cluster.is_new:
            if value != len(cluster.volume_numbers()):
                say_stderr(f"--volumes={value} is for a new data directory: "
                           "this one keeps its volumes, ./dev add-volume adds "
                           "one")
            continue
        cluster.options[name] = value
    check_options(cluster)
    before = None
    if cluster.data.exists():
        before = [entry.name for entry in cluster.data.iterdir()]
    lock = take(cluster)
    try:
        if args.detach and args.report_fd is None:
            os.close(lock)
            return detach(cluster)
        return supervise(args, cluster)
    except Refusal:
        if cluster.is_new and args.report_fd is None:
            take_back(cluster, before)
        raise


def supervise(args, cluster):
    supervisor = Supervisor(cluster, say_stderr)

    def on_stop(*_):
        supervisor.stopping = True

    def on_reread(*_):
        supervisor.reread = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_stop)
    signal.signal(REREAD, on_reread)
    note_supervisor(cluster)
    try:
        ready, why = supervisor.start()
        cluster.save()
        remember_last(args.root, cluster)
        print(banner(cluster, ready, why), flush=True)
        if args.report_fd is not None:
            os.write(args.report_fd, (banner(cluster, ready, why)).encode())
            os.close(args.report_fd)
        else:
            print("Ctrl-C stops it.", flush=True)
        supervisor.watch()
        print("stopping", flush=True)
    finally:
        supervisor.stop()
        supervisor_file(cluster).unlink(missing_ok=True)
    return 0


def detach(cluster):
    """Runs the supervisor in a session of its own and relays its report."""
    read_end, write_end = os.pipe()
    with open(cluster.run_dir / "supervisor.log", "ab+") as log:
        offset = log.seek(0, os.SEEK_END)
        child = subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], "--report-fd",
             str(write_end)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            pass_fds=[write_end], start_new_session=True)
        os.close(write_end)
        try:
            with os.fdopen(read_end, "rb") as report:
                text = report.read().decode()
        except KeyboardInterrupt:
            child.terminate()
            child.wait()
            raise
        if text:
            print(text)
            print("./dev down stops it.")
            return 0
        code = child.wait()
        log.seek(offset)
        said = log.read().decode(errors="replace").strip()
    raise (Refusal if code == REFUSED else Failure)(said)


def remember_last(root, cluster):
    try:
        (root / ".cairn-last").write_text(str(cluster.data))
    except OSError as error:
        say_stderr(f"{error.filename}: {error.strerror}: name the cluster "
                   "with --data")


def known_cluster(args):
    """The cluster that --data or the last `up` names."""
    data = args.data
    last = args.root / ".cairn-last"
    if data is None and last.exists():
        data = last.read_text().strip()
    data = data or args.root / "data"
    cluster = Cluster(data, args.bin_dir)
    if cluster.is_new and not cluster.run_dir.exists():
        raise Failure(f"there is no cluster in {cluster.data}: start one with "
                      "./dev up, or name its directory with --data")
    return cluster


def supervisor_file(cluster):
    return cluster.run_dir / "supervisor.json"


def note_supervisor(cluster):
    me = process.Running("supervisor", os.getpid())
    process.write_whole(supervisor_file(cluster), json.dumps(
        {"pid": me.pid, "started": me.started}))


def supervisor_of(cluster):
    try:
        noted = json.loads(supervisor_file(cluster).read_text())
        found = process.Running("supervisor", noted["pid"], noted["started"])
    except (OSError, ValueError, KeyError):
        return None
    return found if found.alive() else None


def command_down(args):
    cluster = known_cluster(args)
    supervisor = supervisor_of(cluster)
    if supervisor is not None:
        supervisor.signal(signal.SIGTERM)
        if not supervisor.wait(4 * STOP_DEADLINE_S):
            supervisor.signal(signal.SIGKILL)
    stopped = stop_all(cluster, say_stderr) or supervisor is not None
    print(f"stopped; the data stays in {cluster.data}" if stopped else
          f"nothing runs in {cluster.data}")
    return 0


def command_status(args):
    cluster = known_cluster(args)
    print(f"data directory: {cluster.data}")
    supervisor = supervisor_of(cluster)
    print("supervisor: " + (f"runs (pid {supervisor.pid})" if supervisor else
                            "does not run: ./dev up starts the cluster again"))
    alive = process.running(cluster.data)
    for p in cluster.make_processes():
        found = next((r for r in alive if r.name == p.name), None)
        state = "does not run" if found is None else (
            f"runs (pid {found.pid})" +
            ("" if p.answers() else ", does not answer"))
        print(f"{p.name}: {state}, {' '.join(p.addresses)}", flush=True)
    if not alive:
        return 1
    return subprocess.run(
        [cluster.bin_dir / "admin/cairn", "status",
         f"--master={cluster.address('master_port')}"],
        check=False).returncode


def command_add_volume(args):
    cluster = known_cluster(args)
    supervisor = supervisor_of(cluster)
    if supervisor is None:
        raise Failure(f"the cluster in {cluster.data} does not run: start it "
                      "with ./dev up")
    if cluster.is_new:
        raise Failure(f"the cluster in {cluster.data} is still starting: "
                      "add the volume when it is ready")
    number = max(cluster.volume_numbers(removed_too=True)) + 1
    volume = cluster.make_volume(number)
    cluster.options["volumes"] = number
    check_ports(cluster, [number])
    cluster.save()
    supervisor.signal(REREAD)
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        missing = volumes_missing(cluster, [number])
        if not missing and volume.answers():
            break
        if volume.sentence():
            raise Failure(volume.sentence())
        if time.monotonic() > deadline:
            raise Failure(missing or f"volume-{number} does not answer after "
                          f"{START_DEADLINE_S} s: see {volume.log}")
        time.sleep(0.05)
    print(f"volume-{number} runs: {' '.join(volume.addresses)}")
    return 0


def command_cairn(args):
    program = Cluster(args.root, args.bin_dir).bin_dir / "admin/cairn"
    # Help needs no cluster, and a master that was named needs none of ours.
    free = {"--help", "-h", "--version"}.intersection(args.rest) or any(
        word.split("=")[0] == "--master" for word in args.rest)
    if not free and (args.data or "CAIRN_MASTER" not in os.environ):
        os.environ["CAIRN_MASTER"] = known_cluster(args).address("master_port")
    os.execv(program, [str(program), *args.rest])


def say_stderr(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure(f"{self.prog}: {message}; see {self.prog} --help")


def parse(argv):
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", metavar="DIR",
                        help="data directory of the cluster")
    parser = Parser(prog="./dev", allow_abbrev=False)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[common], allow_abbrev=False,
                             help="start a cluster")
    up.add_argument("--detach", action="store_true",
                    help="return when all processes answer")
    up.add_argument("--report-fd", type=int, help=argparse.SUPPRESS)
    texts = {
        "port": "HTTP port of the gateway", "admin_port": "its admin port",
        "master_port": "gRPC port of the master",
        "volume_port": "gRPC port of the first volume",
        "http_port": "nginx port of the first volume",
        "volumes": "volumes of a new data directory",
        "replicas": "volumes on which each value lies",
        "subvolumes": "disks of each volume",
        "index": "where the index is: rocksdb:PATH, redis://host:port, "
                 "redis+unix:///PATH, redis+cluster://host:port,host:port, "
                 "redis+sentinel://host:port,host:port/name, or redis: one "
                 "of its own",
        "inline_max": "bytes of a value that the index keeps too, at most",
        "durability": "fsync or os: what an answered write has survived",
        "reads": "redirect or proxy", "nginx": "the nginx to start",
    }
    unsaid = {"index": "in DATA", "inline_max": "4096, with Redis 128"}
    for name, default in REMEMBERED.items():
        up.add_argument("--" + name.replace("_", "-"), dest=name,
                        type=type(default), metavar=name.upper(),
                        help=f"{texts[name]} (default: "
                        f"{default or unsaid[name]})")
    for name in ("down", "status", "add-volume"):
        commands.add_parser(name, parents=[common], allow_abbrev=False)
    return parser.parse_args(argv)


def parse_cairn(argv):
    """`./dev cairn [--data DIR] WORDS...`: the words are not ours to read."""
    data, rest = None, argv[3:]
    if rest[:1] == ["--data"] and len(rest) > 1:
        data, rest = rest[1], rest[2:]
    elif rest and rest[0].startswith("--data="):
        data, rest = rest[0][len("--data="):], rest[1:]
    return argparse.Namespace(root=pathlib.Path(argv[1]), data=data,
                              command="cairn", rest=rest)


def run(argv):
    args = parse_cairn(argv) if argv[2:3] == ["cairn"] else parse(argv)
    args.bin_dir = os.environ.get("CAIRN_BIN_DIR", args.root / "bazel-bin")
    commands = {"up": command_up, "down": command_down,
                "status": command_status, "add-volume": command_add_volume,
                "cairn": command_cairn}
    return commands[args.command](args)


def main(argv):
    try:
        return run(argv)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return REFUSED if (isinstance(failure, Refusal) and
                           "--report-fd" in argv) else 1
    except OSError as error:
        print(f"./dev: {error.filename}: {error.strerror}" if error.filename
              else f"./dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("./dev: stopped", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
