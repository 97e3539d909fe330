"""Starts the processes of a cluster, keeps them running, stops them."""

import json
import signal
import subprocess
import time

import cluster_process as process
from cluster_process import Failure

START_DEADLINE_S = 60
STOP_DEADLINE_S = 30
BACKOFF_MIN_S = 0.2
BACKOFF_MAX_S = 5.0
STEADY_S = 10  # A process that lived this long starts again at once.


class Supervisor:
    """Told to stop or to look for new volumes by its two flags."""

    def __init__(self, cluster, say):
        self.cluster = cluster
        self.say = say
        self.processes = []
        self.stopping = False
        self.reread = False

    def start(self):
        """Starts all and waits: (ready, why not)."""
        self.processes = self.cluster.make_processes()
        for p in self.processes:
            p.start()
        deadline = time.monotonic() + START_DEADLINE_S
        while True:
            for p in self.processes:
                p.check_start()
            silent = [p for p in self.processes
                      if not p.removed() and not p.answers()]
            ready, why = self.cluster.readiness()
            # It may look lost while only a stranger's volume has joined.
            if not silent and "index is lost" in why and all(
                    p.joined() for p in self.processes):
                return False, why
            if not silent and ready:
                why = volumes_missing(self.cluster)
                if not why:
                    return True, ""
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
        if p.retired or p.poll() is None:
            return
        if p.removed():
            p.retired = True
            self.say(f"{p.name} was removed from the cluster")
        elif p.restart_at is None:
            self._plan_restart(p, ending(p))
        elif time.monotonic() >= p.restart_at:
            p.restart_at = None
            try:
                p.start()
            except (Failure, OSError) as error:  # A program being built anew.
                self._plan_restart(p, f"{p.name} cannot start ({error})")

    def _plan_restart(self, p, what):
        now = time.monotonic()
        if p.backoff_s == 0 or now - p.started_at > STEADY_S:
            p.backoff_s = BACKOFF_MIN_S
        p.restart_at = now + p.backoff_s
        self.say(f"{what}: starting it again in {p.backoff_s:.1f} s, log: "
                 f"{p.log}")
        p.backoff_s = min(p.backoff_s * 2, BACKOFF_MAX_S)

    def _add_volumes(self):
        self.cluster.load()
        names = {p.name for p in self.processes}
        for n in self.cluster.volume_numbers():
            if f"volume-{n}" not in names:
                volume = self.cluster.make_volume(n)
                self.processes.insert(-1, volume)
                volume.start()
                self.say(f"volume-{n} was added")

    def stop(self):
        # Just started, a process does not show its arguments yet.
        own = [process.Running(p.name, p.child.pid) for p in self.processes
               if p.poll() is None and p.child is not None]
        stop_all(self.cluster, self.say, own)


def ending(p):
    code = p.poll()
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    sentence = p.sentence()
    return f"{p.name} ended ({how}{': ' if sentence else ''}{sentence})"


def volumes_missing(cluster, numbers=None):
    """Why one of these volumes is not in the cluster yet; "" when all are.

    An agent answers before it has joined, and what was joined under its
    address may be another volume: so by id.
    """
    status = subprocess.run(
        [cluster.bin_dir / "admin/cairn", "status", "--json",
         f"--master={cluster.address('master_port')}"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        known = json.loads(status.stdout)["volumes"]
    except (ValueError, KeyError):
        return status.stderr.decode(errors="replace").strip()
    up = {(v["id"], v["address"]) for v in known if v["state"] == "up"}
    for n in numbers or cluster.volume_numbers():
        address = cluster.address("volume_port", n - 1)
        if (cluster.volume_id(n), address) not in up:
            return (f"volume-{n} has not joined: see "
                    f"{cluster.data}/volume-{n}/log")
    return ""


def stop_all(cluster, say, own=()):
    """Gateway, agents, master, Redis; then whatever nginx was left behind. True:
    something ran."""
    found = {p.pid: p for p in [*own, *process.running(cluster.data)]}.values()
    for kind in ("gateway", "volume-", "master", "redis"):
        group = [p for p in found if p.name.startswith(kind)]
        for p in group:
            p.signal(signal.SIGTERM)
        for p in group:
            if not p.wait(STOP_DEADLINE_S):
                say(f"{p.name} did not stop within {STOP_DEADLINE_S} s: "
                    "killed")
                p.signal(signal.SIGKILL)
                p.wait(5)
    process.stop_left_nginx(cluster.data)
    return bool(found)
