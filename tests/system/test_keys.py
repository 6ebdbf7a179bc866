# SPDX-License-Identifier: MPL-2.0
"""riposte keys: the files that it leaves on the disk, and that CZMQ's and pyzmq's programs read
them."""

import ctypes
import ctypes.util
import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess

import pytest
import zmq.auth

from support import programs

KEY = re.compile(r"[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")


class Keys:
    """riposte keys with K and A below a directory of the test's own."""

    def __init__(self, world, directory):
        self.world, self.directory = world, directory
        self.pairs, self.authorized = directory / "K", directory / "A"

    def run(self, *arguments, code=0):
        result = self.world.run(programs.CLI, "keys", *arguments, within=10)
        assert result.code == code, result
        return result

    def new(self, name):
        return self.run("new", name, "--dir", self.pairs, "-o", "json").json()

    def authorize(self, name, *options, principal=None, code=0):
        return self.run("authorize", self.pairs / f"{name}.key", "--principal", principal or name,
                        "--into", self.authorized, *options, code=code)

    def list(self, code=0):
        return self.run("list", "--from", self.authorized, "-o", "json", code=code).json()["keys"]

    def lint(self, *options, code=1):
        problems = self.run("lint", "--dir", self.pairs, "--from", self.authorized, "-o", "json", *options,
                            code=code).json()["problems"]
        return [(os.path.basename(one["file"]), one["problem"]) for one in problems]


@pytest.fixture(name="keys")
def fixture_keys(world, tmp_path):
    return Keys(world, tmp_path)


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def says(result, *parts):
    line = result.error()
    for part in parts:
        assert part in line, line


# ---- new --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_pair_has_its_modes_whatever_the_umask(keys, umask):
    before = os.umask(umask)
    try:
        pair = keys.new("ada")
        keys.authorize("ada")
    finally:
        os.umask(before)
    assert mode(keys.pairs) == 0o700
    assert mode(keys.authorized) == 0o755  # a broker with a user of its own reads it
    assert mode(keys.authorized / "ada.key") == 0o644
    assert mode(keys.pairs / "ada.key_secret") == 0o600
    assert mode(keys.pairs / "ada.key") == 0o644
    assert KEY.fullmatch(pair["public_key"])
    assert pair["public_key"] in (keys.pairs / "ada.key").read_text()
    assert "secret-key" not in (keys.pairs / "ada.key").read_text()
    assert sorted(os.listdir(keys.pairs)) == ["ada.key", "ada.key_secret"]


def test_two_pairs_differ(keys):
    assert keys.new("ada")["public_key"] != keys.new("bob")["public_key"]


@pytest.mark.parametrize("suffix", ["key", "key_secret"])
def test_a_file_that_exists_is_left_alone_and_the_other_half_is_not_made(keys, suffix):
    keys.pairs.mkdir()
    (keys.pairs / f"ada.{suffix}").write_text("mine")
    result = keys.run("new", "ada", "--dir", keys.pairs, code=1)
    says(result, f"ada.{suffix}: it exists already", "riposte keys rotate")
    assert os.listdir(keys.pairs) == [f"ada.{suffix}"]
    assert (keys.pairs / f"ada.{suffix}").read_text() == "mine"


@pytest.mark.parametrize("suffix", ["key", "key_secret"])
def test_a_symbolic_link_is_not_followed(keys, suffix):
    keys.pairs.mkdir()
    (keys.pairs / f"ada.{suffix}").symlink_to(keys.directory / "elsewhere")
    keys.run("new", "ada", "--dir", keys.pairs, code=1)
    assert not (keys.directory / "elsewhere").exists()


