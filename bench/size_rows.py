"""Rows of many keys: the index is filled through IndexStore, beneath a
cluster that is stopped meanwhile."""

import json
import os
import statistics
import subprocess
import time
import urllib.error
import urllib.request

from stand import INDEX_BENCH, cpu_seconds, resident_mb

RUNS = 3
PAGES = 21
LIST_AIM = 2.5e6  # Keys a second, in one answer.


def fill(cluster, keys, value_bytes):
    """Adds keys to the index of a cluster, which is started again."""
    cluster.stop()
    begin = time.monotonic()
    subprocess.run([str(INDEX_BENCH),
                    f"--index=rocksdb:{cluster.directory}/master/index",
                    f"--keys={keys}", f"--value_bytes={value_bytes}",
                    "--fill_only"], stdout=subprocess.DEVNULL, check=True)
    print(f"  filled with {keys} keys in {time.monotonic() - begin:.0f} s",
          flush=True)
    cluster.start()


def list_all(port):
    """(keys, seconds) of one streamed answer with all keys."""
    begin = time.monotonic()
    out = subprocess.run(
        ["curl", "-sf", f"http://127.0.0.1:{port}/?list&limit=0"],
        stdout=subprocess.PIPE, check=True).stdout
    seconds = time.monotonic() - begin
    return len(json.loads(out)["keys"]), seconds


def first_page(port):
    """Milliseconds of the first 1,000 keys, the median."""
    taken = []
    for _ in range(PAGES):
        begin = time.monotonic()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/?list").read()
        taken.append(1000 * (time.monotonic() - begin))
    return statistics.median(taken)


def list_row(report, cluster, keys, value_bytes):
    """All keys in one answer, of values that lie in the index too."""
    page_before = first_page(cluster.port)
    fill(cluster, keys, value_bytes)
    list_all(cluster.port)  # Warms up.
    before = cpu_seconds(cluster.pids["master"]) + cpu_seconds(
        cluster.pids["gateway"])
    runs = [list_all(cluster.port) for _ in range(RUNS)]
    cpu = cpu_seconds(cluster.pids["master"]) + cpu_seconds(
        cluster.pids["gateway"]) - before
    rate = statistics.median(count / seconds for count, seconds in runs)
    count = runs[0][0]
    report.add(f"list-{count // 1000000}m", rate, LIST_AIM, "keys/s",
               rate / LIST_AIM, 1.0,
               note=f"{count} keys, {cpu / RUNS / count * 1e9:.0f} ns of CPU "
               "each; baseline: the aim")
    page = first_page(cluster.port)
    report.add(f"list-page-{count // 1000000}m", page, page_before, "ms",
               page, 20, at_most=True, note="baseline: of an index with few")


def answers(port):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/none", timeout=10)
    except urllib.error.HTTPError as error:
        return error.code == 404
    except OSError:
        return False
    return True


def start_seconds(cluster):
    """From the start of a new master, after kill -9, to its first answer."""
    old = cluster.pids["master"]
    os.kill(old, 9)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        out = subprocess.run(
            ["pgrep", "-f", f"cairn-master.*--data={cluster.directory}/master"],
            stdout=subprocess.PIPE, text=True, check=False).stdout.split()
        new = [int(word) for word in out if int(word) != old]
        if new:
            break
        time.sleep(0.005)
    begin = time.monotonic()
    while not answers(cluster.port):
        if time.monotonic() > deadline:
            raise RuntimeError("the new master does not answer")
        time.sleep(0.01)
    seconds = time.monotonic() - begin
    cluster.pids["master"] = new[0]
    return seconds


def memory_rows(report, cluster, keys):
    """What so many keys cost the master, and its start."""
    list_all(cluster.port)
    starts = [start_seconds(cluster) for _ in range(RUNS)]
    seconds = statistics.median(starts)
    report.add(f"start-master-{keys // 1000000}m", seconds, 0, "s", seconds, 3,
               at_most=True, note="after kill -9")
    list_all(cluster.port)
    memory = resident_mb(cluster.pids["master"], "VmHWM")
    report.add(f"memory-master-{keys // 1000000}m", memory, 0, "MB", memory,
               1000, at_most=True, note="its peak, while all keys are listed")
