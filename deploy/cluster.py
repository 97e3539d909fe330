"""Runs a whole Cairn cluster on loopback: what `./dev up` and its kin do.

The supervisor starts master, volumes and gateway, waits until all answer,
starts again what dies, and stops all in the end. What it must remember is in
DATA/cluster.json (options) and DATA/run/NAME.json (pid and start time of each
process), so that a cluster whose supervisor was killed can still be stopped.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import cluster_process as process
from cluster_process import Failure

START_DEADLINE_S = 60
STOP_DEADLINE_S = 30
BACKOFF_MIN_S = 0.2
BACKOFF_MAX_S = 5.0
STEADY_S = 10  # A process that lived this long starts again at once.

# Options that a data directory remembers, with their defaults.
REMEMBERED = {
    "port": 3000, "admin_port": 3080, "master_port": 3100,
    "volume_port": 3201, "http_port": 3301, "volumes": 3, "replicas": 2,
    "subvolumes": 4, "index": "", "durability": "fsync", "reads": "redirect",
}


class Cluster:
    """One data directory and the processes that belong to it."""

    def __init__(self, data, bin_dir):
        self.data = pathlib.Path(data).absolute()
        self.bin_dir = pathlib.Path(bin_dir).absolute()
        self.run_dir = self.data / "run"
        self.options = dict(REMEMBERED)
        self.file = self.data / "cluster.json"
        self.is_new = not self.file.exists()
        if not self.is_new:
            self.options.update(json.loads(self.file.read_text()))

    def save(self):
        temporary = self.file.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.options, indent=1) + "\n")
        temporary.rename(self.file)

    def volume_numbers(self):
        """Volumes in the directory, or as many as a new one shall have."""
        if self.is_new:
            return list(range(1, self.options["volumes"] + 1))
        numbers = {int(d.name.split("-")[1]) for d in
                   self.data.glob("volume-*") if d.name[7:].isdigit()}
        numbers |= set(range(1, self.options["volumes"] + 1))
        return sorted(numbers)

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
        return command + ([f"--index={o['index']}"] if o["index"] else [])

    def volume_command(self, number):
        return [self.bin_dir / "volume/cairn-volume",
                f"--data={self.data}/volume-{number}",
                f"--listen={self.address('volume_port', number - 1)}",
                f"--http_listen={self.address('http_port', number - 1)}",
                f"--master={self.address('master_port')}",
                f"--subvolumes={self.options['subvolumes']}"]

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
        found = [process.Process("master", self.master_command(), self.data,
                                 [self.address("master_port")])]
        found += [self.make_volume(n) for n in self.volume_numbers()]
        found.append(process.Process("gateway", self.gateway_command(),
                                     self.data, [self.address("port")]))
        return found

    def ports(self):
        """(port, the option that changes it) of everything to be started."""
        o, volumes = self.options, self.volume_numbers()
        yield o["port"], "--port"
        yield o["admin_port"], "--admin-port"
        yield o["master_port"], "--master-port"
        for n in volumes:
            yield o["volume_port"] + n - 1, "--volume-port"
            yield o["http_port"] + n - 1, "--http-port"

    def readiness(self):
        """(ready, sentence) as the gateway's admin port says."""
        code, body = process.http_get(self.address("admin_port"), "/readyz")
        return code == 200, body.strip()


