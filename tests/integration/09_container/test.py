"""The container image: built from Containerfile on a base of this machine's own making, started, probed, stopped.

Runs where buildah and debootstrap (or NEAP_CONTAINER_BASE, a ready base image) are installed and permitted; nothing is
installed for it. Isolation is buildah's chroot, which needs no container runtime: it does not show that the root file
system may be read-only. Building downloads packages and takes a minute or two.
"""

import json
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import neap  # noqa: E402

BASE = os.environ.get("NEAP_CONTAINER_BASE", "")
MIRROR = [url for url in [os.environ.get("NEAP_DEBIAN_MIRROR")] if url]  # else debootstrap chooses
IMAGE = "localhost/neap-integration"
folder = neap.new_folder()
ENV = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}
BUILDAH = ["buildah", "--root", os.path.join(folder, "store"), "--runroot", os.path.join(folder, "run")]
port = neap.free_port()
state = {}


def call(*words, timeout_s=600):
    result = subprocess.run(words, env=ENV, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=timeout_s)
    return result.returncode, result.stdout.strip(), (result.stdout + result.stderr)[-1500:]


def must(*words, **options):
    code, out, text = call(*words, **options)
    assert code == 0, f"{' '.join(words)}: {code}: {text}"
    return out


def why_not():
    """Why no image can be built here; None when it can."""
    if shutil.which("buildah") is None:
        return "buildah is not installed"
    code, out, text = call(*BUILDAH, "from", "scratch")
    if code != 0:
        return "buildah may not work here: " + text.splitlines()[-1]
    call(*BUILDAH, "rm", out)
    if BASE:
        return None
    if shutil.which("debootstrap") is None:
        return "debootstrap is not installed, and NEAP_CONTAINER_BASE names no base image"
    if os.geteuid() != 0:
        return "debootstrap needs root"
    root = os.path.join(folder, "base")
    code, _, text = call("debootstrap", "--variant=minbase", "bookworm", root, *MIRROR)
    return None if code == 0 else "no base can be made: " + " ".join(text.splitlines()[-1:])


def need(name):
    if name not in state:
        raise neap.Skip(state.get("skip") or "there is no image")


def context():
    """What is committed; the tree as it is where there is no git."""
    archive = os.path.join(folder, "context.tar")
    if call("git", "-C", neap.ROOT, "archive", "-o", archive, "HEAD")[0] != 0:
        return neap.ROOT
    os.makedirs(os.path.join(folder, "context"))
    must("tar", "-C", os.path.join(folder, "context"), "-xf", archive)
    return os.path.join(folder, "context")


def build():
    state["skip"] = why_not()
    if state["skip"]:
        raise neap.Skip(state["skip"])
    base = BASE
    if not base:
        archive = os.path.join(folder, "base.tar")
        must("tar", "-C", os.path.join(folder, "base"), "--exclude=./dev/*", "-cf", archive, ".")
        container, base = must(*BUILDAH, "from", "scratch"), "localhost/neap-base"
        must(*BUILDAH, "add", container, archive, "/")
        must(*BUILDAH, "commit", container, base)
        os.remove(archive)
    must(*BUILDAH, "build", "--format", "docker", "--network", "host", "--build-arg", f"BASE={base}", "-t", IMAGE,
         context())
    state["container"] = must(*BUILDAH, "from", IMAGE)


def configuration():
    need("container")
    image = json.loads(must(*BUILDAH, "inspect", "--type", "image", IMAGE))["Docker"]["config"]
    assert image["User"] == "10001:10001" and image["Volumes"] == {"/data": {}}, image
    assert image["StopSignal"] == "SIGTERM" and image["Healthcheck"]["Test"][:2] == ["CMD", "neap"], image


def inside(*words):
    return [*BUILDAH, "run", "--network", "host", "-v", f"{state['client']}:/clients/demo:ro", state["container"],
            "--", *words]


def pid_inside():
    """Of the host in the container: a descendant of ours with the port in its command line."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"/neap") and f"0.0.0.0:{port}".encode() in words:
                return int(entry)
    return None


def serves():
    need("container")
    state["client"] = neap.client_folder()
    os.chmod(os.path.dirname(state["client"]), 0o755)
    host = neap.Host([], port=port)
    with open(host.log_path, "ab") as log:
        host.process = subprocess.Popen(inside("neap", "run", "--listen", f"0.0.0.0:{port}", "--clients", "/clients"),
                                        env=ENV, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    state["host"] = host
    neap.until(host.is_ready, "the container is healthy: " + host.tail())
    assert os.stat(f"/proc/{pid_inside()}").st_uid == 10001
    must(*inside("neap", "run", "--probe", f"127.0.0.1:{port}"))
    status, text, _ = host.post("/demo/scayle/delegation", {"orderId": 1, "shopKey": "fo", "countryCode": "GB"},
                                auth=neap.Shop.AUTH)
    assert status == 201, (status, text)


def stops():
    need("host")
    os.kill(pid_inside(), signal.SIGTERM)
    assert state["host"].process.wait(30) == 0, state["host"].tail()
    assert '"draining"' in state["host"].tail() and '"stopped"' in state["host"].tail(), state["host"].tail()


try:
    neap.case("Containerfile builds on a bare Debian 12", build)
    neap.case("the image is not root's, has one volume, a health check and stops by SIGTERM", configuration)
    neap.case("a container serves, is healthy and takes a delegation", serves)
    neap.case("SIGTERM drains it and it exits with 0", stops)
finally:
    if "host" in state and state["host"].process.poll() is None and pid_inside():
        os.kill(pid_inside(), signal.SIGKILL)
    if "container" in state:
        call(*BUILDAH, "rm", "-a")
neap.done()
