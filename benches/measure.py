"""Times whole commands: wall clock, processor time and peak memory of one process, best and median of several runs."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target" / "dist" / "medplum"


def build():
    """Builds the binary as it is shipped, but that the environment chooses how lines are checked; quick when nothing changed."""
    command = ["cargo", "build", "--profile", "dist", "--locked", "--quiet", "--bin", "medplum", "--features", "measure"]
    subprocess.run(command, cwd=ROOT, check=True)


def run(command, env=None, cwd=None, may_fail=False):
    """One run: seconds. The output goes nowhere; a failure ends the benchmark, or with `may_fail` is what is returned."""
    start = time.perf_counter()
    done = subprocess.run(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        if may_fail:
            return f"exit code {done.returncode} after {seconds:.1f} s: {words[-300:]}"
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{words}")
    return seconds


def usage(command, env=None, cwd=None, may_fail=False):
    """One run under GNU time: seconds, processor seconds, peak megabytes; with `may_fail` words when it failed. (A child of
    Python would be charged with Python's own memory.)"""
    with tempfile.NamedTemporaryFile("r") as report:
        ended = run(["/usr/bin/time", "-f", "%e %U %S %M", "-o", report.name, *command], env, cwd, may_fail)
        if isinstance(ended, str):
            return ended
        wall, user, system, kilobytes = report.read().split()[-4:]
    return float(wall), float(user) + float(system), int(kilobytes) / 1024


def compare(commands, times, env=None, cwd=None):
    """Runs several commands in turn, so that a busy machine hits all alike; the median seconds of each."""
    results = {name: [] for name in commands}
    for name, command in commands.items():
        run(command, env, cwd)
    for _ in range(times):
        for name, command in commands.items():
            results[name].append(run(command, env, cwd))
    return {name: statistics.median(seconds) for name, seconds in results.items()}
