# SPDX-License-Identifier: MPL-2.0
"""Keys, rules and a broker that uses them, made with riposte's own commands."""

#: Files that a command has made once, by their names. The same again is written without a process, of which most tests
#: with keys would have half a dozen.
_pairs = {}
_authorized = {}


class Keys:
    """A directory with keys and the broker's key, a directory of authorized keys, and a rules
    file."""

    def __init__(self, world, name="keys"):
        self.world = world
        self.directory = world.directory / name
        self.authorized = self.directory / "authorized"
        self.rules_file = self.directory / "rules"
        self.new("broker")
        self.authorized.mkdir(mode=0o700, exist_ok=True)
        self.rules("")

    def _run(self, *arguments):
        result = self.world.run(self.world.cli_command(None)[0], *arguments)
        assert result.code == 0, result
        return result

    def rules(self, text):
        self.rules_file.write_text(text)

    def new(self, name):
        """Makes a key that is not authorized."""
        public, secret = self.directory / f"{name}.key", self.secret(name)
        if name in _pairs:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            secret.touch(mode=0o600)
            public.write_bytes(_pairs[name][0])
            secret.write_bytes(_pairs[name][1])
        else:
            self._run("keys", "new", name, "--dir", self.directory)
            _pairs[name] = public.read_bytes(), secret.read_bytes()
        return secret

    def secret(self, name):
        return self.directory / f"{name}.key_secret"

    def authorize(self, name, *options, principal=None):
        """Makes a key and authorizes it, by default for a principal of the same name."""
        if not self.secret(name).exists():
            self.new(name)
        principal = principal or name
        file = self.authorized / f"{name}.key"
        if (name, principal, *options) in _authorized and not file.exists():
            file.write_bytes(_authorized[name, principal, *options])
        else:
            self._run("keys", "authorize", self.directory / f"{name}.key", "--principal", principal,
                      "--into", self.authorized, *options)
            _authorized[name, principal, *options] = file.read_bytes()

    def revoke(self, name):
        self._run("keys", "revoke", name, "--from", self.authorized)

    @property
    def server_key(self):
        return self.directory / "broker.key"

    def of(self, name):
        """Options with which a client or a worker uses that key."""
        return ("--key-file", self.secret(name), "--server-key", self.server_key)

    def environment(self, name):
        return {"RIPOSTE_KEY_FILE": str(self.secret(name)), "RIPOSTE_SERVER_KEY": str(self.server_key)}

    def curve(self, name):
        """Keys for a peer that uses libzmq itself: its public and secret key, and the broker's
        public one."""
        import zmq.auth  # needs python3-zmq, which script/demo goes without
        server, _ = zmq.auth.load_certificate(str(self.server_key))
        return (*zmq.auth.load_certificate(str(self.secret(name))), server)

    @property
    def of_broker(self):
        return ("--key-file", self.secret("broker"), "--authorized", self.authorized,
                "--rules", self.rules_file)
