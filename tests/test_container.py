"""The container file: what it starts, as whom, and how its health is told; built for real where that can be."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig

import httpx
import pytest

from tests.conftest import ROOT
from tests.reliability.served import until

STEPS = re.findall(r"^([A-Z]+) (.*)$", (ROOT / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE)
FINAL = STEPS[[name for name, _ in STEPS].index("FROM", 1) :]
KEY = "keva_live_in_a_container"
FOR_TESTS = {"KEVA_CONTROL": "1", "KEVA_API_KEY": KEY}


def the(name):
    [found] = [value for instruction, value in FINAL if instruction == name]
    return found


def command_of(name):
    return json.loads(the(name)[the(name).index("[") :])


def install(root):
    """What the first stage does, with what the package depends on from this environment; the slow form gets it all."""
    target = root / "opt/keva"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", target], check=True)
    [site] = target.glob("lib/*/site-packages")
    shutil.copytree(ROOT / "keva", site / "keva", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "schema.sql", site / "keva")
    (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    script = target / "bin/keva"
    script.write_text(f"#!{target}/bin/python\nfrom keva.cli import run\nrun()\n")
    script.chmod(0o755)


def install_as_written(root):
    [step] = [value for name, value in STEPS[: -len(FINAL)] if name == "RUN"]
    step = step.replace("python -m", f"{sys.executable} -m", 1).replace("/opt/keva", f"{root}/opt/keva")
    subprocess.run(["bash", "-c", step.replace(" /src", f" {ROOT}")], check=True, capture_output=True)


@pytest.mark.parametrize("installed", [install, pytest.param(install_as_written, marks=pytest.mark.slow)])
def test_its_steps_give_a_desk_for_tests_by_variables_alone(tmp_path, installed):
    """No engine: the same steps in a folder, with the same variables and nothing else, as whoever runs the suite."""
    root = tmp_path
    installed(root)
    data = root / "data"
    data.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = dict(pair.split("=", 1) for pair in the("ENV").split())
    variables["PATH"] = variables["PATH"].replace("/opt/keva", f"{root}/opt/keva")
    variables |= FOR_TESTS | {"KEVA_PORT": str(port), "TMPDIR": str(data)}
    within = {"env": variables, "cwd": data}

    def is_healthy():
        check = command_of("HEALTHCHECK")
        check[0] = f"{root}/opt/keva/bin/python"
        return subprocess.run(check, **within, capture_output=True, check=False).returncode == 0

    entry = [f"{root}/opt/keva/bin/{command_of('ENTRYPOINT')[0]}", *command_of("CMD")]
    with subprocess.Popen(entry, **within, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == f"Keva is listening on http://0.0.0.0:{port}\n"
            assert is_healthy()
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {KEY}"}
            ) as client:
                assert client.post("/__keva__/seed", json={"tickets": [{}]}).status_code == 201
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
    assert process.returncode == 0
    assert not is_healthy()
    assert list(data.iterdir()) == []


def test_what_it_copies_is_all_that_the_package_is_made_of():
    copied = [word for name, value in STEPS[: -len(FINAL)] if name == "COPY" for word in value.split()[:-1]]
    assert sorted(copied) == ["README.md", "keva", "pyproject.toml", "schema.sql"]
    assert all((ROOT / name).exists() for name in copied)
    assert the("EXPOSE") == "8080"


def test_it_does_not_run_as_root():
    assert int(the("USER")) > 0
    assert f"--uid {the('USER')} " in the("RUN")


@pytest.mark.slow
def test_an_engine_builds_it_and_runs_it_by_variables_alone():
    engine = next((name for name in ("docker", "podman") if is_engine(name)), None)
    if engine is None:
        pytest.skip("no container engine runs here: its steps ran as a script instead")
    built = subprocess.run(
        [engine, "build", "-q", "-f", "Containerfile", "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    options = [word for name, value in FOR_TESTS.items() for word in ("-e", f"{name}={value}")]
    run = [engine, "run", "--rm", "-d", "-p", "127.0.0.1::8080", *options, built.stdout.strip()]
    container = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    try:
        told = subprocess.run([engine, "port", container, "8080"], capture_output=True, text=True, check=True).stdout
        origin = f"http://{told.splitlines()[0]}"
        until(lambda: is_up(origin), 30)
        seeded = httpx.post(
            f"{origin}/__keva__/seed", json={"tickets": [{}]}, headers={"Authorization": f"Bearer {KEY}"}
        )
        assert seeded.status_code == 201
    finally:
        subprocess.run([engine, "stop", container], check=True, capture_output=True)


def is_engine(name):
    """Whether there is one that answers, and not its client alone."""
    return shutil.which(name) and subprocess.run([name, "info"], capture_output=True, check=False).returncode == 0


def is_up(origin):
    try:
        return httpx.get(f"{origin}/healthz").status_code == 200
    except httpx.TransportError:
        return False