class Supervisor:
    """Starts, watches, restarts and stops the processes of a cluster."""

    def __init__(self, cluster, say):
        self.cluster = cluster
        self.say = say
        self.processes = []
        self.stopping = False
        self.reread = False

    def start(self):
        """Starts all and waits. On a failure stops what was started."""
        try:
            self.processes = self.cluster.make_processes()
            for p in self.processes:
                p.start()
            return self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def _wait_ready(self):
        deadline = time.monotonic() + START_DEADLINE_S
        while True:
            for p in self.processes:
                p.check_start()
            silent = [p for p in self.processes if not p.answers()]
            ready, why = self.cluster.readiness()
            if not silent and (ready or "index is lost" in why):
                return ready, why
            if self.stopping:
                raise Failure("stopped before the cluster was ready")
            if time.monotonic() > deadline:
                if silent:
                    raise Failure(
                        f"{silent[0].name} does not answer after "
                        f"{START_DEADLINE_S} s: see {silent[0].log}")
                raise Failure(f"the cluster is not ready after "
                              f"{START_DEADLINE_S} s: {why}")
            time.sleep(0.05)

    def watch(self):
        """Until told to stop: restarts what dies, adds volumes."""
        while not self.stopping:
            if self.reread:
                self.reread = False
                self._add_volumes()
            for p in self.processes:
                self._watch_one(p)
            time.sleep(0.1)

    def _watch_one(self, p):
        code = p.poll()
        now = time.monotonic()
        if code is None:
            return
        if p.restart_at is None:
            if code == 0 and p.name.startswith("volume-"):
                if not p.retired:
                    self.say(f"{p.name} was removed from the cluster")
                p.retired = True
                return
            if now - p.started_at > STEADY_S:
                p.backoff_s = BACKOFF_MIN_S
            p.restart_at = now + p.backoff_s
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            self.say(f"{p.name} ended ({how}): starting it again in "
                     f"{p.backoff_s:.1f} s, log: {p.log}")
            p.backoff_s = min(p.backoff_s * 2, BACKOFF_MAX_S)
        elif now >= p.restart_at:
            p.restart_at = None
            p.start()

    def _add_volumes(self):
        self.cluster.options.update(json.loads(self.cluster.file.read_text()))
        names = {p.name for p in self.processes}
        for n in self.cluster.volume_numbers():
            if f"volume-{n}" not in names:
                volume = self.cluster.make_volume(n)
                self.processes.insert(-1, volume)
                volume.start()
                self.say(f"volume-{n} was added")

    def stop(self):
        stop_all(self.cluster, self.say)


def stop_all(cluster, say):
    """Gateway, agents, master; then whatever nginx was left behind."""
    records = process.running(cluster.run_dir, cluster.data)
    for kind in ("gateway", "volume-", "master"):
        group = [r for r in records if r.name.startswith(kind)]
        for record in group:
            record.signal(signal.SIGTERM)
        for record in group:
            if not record.wait(STOP_DEADLINE_S):
                say(f"{record.name} did not stop within {STOP_DEADLINE_S} s: "
                    "killed")
                record.signal(signal.SIGKILL)
                record.wait(5)
            record.forget()
    process.stop_left_nginx(cluster.data)
    return bool(records)


def check_new(cluster):
    o = cluster.options
    if o["volumes"] < o["replicas"]:
        lack = o["replicas"] - o["volumes"]
        raise Failure(
            f"replicas={o['replicas']} but {o['volumes']} volumes: start "
            f"{lack} more with --volumes {o['replicas']} or pass --replicas "
            f"{o['volumes']}")
    for name in ("replicas", "volumes", "subvolumes"):
        if o[name] < 1:
            raise Failure(f"--{name}={o[name]}: at least 1")


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


def command_up(args):
    cluster = Cluster(args.data or args.root / "data", args.bin_dir)
    for name in REMEMBERED:
        value = getattr(args, name)
        if value is not None:
            if name == "volumes" and not cluster.is_new:
                continue
            cluster.options[name] = value
    check_new(cluster)
    if not process.find_program("nginx"):
        raise Failure("nginx is missing: apt-get install nginx")
    cluster.run_dir.mkdir(parents=True, exist_ok=True)
    lock = process.lock(cluster.run_dir / "supervisor.lock")
    if lock is None:
        raise Failure(f"the cluster in {cluster.data} runs already: "
                      "./dev status shows it, ./dev down stops it")
    if args.detach and args.report_fd is None:
        os.close(lock)
        return detach(args, cluster)
    try:
        # Left over by a supervisor that was killed.
        stop_all(cluster, say_stderr)
        for port, option in cluster.ports():
            process.check_port(port, option)
        return supervise(args, cluster)
    except Failure:
        if cluster.is_new and not (cluster.data / "master").exists():
            process.remove_empty(cluster.run_dir, cluster.data)
        raise


def supervise(args, cluster):
    supervisor = Supervisor(cluster, say_stderr)

    def on_stop(*_):
        supervisor.stopping = True

    def on_hup(*_):
        supervisor.reread = True

    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    signal.signal(signal.SIGHUP, on_hup)
    ready, why = supervisor.start()
    cluster.save()
    me = process.Record("supervisor", cluster.run_dir, os.getpid())
    me.save()
    (args.root / ".cairn-last").write_text(str(cluster.data))
    print(banner(cluster, ready, why), flush=True)
    if args.report_fd is not None:
        os.write(args.report_fd, (banner(cluster, ready, why)).encode())
        os.close(args.report_fd)
    else:
        print("Ctrl-C stops it.", flush=True)
    supervisor.watch()
    print("stopping", flush=True)
    me.forget()
    supervisor.stop()
    return 0


