# SPDX-License-Identifier: MPL-2.0
"""What a release consists of beside packages: a source archive that anybody can make again, and a bill of materials."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import tarfile
import tempfile

import pytest

from conftest import LONG, SOURCE, run


def hashes(directory, pattern):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.glob(pattern)}


def test_the_source_archive_is_the_same_whoever_makes_it(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    run(SOURCE / "script/archive", one)
    umask = os.umask(0o077)
    try:
        run(SOURCE / "script/archive", other, env={**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "C"})
    finally:
        os.umask(umask)
    assert len(hashes(one, "*")) == 1
    assert hashes(one, "*") == hashes(other, "*")


def test_the_source_archive_has_what_git_has_but_debian(packages):
    with tarfile.open(next(packages.directory.glob("riposte-*.tar.gz"))) as archive:
        members = [member for member in archive if not member.isdir()]
        assert {(member.uname, member.gname) for member in members} == {("root", "root")}
        found = {member.name.partition("/")[2] for member in members}
    # As script/archive: what git does not ignore.
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=SOURCE).splitlines()
    assert found == {path for path in listed if not path.startswith("debian/") and (SOURCE / path).exists()}


def test_the_bill_of_materials_has_every_library_that_is_linked(packages):
    bill = json.loads(next(packages.directory.glob("*.spdx.json")).read_text())
    assert bill["spdxVersion"] == "SPDX-2.3" and bill["dataLicense"] == "CC0-1.0"
    ids = [package["SPDXID"] for package in bill["packages"]] + ["SPDXRef-DOCUMENT"]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", one) for one in ids)
    assert {relation[end] for relation in bill["relationships"]
            for end in ("spdxElementId", "relatedSpdxElement")} == set(ids)
    # What dpkg-shlibdeps has found out by another way.
    depends = {name for deb in packages.debs for line in run("dpkg-deb", "--field", deb, "Depends").split(",")
               if (name := line.split()[0] if line.split() else "").startswith("lib")}
    depends -= {"libriposte0", "libzmq3-dev"}
    assert depends
    assert {package["name"] for package in bill["packages"] if package["name"].startswith("lib")} == depends


class Gnupg:
    """A keyring of somebody's own. Its agent ends with it."""

    def __init__(self, directory):
        directory.mkdir(mode=0o700)
        self.environment = {**os.environ, "GNUPGHOME": str(directory)}

    def run(self, *command, **more):
        return run(*command, env=self.environment, **more)

    def close(self):
        self.run("gpgconf", "--kill", "all")


@pytest.fixture
def keyring():
    """Returns a function that makes a keyring. Their paths are short, since an agent has a socket there."""
    made = []

    def make():
        made.append(Gnupg(pathlib.Path(tempfile.mkdtemp(prefix="riposte-gpg-")) / "g"))
        return made[-1]
    yield make
    for one in made:
        one.close()
        shutil.rmtree(pathlib.Path(one.environment["GNUPGHOME"]).parent, ignore_errors=True)  # the agent removes, too


def releasing(words):
    """Returns the block of RELEASING.md with these words, for bash."""
    text = (SOURCE / "RELEASING.md").read_text(encoding="utf-8")
    found, = [block for block in re.findall(r"^```\n(.*?)^```$", text, re.S | re.M) if words in block]
    return ["bash", "-ec", found]


