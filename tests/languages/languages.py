# SPDX-License-Identifier: MPL-2.0
"""The drivers of the language matrix, and what the tests say to them. README.md has their interface."""

import base64
import json
import pathlib
import subprocess
import sys
import threading
import time

from support.programs import BUILD, PATIENCE
from support.waiting import until

HERE = pathlib.Path(__file__).resolve().parent

#: Name of a language: the command of its driver. The last word of each is a file, which may be missing.
DRIVERS = {
    "c": [BUILD / "tests" / "languages_driver"],
    "python": [sys.executable, HERE / "driver.py", "sync"],
    "asyncio": [sys.executable, HERE / "driver.py", "asyncio"],
    "go": [BUILD / "tests" / "languages_driver_go"],
}
LANGUAGES = list(DRIVERS)


def is_built(language):
    return all(pathlib.Path(word).exists() for word in DRIVERS[language] if isinstance(word, pathlib.Path))


class Client:
    """A client by its driver. `ask` and `call` return the number of a command, `answer` waits for what it drew."""

    def __init__(self, world, language, servers, environment=None, ready=True):
        before = dict(world.environment)
        world.environment.update(environment or {})
        try:
            self.process = world.start(f"client-{language}", *DRIVERS[language], "client", servers,
                                       stdin=subprocess.PIPE, piped=True)
        finally:
            world.environment.clear()
            world.environment.update(before)
        self.process.handles_sigterm = False
        self._count = 0
        self._answers = {}
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if ready:
            self.answer("ready", within=20)

    def _read(self):
        for line in self.process.popen.stdout:
            answer = json.loads(line)
            with self._changed:
                number = answer.get("n", "ready")
                # A second answer to one command is a fault, and is kept as one.
                self._answers[number] = dict(answer, twice=True) if number in self._answers else answer
                self._changed.notify_all()

    def ask(self, do, **members):
        self._count += 1
        if isinstance(members.get("body"), str):
            members["body"] = members["body"].encode()
        if "more" in members:
            members["more"] = [base64.b64encode(part).decode() for part in members["more"]]
        if "body" in members:
            members["body"] = base64.b64encode(members["body"]).decode()
        self.process.popen.stdin.write(json.dumps({"n": self._count, "do": do, **members}).encode() + b"\n")
        self.process.popen.stdin.flush()
        return self._count

    def submit(self, service, body=b"", **members):
        return self.ask("call", service=service, body=body, **members)

    def answer(self, number, within=15):
        end = time.monotonic() + within * PATIENCE
        with self._changed:
            while number not in self._answers:
                left = end - time.monotonic()
                assert left > 0, f"{self.process.name} has not answered {number} within {within} s"
                assert self._reader.is_alive(), f"{self.process.name} ended without an answer to {number}"
                self._changed.wait(min(left, 0.2))
            answer = self._answers[number]
        assert "twice" not in answer, f"two answers to one command: {answer}"
        answer["body"] = base64.b64decode(answer.get("body", ""))
        self._answers[number] = {**answer, "body": base64.b64encode(answer["body"]).decode()}
        return answer

    def answered(self):
        """The numbers of the commands that were answered, in this order."""
        with self._changed:
            return list(self._answers)

    def do(self, do, within=15, **members):
        return self.answer(self.ask(do, **members), within)

    def call(self, service, body=b"", **members):
        return self.answer(self.submit(service, body, **members))

    def close(self):
        answer = self.do("close")
        assert answer["status"] == "OK"
        assert self.process.wait(10) == 0


class Worker:
    """A worker by its driver."""

    def __init__(self, world, language, broker, service, handler, slots=1, servers=None, ready=True):
        self.process = world.start(f"worker-{language}", *DRIVERS[language], "worker", servers or broker.endpoint,
                                   service, handler, slots)
        self.service = service
        if ready:
            world.wait_for_worker(broker, self.process, service, within=20)

    def events(self, kind):
        return [event for line in self.process.log().splitlines() if line.startswith("{")
                and (event := json.loads(line))["event"] == kind]

    def starts(self):
        return self.events("start")

    def wait_for_start(self, count=1):
        until(lambda: len(self.starts()) >= count, 10, f"{self.process.name} has begun {count} requests", self.process)
