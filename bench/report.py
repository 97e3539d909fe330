"""The table of the bench, and its JSON."""

import json
import os
import pathlib
import platform
import time


def machine():
    model = next((line.split(":")[1].strip()
                  for line in pathlib.Path("/proc/cpuinfo").open()
                  if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return (f"{platform.node()}: {os.cpu_count()} cores ({model}), {memory} "
            f"GiB, Linux {platform.release()}, {time.strftime('%Y-%m-%d')}")


def micros(value):
    if value is None:
        return ""
    return f"{value}us" if value < 1000 else f"{value / 1000:.1f}ms"


def per_request(before, after, requests):
    """{process: CPU microseconds for each request}"""
    if not requests:
        return {}
    return {name: round((after[name] - cpu) / requests * 1e6, 1)
            for name, cpu in before.items() if name in after}


class Report:
    def __init__(self):
        self.rows = []
        self.headed = False

    def head(self):
        if self.headed:
            return
        self.headed = True
        print(f"{'row':24} {'cairn':>10} {'baseline':>10} {'unit':7} "
              f"{'ratio':>6} {'aim':>8}     {'p50':>8} {'p99':>8} {'p99.9':>8}"
              "  CPU us a request")

    def add(self, name, ours, base, unit, ratio, aim, at_most=False, result=None,
            cpu=None, errors=0, note=""):
        """One row; `aim` bounds `ratio` from below, or from above."""
        self.head()
        result = result or {}
        reached = ratio <= aim if at_most else ratio >= aim
        row = {"row": name, "cairn": ours, "baseline": base, "unit": unit,
               "ratio": ratio, "aim": aim, "at_most": at_most,
               "reached": reached, "errors": errors, "note": note,
               "cpu_us_per_request": cpu or {},
               **{f"{p}_us": result.get(p) for p in ("p50", "p99", "p999")}}
        self.rows.append(row)
        word = "at most " if at_most else ""
        print(f"{name:24} {ours:10.1f} {base:10.1f} {unit:7} {ratio:6.2f} "
              f"{word + str(aim):>8} {'ok ' if reached else 'LOW'} "
              + " ".join(f"{micros(result.get(p)):>8}"
                         for p in ("p50", "p99", "p999"))
              + "  " + ", ".join(f"{k} {v:.0f}" for k, v in
                                 sorted((cpu or {}).items()))
              + (f"  {note}" if note else "")
              + (f"  {errors} ERRORS" if errors else ""), flush=True)

    def usage(self, title, usage):
        print(f"  {title}: " + ", ".join(
            f"{name} {cpu:.1f} s CPU {rss:.0f} MB peak"
            for name, (cpu, rss) in sorted(usage.items())), flush=True)

    def write(self, file):
        pathlib.Path(file).write_text(json.dumps(self.rows, indent=1))

    def errors(self):
        return any(row["errors"] for row in self.rows)
