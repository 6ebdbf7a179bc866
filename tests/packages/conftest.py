# SPDX-License-Identifier: MPL-2.0
"""The packages that script/package builds, once for all tests, and a root of its own to install them in.

RIPOSTE_PACKAGES   a directory of packages to test, instead of building them
RIPOSTE_EARLIER    the same of those that are upgraded; otherwise those of the last release are built, or of the first
                   commit that had any"""

import os
import pathlib
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
EARLIER = "0.0.9-1"  # the version that packages of an earlier commit get
LONG = os.environ.get("RIPOSTE_LONG") == "1"


def run(*command, within=300, **more):
    """Returns the output, standard error included, of a command that must succeed."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=within, check=False, **more)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}"
    return done.stdout


class Packages:
    """A directory of packages."""

    def __init__(self, directory):
        self.directory = directory
        self.debs = sorted(directory.glob("*.deb"))
        self.source = next(directory.glob("*.dsc"), None)
        self.others = sorted(directory.glob("*.dsc")) + sorted(directory.glob("*.tar.*"))

    def names(self):
        return [deb.name.partition("_")[0] for deb in self.debs]

    def of_version(self, version, directory):
        """Returns the same packages under another version."""
        for deb in self.debs:
            tree = directory / "tree"
            run("dpkg-deb", "--raw-extract", deb, tree)
            control = tree / "DEBIAN/control"
            now = next(line.partition(": ")[2] for line in control.read_text().splitlines()
                       if line.startswith("Version: "))
            control.write_text(control.read_text().replace(f"Version: {now}\n", f"Version: {version}\n")
                               .replace(f"(= {now})", f"(= {version})"))
            run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, directory / deb.name)
            shutil.rmtree(tree)
        return Packages(directory)


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    if "RIPOSTE_PACKAGES" in os.environ:
        return Packages(pathlib.Path(os.environ["RIPOSTE_PACKAGES"]).resolve())
    if not LONG:
        pytest.skip("they take two minutes: RIPOSTE_LONG=1")
    directory = tmp_path_factory.mktemp("dist") / "dist"
    print(run(SOURCE / "script/package", "--no-install", directory, within=900))
    return Packages(directory)


def earlier_commit():
    """The last release before this commit, or the first commit that made packages; None: it is not there."""
    def say(*command):
        done = subprocess.run(["git", "-C", SOURCE, *command], capture_output=True, text=True, check=False)
        return done.stdout.split()
    found = say("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^") or \
        say("log", "--diff-filter=A", "--format=%H", "--", "script/package")[-1:]
    return found[0] if found else None


@pytest.fixture(scope="session")
def earlier(tmp_path_factory):
    """The packages of an earlier commit, made as it made them, under a version that is older than today's."""
    directory = tmp_path_factory.mktemp("earlier")
    if "RIPOSTE_EARLIER" in os.environ:
        built = Packages(pathlib.Path(os.environ["RIPOSTE_EARLIER"]).resolve())
    else:
        commit = earlier_commit()
        if not LONG or not commit:
            pytest.skip("they take two minutes: RIPOSTE_LONG=1" if commit else "git has no commit that made packages")
        # A clone, since script/archive asks git what there is.
        clone = directory / "clone"
        run("git", "clone", "-q", "--no-checkout", SOURCE, clone)
        run("git", "checkout", "-q", commit, cwd=clone)
        run("script/package", "--no-install", directory / "dist", cwd=clone, within=1800)
        built = Packages(directory / "dist")
        shutil.rmtree(clone)
    (directory / "older").mkdir()
    return built.of_version(EARLIER, directory / "older")


class Root:
    """A root directory with a network, processes' files and /run of its own, until close. What is written there goes to
    a tmpfs."""

    def __init__(self, lower, directory, with_network=False):
        self.directory = directory
        script = """
            mount -t tmpfs tmpfs "$1"
            mkdir "$1/upper" "$1/work" "$1/root"
            mount -t overlay overlay -o "lowerdir=$0,upperdir=$1/upper,workdir=$1/work" "$1/root"
            for name in proc dev sys; do mount --rbind "/$name" "$1/root/$name"; done
            for name in run tmp; do mount -t tmpfs tmpfs "$1/root/$name"; done
            mkdir "$1/root/tmp/debs"
            [ "$2" = network ] || ip link set lo up
            echo up
            exec sleep infinity"""
        own = ["--mount", "--propagation", "private"] + ([] if with_network else ["--net"])
        self.process = subprocess.Popen(
            ["unshare", *own, "sh", "-ec", script, str(lower), str(directory), "network" if with_network else ""],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "up\n", "no root of its own"
        self.started = []

    def enter(self, *command):
        return ["nsenter", f"--target={self.process.pid}", "--mount", "--net",
                "chroot", f"{self.directory}/root", *command]

    def do(self, *command, **more):
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                       "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        return run(*self.enter(*command), env=environment, **more)

    def start(self, *command):
        """Starts a program in the background."""
        process = subprocess.Popen(self.enter(*command), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)
        self.started.append(process)
        return process

    def stop(self):
        """Ends what start has started, and waits for it."""
        for process in reversed(self.started):
            process.terminate()
        for process in self.started:
            process.wait(timeout=60)
        self.started = []

    def put(self, packages):
        """Returns the paths of packages, in this root."""
        place = f"{self.directory}/root/tmp/debs"
        run("nsenter", f"--target={self.process.pid}", "--mount", "sh", "-c", 'rm -rf "$0"/*; cp "$@" "$0"', place,
            *packages.debs, *packages.others)
        return [f"/tmp/debs/{deb.name}" for deb in packages.debs]

    def written(self):
        """Returns the files that are there now and were not, or were other ones."""
        found = run("nsenter", f"--target={self.process.pid}", "--mount", "find", f"{self.directory}/upper",
                    "!", "-type", "d", "!", "-type", "c", "-printf", "/%P\\n")
        return sorted(found.splitlines())

    def close(self):
        self.stop()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def root(tmp_path):
    """This machine's own root, on which nothing is written."""
    if os.geteuid() != 0:
        pytest.skip("a root of its own needs root")
    one = Root("/", tmp_path)
    yield one
    one.close()