def detach(args, cluster):
    """Runs the supervisor in a session of its own and relays its report."""
    read_end, write_end = os.pipe()
    log = open(cluster.run_dir / "supervisor.log", "ab")
    offset = log.tell()
    child = subprocess.Popen(
        [sys.executable, __file__, *sys.argv[1:], "--report-fd",
         str(write_end)],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        pass_fds=[write_end], start_new_session=True)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as report:
        text = report.read().decode()
    if text:
        print(text)
        print("./dev down stops it.")
        return 0
    child.wait()
    with open(cluster.run_dir / "supervisor.log", "rb") as file:
        file.seek(offset)
        sys.stderr.write(file.read().decode(errors="replace"))
    return 1


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


def supervisor_of(cluster):
    for record in process.records(cluster.run_dir):
        if record.name == "supervisor" and record.alive():
            return record
    return None


def command_down(args):
    cluster = known_cluster(args)
    supervisor = supervisor_of(cluster)
    if supervisor is not None:
        supervisor.signal(signal.SIGTERM)
        supervisor.wait(4 * STOP_DEADLINE_S)
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
    alive = process.running(cluster.run_dir, cluster.data)
    for p in cluster.make_processes():
        record = next((r for r in alive if r.name == p.name), None)
        state = "does not run" if record is None else (
            f"runs (pid {record.pid})" +
            ("" if p.answers() else ", does not answer"))
        print(f"{p.name}: {state}, {' '.join(p.addresses)}")
    if not alive:
        return 1
    return subprocess.run(
        [cluster.bin_dir / "admin/cairn", "status",
         f"--master={cluster.address('master_port')}"]).returncode


def command_add_volume(args):
    cluster = known_cluster(args)
    supervisor = supervisor_of(cluster)
    if supervisor is None:
        raise Failure(f"the cluster in {cluster.data} does not run: start it "
                      "with ./dev up")
    number = max(cluster.volume_numbers()) + 1
    for option in ("volume_port", "http_port"):
        process.check_port(cluster.options[option] + number - 1,
                           "--" + option.replace("_", "-"))
    cluster.options["volumes"] = number
    cluster.save()
    supervisor.signal(signal.SIGHUP)
    volume = cluster.make_volume(number)
    deadline = time.monotonic() + START_DEADLINE_S
    while not volume.answers():
        if time.monotonic() > deadline:
            raise Failure(f"volume-{number} does not answer after "
                          f"{START_DEADLINE_S} s: see {volume.log}")
        time.sleep(0.05)
    print(f"volume-{number} runs: {' '.join(volume.addresses)}")
    return 0


def command_cairn(args):
    cluster = known_cluster(args)
    os.environ.setdefault("CAIRN_MASTER", cluster.address("master_port"))
    program = cluster.bin_dir / "admin/cairn"
    os.execv(program, [str(program), *args.rest])


def say_stderr(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def parse(argv):
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", metavar="DIR",
                        help="data directory of the cluster")
    parser = argparse.ArgumentParser(prog="./dev", allow_abbrev=False)
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
        "index": "where the index is (rocksdb:PATH)",
        "durability": "fsync or os: what an answered write has survived",
        "reads": "redirect or proxy",
    }
    for name, default in REMEMBERED.items():
        up.add_argument("--" + name.replace("_", "-"), dest=name,
                        type=type(default), metavar=name.upper(),
                        help=f"{texts[name]} (default: {default or 'in DATA'})")
    for name in ("down", "status", "add-volume"):
        commands.add_parser(name, parents=[common], allow_abbrev=False)
    cairn = commands.add_parser("cairn", add_help=False, allow_abbrev=False)
    cairn.add_argument("rest", nargs=argparse.REMAINDER)
    return parser.parse_args(argv)


def main(argv):
    if len(argv) > 2 and argv[2] == "cairn":  # Takes every word after it.
        data, rest = None, argv[3:]
        if rest[:1] == ["--data"] and len(rest) > 1:
            data, rest = rest[1], rest[2:]
        elif rest and rest[0].startswith("--data="):
            data, rest = rest[0][len("--data="):], rest[1:]
        args = argparse.Namespace(root=pathlib.Path(argv[1]), data=data,
                                  command="cairn", rest=rest)
    else:
        args = parse(argv)
    args.bin_dir = os.environ.get("CAIRN_BIN_DIR", args.root / "bazel-bin")
    commands = {"up": command_up, "down": command_down,
                "status": command_status, "add-volume": command_add_volume,
                "cairn": command_cairn}
    try:
        return commands[args.command](args)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
