"""What a user would pick instead, for the same calls on the same data, where it can be installed.

FastAPI needs `pip install fastapi uvicorn`; json-server and Prism are fetched by npm into a throw-away folder.
"""

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks import load

_TICKETS = 1000
_NPM = {
    "json-server 0.17": ("json-server@0.17", ["json-server", "--quiet", "--port", "{port}", "db.json"]),
    "Prism": ("@stoplight/prism-cli@5", ["prism", "mock", "-v", "silent", "-p", "{port}", "openapi.json"]),
}


def main(rounds: int = 3, seconds: int = 2) -> None:
    print(f"{'(requests/s, p99 ms)':20}{'get':>16}{'list of 20':>16}{'create':>16}")
    with tempfile.TemporaryDirectory(prefix="tmp-keva-", dir=load.ROOT) as name:
        folder = Path(name)
        load.seed(folder / "keva.db", _TICKETS)
        with load.running(load.keva(folder / "keva.db")) as origin:
            _row("Keva's desk", origin + "/api/v1", rounds, seconds)
        if importlib.util.find_spec("fastapi") and importlib.util.find_spec("uvicorn"):
            with load.running(
                [sys.executable, "-m", "tests.benchmarks.fastapi_desk", str(folder / "keva.db")]
            ) as origin:
                _row("FastAPI, uvicorn", origin + "/api/v1", rounds, seconds)
        for rival, (package, command) in _NPM.items():
            if shutil.which("npm"):
                _npm(rival, package, command, folder, rounds, seconds)


def _npm(rival: str, package: str, command: list[str], folder: Path, rounds: int, seconds: int) -> None:
    installed = subprocess.run(
        ["npm", "install", "--silent", "--prefix", folder, package], capture_output=True, check=False
    )
    if installed.returncode:
        print(f"{rival:20}could not be installed")
        return
    lines = subprocess.check_output(
        [sys.executable, "app.py", "export", "-", "--db", str(folder / "keva.db")], cwd=load.ROOT
    )
    (folder / "db.json").write_text(json.dumps({"tickets": [json.loads(line) for line in lines.splitlines()]}))
    (folder / "openapi.json").write_bytes(subprocess.check_output([sys.executable, "app.py", "openapi"], cwd=load.ROOT))
    with _listening(command, folder) as origin:
        _row(rival, origin + ("/api/v1" if rival == "Prism" else ""), rounds, seconds)


@contextmanager
def _listening(command: list[str], folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    words = [word.format(port=port) for word in command]
    words[0] = str(folder / "node_modules" / ".bin" / words[0])
    process = subprocess.Popen(
        ["taskset", "-c", "0", *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _row(name: str, base: str, rounds: int, seconds: int) -> None:
    sides = {
        "get": (f"{base}/tickets/tkt_seed7", ""),
        "list": (f"{base}/tickets?status=open" + ("&_limit=20" if "json-server" in name else ""), ""),
        "create": (f"{base}/tickets", load.CREATE),
    }
    cells = []
    for side, call in sides.items():
        try:
            figure = load.in_turn({side: call}, rounds, seconds)[side]
            cells.append(f"{figure.rate:9.0f} {figure.p99:6.1f}")
        except RuntimeError:  # it answered with an error: no figure
            cells.append("-")
    print(f"{name:20}" + "".join(f"{cell:>16}" for cell in cells), flush=True)
