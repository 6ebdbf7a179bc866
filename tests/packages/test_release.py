# SPDX-License-Identifier: MPL-2.0
"""What a release consists of beside packages: a source archive that anybody can make again, and a bill of materials."""

import hashlib
import json
import os
import re
import tarfile

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


@pytest.mark.skipif(not LONG, reason="the packages are built again: RIPOSTE_LONG=1")
def test_packages_are_the_same_whenever_they_are_built(packages, tmp_path):
    run(SOURCE / "script/package", "--no-install", tmp_path / "again", within=900,
        env={**os.environ, "TZ": "Asia/Kathmandu"})
    for pattern in ("*.deb", "*.tar.*", "*.spdx.json"):
        assert hashes(packages.directory, pattern) == hashes(tmp_path / "again", pattern)