def test_who_downloads_a_release_can_tell_whether_it_is_ours(tmp_path, keyring):
    ours, theirs, mallory = keyring(), keyring(), keyring()
    for one, name in ((ours, "releases@riposte.example"), (mallory, "mallory@riposte.example")):
        one.run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "1d")
    dist = tmp_path / "dist"
    run(SOURCE / "script/archive", dist)
    archive = next(dist.glob("riposte-*.tar.gz"))
    bill = archive.with_name(archive.name.replace(".tar.gz", ".spdx.json"))
    for path in (bill, dist / "riposte-tools_1_amd64.deb", dist / "riposte_1_amd64.buildinfo"):
        path.write_text(path.name)
    ours.environment["RIPOSTE_SIGNING_KEY"] = "releases@riposte.example"
    for _ in range(2):  # signed again, it is as if it had been once
        signed = ours.run(SOURCE / "script/release", dist).split()
    assert signed == [f"{archive.name}.asc", f"{bill.name}.asc", "SHA256SUMS.asc"]
    assert [line.split()[1] for line in (dist / "SHA256SUMS").read_text().splitlines()] == [
        bill.name, archive.name, "riposte-tools_1_amd64.deb"]

    check = releasing("gpg --import")
    said = theirs.run(*check, cwd=dist)
    assert said.count("Good signature") == 1 and f"{archive.name}: OK" in said and f"{bill.name}: OK" in said
    assert said.count(": OK\n") == 3
    for name in signed:
        assert "Good signature" in theirs.run("gpg", "--verify", name, name.removesuffix(".asc"), cwd=dist)

    with archive.open("ab") as file:
        file.write(b"x")
    with pytest.raises(AssertionError, match="FAILED"):
        theirs.run(*check, cwd=dist)
    with pytest.raises(AssertionError, match="BAD signature"):
        theirs.run("gpg", "--verify", f"{archive.name}.asc", cwd=dist)
    mallory.environment["RIPOSTE_SIGNING_KEY"] = "mallory@riposte.example"
    mallory.run(SOURCE / "script/release", dist)
    with pytest.raises(AssertionError, match="No public key"):
        theirs.run("gpg", "--verify", "SHA256SUMS.asc", "SHA256SUMS", cwd=dist)


def test_an_archive_is_what_its_signed_tag_says(tmp_path, keyring):
    ours, key = keyring(), "releases@riposte.example"
    ours.run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", key, "ed25519", "sign", "1d")
    clone = tmp_path / "clone"
    run("git", "clone", "-q", SOURCE, clone)
    archive = pathlib.Path(run("script/archive", tmp_path, cwd=clone).strip())
    version = archive.name.removeprefix("riposte-").removesuffix(".tar.gz")
    ours.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "tag", "-s", "-u", key, "-m", "release", f"v{version}",
             cwd=clone)
    (clone / archive.name).write_bytes(archive.read_bytes())  # as if it had been downloaded there
    *shell, commands = releasing("git verify-tag")
    commands = commands.replace("VERSION", version).replace("/tmp/again", str(tmp_path / "again"))
    (clone / ".git/info/exclude").write_text("riposte-*.tar.gz\n")
    assert "Good signature" in ours.run(*shell, commands, cwd=clone)
    with archive.open("ab") as file:
        file.write(b"x")
    (clone / archive.name).write_bytes(archive.read_bytes())
    with pytest.raises(AssertionError, match="differ|EOF"):
        ours.run(*shell, commands, cwd=clone)


@pytest.mark.parametrize("key, what, said", [
    ("", True, "set RIPOSTE_SIGNING_KEY"),
    ("nobody@riposte.example", True, "gpg has no secret key nobody@riposte.example"),
    ("nobody@riposte.example", False, "build it first: script/package")])
def test_a_release_that_cannot_be_signed_says_why(tmp_path, keyring, key, what, said):
    ours = keyring()
    ours.environment["RIPOSTE_SIGNING_KEY"] = key
    if what:
        archive = pathlib.Path(run(SOURCE / "script/archive", tmp_path).strip())
        archive.with_name(archive.name.replace(".tar.gz", ".spdx.json")).touch()
    with pytest.raises(AssertionError, match=said):
        ours.run(SOURCE / "script/release", tmp_path)
    assert not list(tmp_path.glob("*.asc"))


@pytest.mark.skipif(not LONG, reason="the packages are built again: RIPOSTE_LONG=1")
def test_packages_are_the_same_whenever_they_are_built(packages, tmp_path):
    run(SOURCE / "script/package", "--no-install", tmp_path / "again", within=900,
        env={**os.environ, "TZ": "Asia/Kathmandu"})
    for pattern in ("*.deb", "*.tar.*", "*.spdx.json"):
        assert hashes(packages.directory, pattern) == hashes(tmp_path / "again", pattern)
