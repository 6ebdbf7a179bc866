# SPDX-License-Identifier: MPL-2.0
"""`riposte talk` with a terminal as its standard input, as if it were typed by hand."""

import os

from support.terminal import open_terminal
from support.waiting import until


class Talk:
    def __init__(self, world, broker, service="site"):
        self._prompt = f"{service}> "
        self._answers = 0
        self._terminal, other = open_terminal()
        self._process = world.start("talk", *world.cli_command(broker, "talk", service),
                                    stdin=other)
        os.close(other)
        self._wait_for_prompts(1)

    def _wait_for_prompts(self, count):
        until(lambda: self._process.log().count(self._prompt) >= count, 10,
              "the prompt comes back", self._process)

    def type(self, text):
        """Types one request."""
        os.write(self._terminal, text + b"\n")

    def wait(self):
        """Returns the output for the latest request, once it is complete."""
        self._answers += 1
        self._wait_for_prompts(self._answers + 1)
        return self._process.log().split(self._prompt)[self._answers]

    def say(self, text):
        self.type(text)
        return self.wait()

    def end(self):
        """Types Ctrl-D; returns the program's exit code."""
        os.write(self._terminal, b"\x04")
        code = self._process.wait(5)
        os.close(self._terminal)
        return code

    def kill(self):
        self._process.kill()
        os.close(self._terminal)
