"""Rows of `./dev bench --placement`: copies that move while clients read.

A cluster of three volumes gets a fourth and is rebalanced, gets a fifth and is
rebalanced under a rate limit, then one volume is drained and one is killed and
repaired; once with small values, once with large ones. Four clients read all
the while, through redirects, and check every value.
"""

import json
import multiprocessing
import os
import pathlib
import random
import signal
import subprocess
import time

import http_client
from report import machine
from stand import directory_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
READERS = 4
WRITERS = 4  # Processes ...
WRITER_THREADS = 16  # ... with so many connections each.
QUIET_S = 8
WARM_UP_S = 1
KILLED_WAIT_S = 30

# Aims.
COPIES_PER_SECOND = 3000
BYTES_PER_SECOND = 200e6
P99_FREE, P99_LIMITED = 5, 2
BYTES_OF_MINIMUM = 1.05
PROMISE = 0.10

fork = multiprocessing.get_context("fork")


class Part:
    """The values of one cluster."""

    def __init__(self, name, count, value_bytes, rate):
        self.name, self.count, self.value_bytes = name, count, value_bytes
        self.rate = rate  # Bytes a second of the limited rebalance.
        self.small = value_bytes <= 65536

    def key(self, i):
        return f"{self.name}/{i:07}"

    def value(self, i):
        block = random.Random(i).randbytes(min(self.value_bytes, 1024))
        return block * (self.value_bytes // len(block))


def put_some(port, part, first, step):
    client = http_client.Client()
    for i in range(first, part.count, step):
        status, _, _ = client.request(port, "PUT", "/" + part.key(i),
                                      part.value(i))
        if status != 201:
            raise http_client.Refused(f"PUT of {part.key(i)}: {status}")


def fill_some(port, part, process):
    threads = WRITER_THREADS if part.small else 1
    step = WRITERS * threads
    http_client.in_threads([
        lambda first=process + t * WRITERS: put_some(port, part, first, step)
        for t in range(threads)])


def unbalanced_some(port, part, process):
    """How many of these keys have a copy to move."""
    client, found = http_client.Client(), 0
    for i in range(process, part.count, WRITERS):
        _, headers, _ = client.request(port, "HEAD", "/" + part.key(i))
        found += headers["key-balance"] == "unbalanced"
    return found


def wrong_some(port, part, process):
    client = http_client.Client()
    return sum(client.get(port, "/" + part.key(i)) != part.value(i)
               for i in range(process, part.count, WRITERS))


def on_all(work, port, part):
    """The sum of what `work` answers over all keys, shared by processes."""
    with fork.Pool(WRITERS) as pool:
        return sum(n or 0 for n in pool.starmap(
            work, [(port, part, p) for p in range(WRITERS)]))


def read_on(port, part, seed, stop, out):
    """Reads random keys until told to stop; sends [(when, seconds)], wrong."""
    client, draw = http_client.Client(), random.Random(seed)
    times, wrong = [], []
    while not stop.value:
        i = draw.randrange(part.count)
        begin = time.monotonic()
        try:
            body = client.get(port, "/" + part.key(i))
        except (OSError, http_client.Refused) as error:
            wrong.append(str(error))
            continue
        times.append((begin, time.monotonic() - begin))
        if body != part.value(i):
            wrong.append(f"{part.key(i)} has other bytes")
    out.put((times, wrong))


class Readers:
    """Clients that read while it is entered."""

    def __init__(self, port, part):
        self.stop, self.out = fork.Value("b", 0, lock=False), fork.Queue()
        self.children = [fork.Process(target=read_on, args=(
            port, part, n, self.stop, self.out)) for n in range(READERS)]
        self.times, self.wrong = [], []

    def __enter__(self):
        for child in self.children:
            child.start()
        time.sleep(WARM_UP_S)
        self.begin = time.monotonic()
        return self

    def __exit__(self, *_):
        self.end = time.monotonic()
        self.stop.value = 1
        for _ in self.children:
            times, wrong = self.out.get()
            self.times += [s for at, s in times if self.begin <= at < self.end]
            self.wrong += wrong
        for child in self.children:
            child.join()

    def p99_ms(self):
        return sorted(self.times)[len(self.times) * 99 // 100] * 1000


class Run:
    """One part on one cluster."""

    def __init__(self, cluster, part, rows):
        self.cluster, self.part, self.rows = cluster, part, rows
        self.wrong = []

    def report(self, name, value, unit, aim, reached):
        name = f"{self.part.name}-{name}"
        self.rows.append({"row": name, "value": value, "unit": unit,
                          "aim": aim, "reached": reached})
        print(f"{name:34} {value:10.2f} {unit:9} aim {aim:16} "
              f"{'ok' if reached else 'LOW'}", flush=True)

    def say(self, text):
        print(f"  {text}", flush=True)

    def cairn(self, *words):
        out = subprocess.run(
            [str(ROOT / "bazel-bin/admin/cairn"),
             f"--master=127.0.0.1:{self.cluster.port + 2}", *words, "--json"],
            stdout=subprocess.PIPE, text=True, check=False).stdout
        if not out:
            raise SystemExit(f"bench: cairn {' '.join(words)} failed")
        return out

    def job(self, *words):
        """The job's last words, and the seconds it took."""
        begin = time.monotonic()
        last = json.loads(self.cairn(*words).splitlines()[-1])
        last["seconds"] = time.monotonic() - begin
        if last["state"] != "done" or last["problems_count"]:
            self.say(f"{words}: {last['error']} {last['problems']}")
        return last

    def status(self):
        return json.loads(self.cairn("status"))

    def settle(self):
        """Until nothing is left to be unlinked."""
        while self.status()["removals_waiting_count"]:
            time.sleep(0.2)
        os.sync()

    def watched(self, name, p99_aim, *words):
        """A job, beside readers; before it they read alone."""
        self.settle()
        with Readers(self.cluster.port, self.part) as quiet:
            time.sleep(QUIET_S)
        promised = self.job(*words, "--dry-run")
        with Readers(self.cluster.port, self.part) as busy:
            done = self.job(*words)
        self.wrong += quiet.wrong + busy.wrong
        self.say(f"{name}: {done['summary']}, in {done['seconds']:.1f} s; "
                 f"reads quiet: {len(quiet.times) / QUIET_S:.0f}/s, p99 "
                 f"{quiet.p99_ms():.1f} ms; during: "
                 f"{len(busy.times) / done['seconds']:.0f}/s, p99 "
                 f"{busy.p99_ms():.1f} ms; wrong: "
                 f"{len(quiet.wrong + busy.wrong)}")
        self.report_promise(name, promised, done)
        ratio = busy.p99_ms() / quiet.p99_ms()
        self.report(f"{name}-p99", ratio, "x quiet", f"at most {p99_aim}",
                    ratio <= p99_aim)
        return done

    def report_promise(self, name, promised, done):
        ratio = done["bytes_done"] / max(promised["bytes_total"], 1)
        self.say(f"{name}: promised {promised['keys_total']} copies, "
                 f"{promised['bytes_total']} bytes; moved {done['keys_done']} "
                 f"copies, {done['bytes_done']} bytes")
        self.report(f"{name}-promise", ratio, "x", f"1 +- {PROMISE}",
                    abs(ratio - 1) <= PROMISE)

    def report_speed(self, name, done):
        seconds = done["seconds"]
        copies, rate = done["keys_done"] / seconds, done["bytes_done"] / seconds
        if self.part.small:
            self.report(f"{name}-speed", copies, "copies/s",
                        f"{COPIES_PER_SECOND}", copies >= COPIES_PER_SECOND)
        else:
            self.report(f"{name}-speed", rate / 1e6, "MB/s",
                        f"{BYTES_PER_SECOND / 1e6:.0f}",
                        rate >= BYTES_PER_SECOND)

    def add_volume(self):
        subprocess.run([ROOT / "dev", "add-volume",
                        f"--data={self.cluster.directory}"], check=True,
                       stdout=subprocess.DEVNULL)

    def rebalance(self, name, p99_aim, *options):
        self.add_volume()
        # What a gateway calls unbalanced has one copy to move, since only one
        # volume is new.
        least = (on_all(unbalanced_some, self.cluster.port, self.part) *
                 self.part.value_bytes)
        done = self.watched(name, p99_aim, "rebalance", *options)
        ratio = done["bytes_done"] / max(least, 1)
        self.report(f"{name}-minimum", ratio, "x minimum",
                    f"at most {BYTES_OF_MINIMUM}", ratio <= BYTES_OF_MINIMUM)
        return done

    def kill_volume(self, number):
        """And the supervisor, which would start it again."""
        directory = self.cluster.directory
        nginx = directory / f"volume-{number}/nginx/nginx.pid"
        group = os.getpgid(int(nginx.read_text()))
        supervisor = json.loads(
            (directory / "run/supervisor.json").read_text())["pid"]
        os.kill(supervisor, signal.SIGKILL)
        os.kill(self.cluster.pids[f"volume-{number}"], signal.SIGKILL)
        os.killpg(group, signal.SIGKILL)
        deadline = time.monotonic() + KILLED_WAIT_S
        while all(v["state"] == "up" for v in self.status()["volumes"]):
            if time.monotonic() > deadline:
                raise SystemExit("bench: the killed volume is not down")
            time.sleep(0.1)

    def run(self):
        begin = time.monotonic()
        on_all(fill_some, self.cluster.port, self.part)
        self.say(f"filled with {self.part.count} values of "
                 f"{self.part.value_bytes} bytes in "
                 f"{time.monotonic() - begin:.1f} s")
        self.report_speed("rebalance", self.rebalance("rebalance", P99_FREE))
        done = self.rebalance("rebalance-rate", P99_LIMITED,
                              f"--rate={self.part.rate}")
        rate = done["bytes_done"] / done["seconds"]
        self.report("rebalance-rate-speed", rate / self.part.rate, "x rate",
                    "at most 1.1", rate <= 1.1 * self.part.rate)
        drained = self.status()["volumes"][0]["id"]
        self.report_speed("drain", self.watched("drain", P99_FREE, "volume",
                                                "drain", drained))
        self.settle()
        self.kill_volume(2 if self.volume_number(drained) == 1 else 1)
        self.report_speed("repair", self.watched("repair", P99_FREE, "repair"))
        wrong = on_all(wrong_some, self.cluster.port, self.part)
        self.report("wrong", wrong + len(self.wrong), "reads", "0",
                    wrong + len(self.wrong) == 0)
        for text in self.wrong[:5]:
            self.say(text)

    def volume_number(self, volume_id):
        for file in self.cluster.directory.glob("volume-*/volume.json"):
            if json.loads(file.read_text())["volume_id"] == volume_id:
                return int(file.parent.name[7:])
        raise SystemExit(f"bench: no volume is {volume_id}")


def run(args, make_cluster):
    keys = args.keys or 30000
    parts = [Part("small", keys, 1024, 512 << 10),
             Part("large", 120, 16 << 20, 32 << 20)]
    print(f"{machine()}; three volumes and more, R = 2, fsync, nothing inlined, "
          f"{READERS} readers")
    rows = []
    with directory_of(args) as directory:
        for i, part in enumerate(parts):
            if args.row and not any(part.name in row for row in args.row):
                continue
            cluster = make_cluster(directory / part.name, args.port + 100 * i,
                                   2, "fsync", volumes=3, inline_max="0")
            try:
                Run(cluster, part, rows).run()
            finally:
                cluster.stop()
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=1))
    return 0
