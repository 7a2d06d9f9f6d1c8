"""sekmet-fhir, a FHIR server with Bulk Data, on a free loopback port with a temporary data folder.

    .venv/bin/python sekmet-server.py [--port N] [--load FILE_OR_FOLDER]... [--limit N] [--slow SECONDS]
                                      [--no-index] [--settings JSON] [--log]

`--load` takes NDJSON files, plain or .gz, and folders of them, and keeps the ids; `--limit` is the most resources to take
from one file. `--no-index` loads several times faster: system exports and reads work, searches and exports of patients or a
group find nothing but the patients. `Group/all` holds every patient that was loaded. `--slow` is how long an export stays in progress, at most
one second. `--settings` is JSON over sekmet's own settings, for example
{"server_auth": {"types": ["smart"], "smart_clients": [{"client_id": "a", "client_secret": "b"}]}}.
Its store parses JSON: 1.00 becomes 1.0, 1e2 becomes 100.0, and text leaves as ASCII with \\u escapes.
"""

import argparse
import contextlib
import gzip
import json
import os
import pathlib
import shutil
import socket
import sys
import tempfile
import threading


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--load", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--no-index", action="store_true")
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--log", action="store_true")
    args = parser.parse_args()

    folder = tempfile.mkdtemp(prefix="sekmet-")
    threading.Thread(target=end_with_stdin, args=(folder,), daemon=True).start()
    try:
        run(args, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(args, folder):
    listener = socket.create_server(("127.0.0.1", args.port))
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"

    # Everything the package prints goes to stderr: stdout is for the `listening` line.
    with contextlib.redirect_stdout(sys.stderr):
        import uvicorn
        from sekmet.config import Settings, set_settings
        from sekmet.main import create_app

        settings = Settings.model_validate(
            {
                "base_url": f"{origin}/fhir",
                "host": "127.0.0.1",
                "data_dir": folder,
                "log_inbound": False,
                "validation": {"inbound": "off"},
                "simulator": {"enabled": False, "delay_seconds": args.slow},
                **args.settings,
            }
        )
        set_settings(settings)
        app = create_app(settings)
        load(app.state.ctx.store, args)
        config = uvicorn.Config(app, log_level="info" if args.log else "error")
        server = uvicorn.Server(config)

    def announce():
        while not server.started:
            threading.Event().wait(0.02)
        print(f"listening {origin}", flush=True)

    threading.Thread(target=announce, daemon=True).start()
    server.run(sockets=[listener])


def end_with_stdin(folder):
    while os.read(0, 4096):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def load(store, args):
    """Writes the resources in one SQLite transaction, then a group of all patients."""
    store.conn.execute("PRAGMA synchronous=OFF")
    listeners, store.listeners = store.listeners, []
    if args.no_index:
        store._reindex = lambda resource: None
    patients = []
    with store.transaction():
        for path in [file for source in args.load for file in files(source)]:
            opened = gzip.open(path, "rt") if path.suffix == ".gz" else path.open()
            with opened as lines:
                for number, line in enumerate(lines):
                    if args.limit is not None and number >= args.limit:
                        break
                    if line.strip():
                        resource = json.loads(line)
                        store.create(resource, keep_id=True)
                        if resource["resourceType"] == "Patient":
                            patients.append({"entity": {"reference": f"Patient/{resource['id']}"}})
        group = {"resourceType": "Group", "id": "all", "type": "person", "actual": True, "member": patients}
        store.create(group, keep_id=True)
    store.listeners = listeners


def files(source):
    if not source.is_dir():
        return [source]
    return sorted(path for path in source.iterdir() if path.name.endswith((".ndjson", ".ndjson.gz")))


if __name__ == "__main__":
    main()