@pytest.mark.parametrize("arguments, part", [
    (("new",), "NAME of the pair is missing"),
    (("new", "a", "b"), "one argument"),
    (("new", "../a"), "the NAME of a pair"),
    (("new", ".a"), "the NAME of a pair"),
    (("new", "a.key"), "the NAME of a pair"),
    (("new", "a b"), "the NAME of a pair"),
    (("new", "x" * 64), "the NAME of a pair"),
    (("new", "a", "--principal", "b"), "--principal does not go with keys new"),
    (("rotate",), "NAME of the pair is missing"),
    (("authorize", "x.key"), "--principal NAME"),
    (("authorize", "--principal", "a"), "FILE of the public key is missing"),
    (("authorize", "x.key", "--principal", "a b"), "--principal wants"),
    (("authorize", "x.key", "--principal", "anonymous"), "who has no key"),
    (("authorize", "x.key", "--principal", "uid:0"), "who has no key"),
    (("authorize", "x.key", "--principal", "a", "--role", "b,c"), "--role wants"),
    (("authorize", "x.key", "--principal", "a", "--expires", "soon"), "--expires wants a date"),
    (("authorize", "x.key", "--principal", "a", "--expires", "2020-01-01"), "2020-01-01 is over"),
    (("revoke",), "NAME or the FILE of the key is missing"),
    (("show",), "FILE of the certificate is missing"),
    (("list", "x"), "takes no argument"),
    (("lint", "x"), "takes no argument"),
    (("token", "--principal", "a"), "--role ROLE"),
    (("token", "--role", "a"), "--principal NAME"),
    (("new", "a", "--form", "b"), "--from"),
    ((), "a command is missing behind keys"),
])
def test_wrong_usage_is_one_line_and_exit_code_2(keys, arguments, part):
    result = keys.run(*arguments, code=2)
    assert result.out == b""
    says(result, part)


def test_errors_are_objects_with_json(keys):
    result = keys.run("show", "/does/not/exist", "-o", "json", code=1)
    assert result.err == b""
    assert result.json()["error"]["code"] == "SYSTEM"
    assert "/does/not/exist" in result.json()["error"]["message"]
    assert keys.run("new", "-o", "json", code=2).json()["error"]["code"] == "USAGE"


