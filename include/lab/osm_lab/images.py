"""The nodes' images: built once, found again by the hash of what goes into them."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .docker import ADMIN_PATH, docker, exists, run
from .errors import LabError
from .layout import HOME
from .progress import reminding, say

SOURCE = HOME / "image"
SUITE = "bookworm"
PUBLIC_BASE = "debian:12"
BUILD_SECONDS = 1500
DEBOOTSTRAP = ("debootstrap", "--variant=minbase", "--include=ca-certificates")
PIP_SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT")
PROXY_SETTINGS = ("http_proxy", "https_proxy", "no_proxy")
CA_SETTINGS = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
STAGES = {"fake": "node", "libvirt": "node-libvirt"}
PACKAGES = {"fake": "packages", "libvirt": "packages-libvirt"}


def hash_inputs(source: Path, virt: str, base: str) -> str:
    """Twelve digits that change with the base and with any file of the profile's build."""
    digest = hashlib.sha256(base.encode())
    ignored = {"__pycache__"} if virt == "libvirt" else {"__pycache__", "rootfs-libvirt"}
    for path in sorted(source.rglob("*")):
        if path.is_file() and ignored.isdisjoint(path.parts):
            digest.update(f"\0{path.relative_to(source)}\0{path.stat().st_mode & 0o111}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def ensure(virt: str, base: str | None, logs: Path) -> str:
    """The image for a profile, built if it is not there yet."""
    image = f"osm-lab-{STAGES[virt]}:{hash_inputs(SOURCE, virt, base or SUITE)}"
    if exists("image", image):
        return image
    say(f"building the image {image}, which takes a few minutes the first time")
    base = base or ensure_base()
    with tempfile.TemporaryDirectory(prefix="osm-lab-build-") as folder:
        context = Path(folder) / "context"
        shutil.copytree(SOURCE, context, ignore=shutil.ignore_patterns("__pycache__"))
        add_machine_settings(context / "machine")
        with ThreadPoolExecutor() as pool:
            stages = [
                pool.submit(build, context, base, stage, f"osm-lab-{stage}:build", logs)
                for stage in (PACKAGES[virt], "openstack")
            ]
            for stage in stages:
                stage.result()
        build(context, base, STAGES[virt], image, logs)
    with reminding("waiting until the image is on the disk"):
        # Gigabytes that go on being written would make everything after this wait for the disk.
        os.sync()
    return image


def ensure_base() -> str:
    """A minimal Debian: made by debootstrap where possible, else the public image."""
    if os.geteuid() != 0 or shutil.which("debootstrap", path=ADMIN_PATH) is None:
        return PUBLIC_BASE
    base = f"osm-lab-base:{SUITE}"
    if exists("image", base):
        return base
    folder = Path(tempfile.mkdtemp(prefix="osm-lab-base-", dir="/var/tmp"))
    try:
        root = folder / "root"
        with reminding("making a minimal Debian with debootstrap"):
            run(
                [*DEBOOTSTRAP, SUITE, str(root), *find_mirror()],
                timeout=BUILD_SECONDS,
                env={**os.environ, "PATH": ADMIN_PATH},
            )
        for package in (root / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as tar:
            run(["docker", "import", "-", base], timeout=300, stdin=tar.stdout)
    finally:
        shutil.rmtree(folder)
    return base


def find_mirror() -> list[str]:
    """The mirror that this machine's own apt uses for the suite, if it has one."""
    done = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(SITE) $(RELEASE) $(REPO_URI)",
            "Created-By: Packages",
        ],
        check=False,
    )
    for line in done.stdout.splitlines():
        _, release, uri = line.split()
        if release == SUITE and uri.rstrip("/").endswith("/debian"):
            return [uri]
    return []


def add_machine_settings(folder: Path) -> None:
    """Put this machine's pip configuration and CA bundle beside the build, if it has any."""
    folder.mkdir()
    configuration = Path("/etc/pip.conf")
    if configuration.exists():
        shutil.copy(configuration, folder / "pip.conf")
    for name in CA_SETTINGS:
        if os.environ.get(name) and Path(os.environ[name]).is_file():
            shutil.copy(os.environ[name], folder / "ca.pem")
            return


def build(context: Path, base: str, stage: str, tag: str, logs: Path) -> None:
    """Build one stage of the image.

    Raises: LabError with the end of the build's log.
    """
    arguments = ["--build-arg", f"BASE={base}", "--network", "host"]
    for name in PIP_SETTINGS + PROXY_SETTINGS:
        if os.environ.get(name):
            arguments += ["--build-arg", name]
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = logs / f"build-{stage}.log"
    with log.open("w") as output, reminding(f"building the stage {stage} (log: {log})"):
        try:
            code = subprocess.run(
                [
                    "docker",
                    "build",
                    *arguments,
                    "--label",
                    "osm-lab-image",
                    "--target",
                    stage,
                    "--tag",
                    tag,
                    ".",
                ],
                cwd=context,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=BUILD_SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise LabError(
                f"Building the stage {stage} took longer than {BUILD_SECONDS} s; see {log}."
            ) from error
    if code:
        end = " / ".join(line for line in log.read_text().splitlines()[-4:] if line)
        raise LabError(f"Building the stage {stage} failed; see {log}: {end}")


def remove_all() -> None:
    """Remove the lab's images, all versions of them, unless another lab runs on them."""
    if docker("ps", "--all", "--quiet", "--filter", "label=osm-lab"):
        say("left the images: another lab uses them")
        return
    names = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    own = [name for name in names if name.startswith("osm-lab-")]
    if own:
        docker("image", "rm", "--force", *own)
    docker("image", "prune", "--force", "--filter", "label=osm-lab-image")
