"""Runs lint and all Bazel tests and counts the cases: `./dev test`."""

import json
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Layers without processes of their own, for the sanitizers.
UNIT_LAYERS = ["//base/...", "//placement/...", "//index/...", "//rpc/...",
               "//volume/...", "//gateway/...", "//master/..."]


def count_cases(labels):
    """(passed, failed, skipped) from the test.xml of each target."""
    passed = failed = skipped = 0
    for label in labels:
        package, name = label[2:].split(":")
        files = sorted((ROOT / "bazel-testlogs" / package / name).glob(
            "**/test.xml"))
        if not files:
            print(f"{label}: no result: it did not build or run")
            failed += 1
        for file in files:
            cases = ElementTree.parse(file).getroot().iter("testcase")
            for case in cases:
                if case.find("failure") is not None or (
                        case.find("error") is not None):
                    failed += 1
                elif (case.find("skipped") is not None
                      or case.get("result") == "skipped"
                      or case.get("status") == "notrun"):
                    skipped += 1
                else:
                    passed += 1
    return passed, failed, skipped


def bazel(*args, **kwargs):
    return subprocess.run(["bazel", *args], cwd=ROOT,
                          stdin=subprocess.DEVNULL, **kwargs)


def test_labels(targets, without_tag=None):
    query = f"tests({' + '.join(targets)})"
    if without_tag:
        query += f" except attr(tags, '\\b{without_tag}\\b', {query})"
    result = bazel("query", query, stdout=subprocess.PIPE, text=True,
                   check=True)
    return result.stdout.split()


def result_file(label, name):
    package, target = label[2:].split(":")
    return ROOT / "bazel-testlogs" / package / target / name


def statuses(events):
    """{label: PASSED, FAILED, TIMEOUT, FAILED_TO_BUILD, ...} of one run."""
    found = {}
    for line in events.read_text().splitlines():
        event = json.loads(line)
        if "testSummary" in event:
            found[event["id"]["testSummary"]["label"]] = (
                event["testSummary"]["overallStatus"])
    return found


def run(labels, *options):
    """Runs targets; returns counts. Results that Bazel has cached count."""
    # A cached result whose cases are gone cannot be counted: run it again.
    if any(result_file(label, "test.log").exists() and
           not result_file(label, "test.xml").exists() for label in labels):
        options += ("--nocache_test_results",)
    with tempfile.TemporaryDirectory() as directory:
        events = pathlib.Path(directory) / "events"
        code = bazel("test", "--keep_going", "--test_tag_filters=",
                     f"--build_event_json_file={events}",
                     *options, *labels).returncode
        status = statuses(events) if events.exists() else {}
    ran = [label for label in labels if
           status.get(label) in ("PASSED", "FLAKY", "FAILED", "TIMEOUT")]
    passed, failed, skipped = count_cases(ran)
    for label in sorted(set(labels) - set(ran)):
        print(f"{label}: {status.get(label, 'no result')}")
        failed += 1
    if code != 0 and failed == 0:
        failed = 1  # A target failed outside its cases.
    return passed, failed, skipped


def main(argv):
    with_all = "--all" in argv
    options = [arg for arg in argv if arg != "--all"]
    lint = subprocess.run([ROOT / "dev", "lint"], stdin=subprocess.DEVNULL)
    totals = [int(lint.returncode == 0), int(lint.returncode != 0), 0]
    runs = [(test_labels(["//..."], None if with_all else "all"), options)]
    if with_all:
        for sanitizer in ["asan", "ubsan", "tsan"]:
            # Tests of code that runs inside gRPC or RocksDB are no_tsan: it
            # does not see how those libraries synchronize their threads.
            runs.append((test_labels(UNIT_LAYERS, f"no_{sanitizer}"),
                         options + [f"--config={sanitizer}"]))
    for labels, run_options in runs:
        for i, count in enumerate(run(labels, *run_options)):
            totals[i] += count
    passed, failed, skipped = totals
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or passed <= 1 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