def test_without_dir_the_usual_directory_is_used(keys):
    """Runs as a user other than root, with a copy of the program that every user may run."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    home = pathlib.Path("/tmp") / f"riposte-home-{os.getpid()}"
    home.mkdir(mode=0o755)
    try:
        program = home / "riposte"
        program.write_bytes(programs.CLI.read_bytes())
        program.chmod(0o755)
        (home / "user").mkdir()
        os.chown(home / "user", 65534, 65534)
        environment = {**keys.world.environment, "HOME": str(home / "user")}
        environment.pop("XDG_CONFIG_HOME", None)

        def run(*arguments, **more):
            return subprocess.run([program, "keys", *arguments], env={**environment, **more}, user=65534,
                                  group=65534, extra_groups=[], capture_output=True, check=True)
        run("new", "ada")
        run("authorize", home / "user/.config/riposte/ada.key", "--principal", "ada")
        run("new", "ada", XDG_CONFIG_HOME=str(home / "user/xdg"))
        with pytest.raises(subprocess.CalledProcessError) as error:
            run("list", HOME="")
        assert b"HOME does not name a directory" in error.value.stderr and error.value.returncode == 2
        assert (home / "user/.config/riposte/authorized/ada.key").exists()
        assert mode(home / "user/.config/riposte") == 0o700
        assert mode(home / "user/.config/riposte/authorized") == 0o755
        assert (home / "user/xdg/riposte/ada.key_secret").exists()
    finally:
        subprocess.run(["rm", "-rf", home], check=True)


# ---- authorize, list, revoke ------------------------------------------------------------------------


def test_what_is_authorized_is_listed(keys):
    ada, bob = keys.new("ada"), keys.new("bob")
    keys.authorize("ada", "--role", "caller", "--role", "ops")
    keys.authorize("bob", "--expires", "2199-01-31", principal="robert")
    assert mode(keys.authorized / "ada.key") == 0o644
    assert "secret-key" not in (keys.authorized / "ada.key").read_text()
    listed = keys.list()
    assert [(one["name"], one["principal"], one["role"], one["expires"], one["state"], one["public_key"])
            for one in listed] == [
                ("ada", "ada", "caller,ops", "", "authorized", ada["public_key"]),
                ("bob", "robert", "", "2199-01-31", "authorized", bob["public_key"])]
    table = keys.run("list", "--from", keys.authorized).out.decode().splitlines()
    assert table[0].split() == ["NAME", "PRINCIPAL", "ROLE", "EXPIRES", "STATE", "KEY"]
    assert table[2].split() == ["bob", "robert", "2199-01-31", "authorized", bob["public_key"]]
    lines = keys.run("list", "--from", keys.authorized, "-o", "jsonl").out.decode().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["ada", "bob"]
    csv = keys.run("list", "--from", keys.authorized, "-o", "csv").out.decode().splitlines()
    assert csv[0] == "name,principal,role,expires,state,public_key"
    assert csv[1].startswith('ada,ada,"caller,ops",,authorized,')


def test_the_secret_half_of_a_file_is_not_authorized_along(keys):
    keys.new("ada")
    keys.run("authorize", keys.pairs / "ada.key_secret", "--principal", "ada", "--into", keys.authorized)
    assert os.listdir(keys.authorized) == ["ada.key"]
    assert "secret" not in (keys.authorized / "ada.key").read_text()


def test_the_same_key_again_is_changed_and_not_doubled(keys):
    keys.new("ada")
    keys.authorize("ada", "--role", "caller")
    result = keys.authorize("ada", "--role", "ops", "-o", "json", principal="countess")
    assert result.json()["new"] is False
    [only] = keys.list()
    assert (only["principal"], only["role"]) == ("countess", "ops")
    (keys.pairs / "other.key").write_text((keys.pairs / "ada.key").read_text())
    keys.authorize("other", principal="other")
    [only] = keys.list()
    assert (only["name"], only["principal"]) == ("ada", "other")
    assert os.listdir(keys.authorized) == ["ada.key"]


def test_another_key_under_a_name_is_refused_unless_it_is_the_same_principals(keys):
    keys.new("ada")
    keys.authorize("ada")
    for path in keys.pairs.iterdir():
        path.unlink()
    keys.new("ada")
    says(keys.authorize("ada", principal="eve", code=1), "another key of ada", "riposte keys revoke ada")
    keys.authorize("ada")
    assert [one["name"] for one in keys.list()] == ["ada.2", "ada"]


def test_revoked_by_name_or_by_the_same_key(keys):
    for name in ("ada", "bob", "eve"):
        keys.new(name)
        keys.authorize(name)
    keys.run("revoke", "ada", "--from", keys.authorized)
    assert sorted(os.listdir(keys.authorized)) == ["bob.key", "eve.key"]
    result = keys.run("revoke", keys.pairs / "bob.key", "--from", keys.authorized, "-o", "json")
    assert result.json() == {"revoked": [str(keys.authorized / "bob.key")]}
    says(keys.run("revoke", "bob", "--from", keys.authorized, code=1), 'no key "bob"', "riposte keys list")
    says(keys.run("revoke", keys.pairs / "bob.key", "--from", keys.authorized, code=1), 'no key "bob"')
    assert [one["name"] for one in keys.list()] == ["eve"]


def test_a_name_that_is_a_principals_is_explained(keys):
    keys.new("laptop")
    keys.authorize("laptop", principal="ada")
    says(keys.run("revoke", "ada", "--from", keys.authorized, code=1), 'principal "ada" has laptop.key')


def test_a_certificate_that_cannot_be_read_can_be_revoked(keys):
    keys.authorized.mkdir()
    (keys.authorized / "bad.key").write_text("x")
    [bad] = keys.list(code=1)
    assert bad["state"] == "mistake" and "no certificate" in bad["mistake"]
    keys.run("revoke", "bad", "--from", keys.authorized)
    assert keys.list() == []


# ---- rotate -----------------------------------------------------------------------------------------


def test_rotate_keeps_the_old_pair_and_authorizes_nothing(keys):
    old = keys.new("ada")["public_key"]
    keys.authorize("ada")
    result = keys.run("rotate", "ada", "--dir", keys.pairs)
    assert b"riposte keys authorize" in result.err and b"riposte keys revoke" in result.err
    assert sorted(os.listdir(keys.pairs)) == ["ada.key", "ada.key_secret", "ada.old.key", "ada.old.key_secret"]
    assert mode(keys.pairs / "ada.key_secret") == mode(keys.pairs / "ada.old.key_secret") == 0o600
    for suffix in ("key", "key_secret"):
        assert old in (keys.pairs / f"ada.old.{suffix}").read_text()
        assert old not in (keys.pairs / f"ada.{suffix}").read_text()
    assert [one["public_key"] for one in keys.list()] == [old]

    # The next steps, as rotate prints them.
    keys.authorize("ada")
    assert len(keys.list()) == 2
    keys.run("revoke", keys.pairs / "ada.old.key", "--from", keys.authorized)
    [only] = keys.list()
    assert only["public_key"] in (keys.pairs / "ada.key").read_text()


def test_rotate_does_not_lose_an_older_pair(keys):
    keys.new("ada")
    keys.run("rotate", "ada", "--dir", keys.pairs)
    before = {path.name: path.read_text() for path in keys.pairs.iterdir()}
    says(keys.run("rotate", "ada", "--dir", keys.pairs, code=1), "ada.old.key_secret: an older key is still here")
    assert {path.name: path.read_text() for path in keys.pairs.iterdir()} == before
    keys.run("rotate", "nobody", "--dir", keys.pairs, code=1)
    assert {path.name: path.read_text() for path in keys.pairs.iterdir()} == before


# ---- show -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["table", "json", "jsonl", "csv"])
@pytest.mark.parametrize("suffix, has_secret", [("key", False), ("key_secret", True)])
def test_show_never_shows_a_secret(keys, output, suffix, has_secret):
    public = keys.new("ada")["public_key"]
    secret = re.search(r'secret-key = "(.*)"', (keys.pairs / "ada.key_secret").read_text()).group(1)
    result = keys.run("show", keys.pairs / f"ada.{suffix}", "-o", output)
    assert public in result.out.decode()
    assert secret not in result.out.decode() and secret not in result.err.decode()
    if output == "json":
        assert result.json()["secret"] is has_secret


def test_a_secret_that_others_can_read_is_refused_with_the_command(keys):
    keys.new("ada")
    path = keys.pairs / "ada.key_secret"
    for bad in (0o640, 0o604):
        path.chmod(bad)
        says(keys.run("show", path, code=1), f"chmod 600 {path}")


# ---- lint -------------------------------------------------------------------------------------------


def test_lint_finds_nothing_wrong_in_what_the_commands_made(keys):
    keys.new("broker")
    keys.new("ada")
    keys.authorize("ada", "--role", "caller")
    keys.run("token", "--principal", "dash", "--role", "caller", "--into", keys.authorized)
    keys.run("rotate", "broker", "--dir", keys.pairs)
    rules = keys.directory / "rules"
    rules.write_text('role = "caller"\n    call = "*"\n')
    assert keys.lint("--rules", rules, code=0) == []


def _readable(keys):
    (keys.pairs / "ada.key_secret").chmod(0o640)


def _copied(keys):
    for suffix in ("key", "key_secret"):
        (keys.pairs / f"copy.{suffix}").write_text((keys.pairs / f"ada.{suffix}").read_text())
        (keys.pairs / f"copy.{suffix}").chmod(0o600)


def _mixed(keys):
    keys.new("bob")
    (keys.pairs / "ada.key").write_text((keys.pairs / "bob.key").read_text())


def _secret_as_public(keys):
    (keys.pairs / "ada.key").write_text((keys.pairs / "ada.key_secret").read_text())
    (keys.pairs / "ada.key").chmod(0o600)


def _open_directory(keys):
    keys.authorized.chmod(0o770)


def _open_file(keys):
    (keys.authorized / "ada.key").chmod(0o666)


def _twice(keys):
    (keys.authorized / "bob.key").write_text((keys.authorized / "ada.key").read_text())


def _expired(keys):
    path = keys.authorized / "ada.key"
    path.write_text(path.read_text().replace("metadata\n", 'metadata\n    expires = "2020-01-31"\n'))


def _nobodys(keys):
    (keys.authorized / "bob.key").write_text((keys.pairs / "ada.key").read_text())


def _secret_authorized(keys):
    (keys.authorized / "bob.key").write_text((keys.pairs / "ada.key_secret").read_text())
    (keys.authorized / "bob.key").chmod(0o600)


def _without_rules(keys):
    keys.authorize("ada", principal="bob")


def _unknown_role(keys):
    keys.authorize("ada", "--role", "nonsense")


def _wrong_rules(keys):
    (keys.pairs / "rules").write_text("nonsense\n")


def _open_rules(keys):
    (keys.pairs / "rules").chmod(0o666)


def _open_tokens(keys):
    keys.run("token", "--principal", "dash", "--role", "caller", "--into", keys.authorized)
    (keys.authorized / "tokens").chmod(0o644)


@pytest.mark.parametrize("spoil, file, problem", [
    (_readable, "ada.key_secret", "others can read this secret key (mode 0640)"),
    (_copied, "copy.key_secret", "the same key as ada.key_secret"),
    (_mixed, "ada.key", "its key is not that of ada.key_secret"),
    (_secret_as_public, "ada.key", "it has the secret key"),
    (_open_directory, "A", "others can change it (mode 0770)"),
    (_open_file, "ada.key", "others can change it (mode 0666)"),
    (_twice, "bob.key", 'the same key as ada.key, of "ada"'),
    (_expired, "ada.key", "it has expired"),
    (_nobodys, "bob.key", "it has no principal"),
    (_secret_authorized, "bob.key", "a secret key"),
    (_without_rules, "ada.key", 'principal "bob" has no rules'),
    (_unknown_role, "ada.key", 'the rules have no role "nonsense"'),
    (_wrong_rules, "rules:1:1", ""),
    (_open_rules, "rules", "others can change it (mode 0666)"),
    (_open_tokens, "tokens", "others can read it (mode 0644)"),
], ids=lambda value: value.__name__[1:] if callable(value) else "")
def test_lint_finds(keys, spoil, file, problem):
    keys.new("ada")
    keys.authorize("ada")
    (keys.pairs / "rules").write_text('principal = "ada"\n    call = "*"\n')
    assert keys.lint(code=0) == []
    spoil(keys)
    problems = keys.lint()
    assert len(problems) == 1, problems
    assert problems[0][0] == file and problem in problems[0][1], problems


def test_lint_of_a_directory_that_is_not_there_is_an_error(keys):
    says(keys.run("lint", "--dir", keys.directory / "none", code=1), "No such file", "--dir")


# ---- token ------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_kept_as_its_hash(keys):
    first = keys.run("token", "--principal", "dash", "--role", "a", "--role", "b", "--into", keys.authorized)
    second = keys.run("token", "--principal", "dash", "--role", "a", "--into", keys.authorized, "-o", "json").json()
    text = (keys.authorized / "tokens").read_text()
    token = first.out.decode().strip()
    assert re.fullmatch("[0-9a-f]{64}", token) and token != second["token"]
    assert mode(keys.authorized / "tokens") == 0o600
    for one in (token, second["token"]):
        assert one not in text
        assert text.count(hashlib.sha256(one.encode()).hexdigest()) == 1
    assert re.fullmatch(r'token = "\w{64}"\n    principal = "dash"\n    role = "a"\n    role = "b"\n'
                        r'    created = "[-\dT:]+Z"\ntoken = "\w{64}"\n    principal = "dash"\n    role = "a"\n'
                        r'    created = "[-\dT:]+Z"\n', text), text
    assert os.listdir(keys.authorized) == ["tokens"]


def test_tokens_that_others_can_read_are_refused(keys):
    keys.run("token", "--principal", "dash", "--role", "a", "--into", keys.authorized)
    before = (keys.authorized / "tokens").read_text()
    (keys.authorized / "tokens").chmod(0o640)
    result = keys.run("token", "--principal", "dash", "--role", "a", "--into", keys.authorized, code=1)
    says(result, "chmod 600")
    assert result.out == b""
    assert (keys.authorized / "tokens").read_text() == before


def test_tokens_made_at_the_same_time_are_all_kept(keys):
    command = [programs.CLI, "keys", "token", "--principal", "dash", "--role", "a", "--into", keys.authorized]
    running = [subprocess.Popen(command, env=keys.world.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL) for _ in range(8)]
    tokens = [process.communicate()[0].decode().strip() for process in running]
    text = (keys.authorized / "tokens").read_text()
    for token in tokens:
        assert hashlib.sha256(token.encode()).hexdigest() in text


# ---- Other libraries --------------------------------------------------------------------------------


def czmq():
    library = ctypes.CDLL(ctypes.util.find_library("czmq"))
    for name in ("zcert_load", "zcert_new"):
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("zcert_public_txt", "zcert_secret_txt", "zcert_meta"):
        getattr(library, name).restype = ctypes.c_char_p
    return library


def test_pyzmq_reads_ours(keys):
    public = keys.new("ada")["public_key"]
    assert zmq.auth.load_certificate(keys.pairs / "ada.key") == (public.encode(), None)
    read, secret = zmq.auth.load_certificate(keys.pairs / "ada.key_secret")
    assert read == public.encode() and zmq.curve_public(secret) == read
    keys.authorize("ada", "--role", "caller")
    assert zmq.auth.load_certificates(keys.authorized) == {read: True}


def test_ours_reads_pyzmqs(keys):
    keys.pairs.mkdir()
    public, secret = zmq.auth.create_certificates(keys.pairs, "ada", metadata={"email": "a@b", "empty": ""})
    says(keys.run("show", secret, code=1), "chmod 600")  # pyzmq leaves the mode to the umask
    os.chmod(secret, 0o600)
    shown = keys.run("show", secret, "-o", "json").json()
    assert shown["public_key"].encode() == zmq.auth.load_certificate(public)[0]
    assert shown["secret"] is True
    keys.authorize("ada")
    assert [one["public_key"] for one in keys.list()] == [shown["public_key"]]


def test_czmq_reads_ours(keys):
    library = czmq()
    public = keys.new("ada")["public_key"]
    keys.authorize("ada", "--role", "caller", "--role", "ops")
    for path, has_secret in ((keys.pairs / "ada.key", True), (keys.authorized / "ada.key", False)):
        certificate = ctypes.c_void_p(library.zcert_load(str(path).encode()))
        assert certificate
        assert library.zcert_public_txt(certificate) == public.encode()
        assert (library.zcert_secret_txt(certificate) != b"0" * 40) is has_secret
    assert library.zcert_meta(certificate, b"principal") == b"ada"
    assert library.zcert_meta(certificate, b"role") == b"caller,ops"


def test_ours_reads_czmqs(keys):
    library = czmq()
    keys.pairs.mkdir()
    certificate = ctypes.c_void_p(library.zcert_new())
    library.zcert_set_meta(certificate, b"odd", b'x # "y"')
    assert library.zcert_save(certificate, str(keys.pairs / "ada.key").encode()) == 0
    public = library.zcert_public_txt(certificate).decode()
    assert keys.run("show", keys.pairs / "ada.key_secret", "-o", "json").json()["public_key"] == public
    keys.authorize("ada")
    assert [one["public_key"] for one in keys.list()] == [public]
