#!/usr/bin/env python3
"""Writes the help of every command of a built gantry into HelpSnapshots*.swift; look at the difference before you keep it.

    Tests/CommandTests/refresh_help.py .build/debug/gantry
"""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# Of the program only; shown for commands that take everything after them, too.
VERSION = "  --version               Show the version.\n"
ENDING = "      -h, --help              Show help information.\n"
# Sections of the program's help, by file.
FILES = {
    "HelpSnapshots.swift": ("stackHelp", ["STACK"]),
    "HelpSnapshots+Updates.swift": ("updatesHelp", ["UPDATES"]),
    "HelpSnapshots+Jobs.swift": ("jobsHelp", ["JOBS"]),
    "HelpSnapshots+Containers.swift": ("containersHelp", ["CONTAINERS"]),
    "HelpSnapshots+Networks.swift": ("networksHelp", ["NETWORKS", "VOLUMES"]),
    "HelpSnapshots+Images.swift": ("imagesHelp", ["IMAGES"]),
    "HelpSnapshots+Engine.swift": ("engineHelp", ["ENGINE"]),
}


def help_of(program, *command):
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    text = subprocess.run(
        [program, *command, "--help"], capture_output=True, text=True, check=True, env=environment).stdout
    return text.replace(VERSION, "") if command else text


def subcommands(text):
    """Names by section; the heading of a lone section is empty."""
    sections, names = {}, None
    for line in text.splitlines():
        heading = re.fullmatch(r"(?:(.+) )?SUBCOMMANDS:", line)
        if heading:
            names = sections.setdefault(heading[1] or "", [])
        elif names is not None and (match := re.match(r"  ([a-z][\w-]*)[ ,]", line)):
            names.append(match[1])
    return sections


def literal(text):
    body = "".join(f"    {line}\n" if line else "\n" for line in text.replace("\\", "\\\\").splitlines())
    return f'"""\n{body}\n    """' if body else '""'


def main():
    program = sys.argv[1]
    root = help_of(program)
    sections = subcommands(root)
    top = {name: help_of(program, name) for names in sections.values() for name in names if name != "engine"}
    for file, (variable, headings) in FILES.items():
        snapshots = {"": root} if "STACK" in headings else {}
        for name in (name for heading in headings for name in sections.get(heading, []) if name in top):
            snapshots[name] = top[name]
            for inner in (inner for names in subcommands(top[name]).values() for inner in names):
                text = help_of(program, name, inner)
                # A short form has the same help, once.
                if text != top.get(inner):
                    snapshots[f"{name} {inner}"] = text
        with open(os.path.join(HERE, file), "w") as output:
            if "STACK" in headings:
                output.write(
                    "/// Help of every command at 80 columns, by name; \"\" is the program's own. Written by refresh_help.py.\n"
                    "let helpSnapshots = stackHelp.merging(containersHelp) { $1 }.merging(networksHelp) { $1 }\n"
                    "    .merging(imagesHelp) { $1 }.merging(engineHelp) { $1 }.merging(jobsHelp) { $1 }.merging(updatesHelp) { $1 }\n\n"
                    "/// What the help of a command without subcommands ends with; left out below.\n"
                    f"let helpEnding = {literal(ENDING[4:])}\n\n".replace("    " + ENDING[4:], ENDING))
            output.write(f"let {variable}: [String: String] = [\n")
            for name, text in snapshots.items():
                short = text.rstrip("\n") + "\n"
                short = short.removesuffix(ENDING[4:])
                output.write(f'    "{name}": {literal(short)},\n')
            output.write("]\n")


main()
