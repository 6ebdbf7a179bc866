# SPDX-License-Identifier: MPL-2.0
"""Makes whole programs of the snippets in the documents, and compiles them against the installed tree."""

import os
import re
import subprocess
import textwrap


def c_program(text, path, prefix, after=""):
    """Compiles statements of C, with their functions and #include lines, as the README says: by pkg-config."""
    includes = re.findall(r"^#include .*\n", text, re.M)
    text = re.sub(r"^#include .*\n", "", text, flags=re.M)
    functions = re.findall(r"^static .*?^}\n", text, re.S | re.M)
    for function in functions:
        text = text.replace(function, "")
    declared = "" if "rp_reply_t *reply" in text else "rp_reply_t *reply = NULL;\n"
    statements = textwrap.indent(f"{declared}{text}{after}", "    ")
    source = path.with_suffix(".c")
    source.write_text(
        "#include <stdint.h>\n#include <stdio.h>\n" + "".join(includes)
        + "#include <riposte/client.h>\n#include <riposte/worker.h>\n" + "".join(functions)
        + f"int main (void)\n{{\n{statements}\n    return 0;\n}}\n", encoding="utf-8")
    folders = [str(found.parent) for found in prefix.rglob("riposte.pc")]
    assert len(folders) == 1
    environment = {**os.environ, "PKG_CONFIG_PATH": folders[0]}
    flags = subprocess.run(["pkg-config", f"--define-variable=prefix={prefix}", "--cflags", "--libs", "riposte"],
                           env=environment, check=True, capture_output=True, text=True).stdout.split()
    done = subprocess.run(["cc", "-std=gnu17", "-Wall", "-Wextra", "-Wno-unused", source, "-o", path, "-Werror",
                           *flags], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{source.read_text()}\n{done.stderr}"
    return path
