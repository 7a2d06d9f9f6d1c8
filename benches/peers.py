"""Other bulk clients to measure beside, at the versions of tests/peers. They are installed if tests/run has not done it."""

import subprocess
import sys

from measure import ROOT

PEERS = ROOT / "tests" / "peers"


def medplum_cli():
    """The Medplum CLI's export of the whole system into the working folder."""
    script = PEERS / "node_modules" / "@medplum" / "cli" / "dist" / "cjs" / "index.cjs"
    if not script.exists():
        subprocess.run(["npm", "ci", "--prefix", PEERS, "--loglevel=error"], check=True)
    return ["node", script, "bulk", "export", "--target-directory", "."]


def smart_fetch(fhir_base):
    """smart-fetch's, which compresses unless told otherwise."""
    program = PEERS / ".venv" / "bin" / "smart-fetch"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", PEERS / ".venv"], check=True)
        wanted = PEERS / "requirements.txt"
        subprocess.run([program.with_name("pip"), "install", "--quiet", "-r", wanted], check=True)
    options = ["--no-compression", "--no-default-filters", "--type", "Observation"]
    return [program, "bulk", "--fhir-url", fhir_base, *options, "out"]
