#!/usr/bin/env python3
"""Writes a man page for each of gantry's commands, from what the program says about itself.

    make_man_pages.py GANTRY FOLDER
"""

import json
import os
import subprocess
import sys


def roff(text):
    """Text as troff(1) shows it: no dash becomes another sign, no line a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def names(argument):
    return [("-" if name["kind"] in ("short", "longWithSingleDash") else "--") + name["name"]
            for name in argument.get("names", [])]


def shown(command):
    return [argument for argument in command.get("arguments", []) if argument.get("shouldDisplay", True)]


def term(argument):
    value = argument.get("valueName", "value")
    if argument["kind"] == "positional":
        return f"\\fI{roff(value)}\\fR" + (" ..." if argument.get("isRepeating") else "")
    text = ", ".join(f"\\fB{roff(name)}\\fR" for name in names(argument))
    return text + (f" \\fI{roff(value)}\\fR" if argument["kind"] == "option" else "")


def entry(argument):
    text = " ".join(part for part in (argument.get("abstract"), argument.get("discussion")) if part)
    default = argument.get("defaultValue")
    if default and default not in text:
        text += f" (default: {default})"
    return [".TP", term(argument), roff(text)]


def synopsis(words, command):
    parts = [f".B {roff(' '.join(words))}"]
    if any(argument["kind"] != "positional" for argument in shown(command)):
        parts.append("[\\fIoptions\\fR]")
    for argument in shown(command):
        if argument["kind"] == "positional":
            name = f"\\fI{roff(argument.get('valueName', 'value'))}\\fR"
            name += "..." if argument.get("isRepeating") else ""
            parts.append(f"[{name}]" if argument.get("isOptional") else name)
    if subcommands(command):
        parts.append("\\fIcommand\\fR ...")
    return parts


def subcommands(command):
    return [one for one in command.get("subcommands", [])
            if one.get("shouldDisplay", True) and one["commandName"] != "help"]


def described(text):
    """The discussion; what is set off in it is an example and keeps its lines."""
    lines = []
    inside = False
    for line in text.split("\n"):
        indented = line.startswith("  ")
        if indented != inside and line:
            lines.append(".RS 4\n.nf" if indented else ".fi\n.RE")
            inside = indented
        lines.append(roff(line.strip() if not inside else line[2:]) if line else ".PP" if not inside else "")
    return lines + ([".fi\n.RE"] if inside else [])


def page(words, command, version):
    title = "-".join(words)
    lines = [f'.TH "{title.upper()}" 1 "" "Gantry {version}" "Gantry"', ".SH NAME",
             f"{roff(title)} \\- {roff(command.get('abstract', '').rstrip('.'))}", ".SH SYNOPSIS",
             *synopsis(words, command)]
    if command.get("discussion"):
        lines += [".SH DESCRIPTION", *described(command["discussion"])]
    positional = [argument for argument in shown(command) if argument["kind"] == "positional"]
    options = [argument for argument in shown(command) if argument["kind"] != "positional"]
    for heading, arguments in (("ARGUMENTS", positional), ("OPTIONS", options)):
        if arguments:
            lines += [f".SH {heading}"] + [line for argument in arguments for line in entry(argument)]
    if subcommands(command):
        lines.append(".SH COMMANDS")
        for one in subcommands(command):
            lines += [".TP", f"\\fB{roff(title)}\\-{roff(one['commandName'])}\\fR(1)", roff(one.get("abstract", ""))]
    parent = "-".join(words[:-1])
    if parent:
        lines += [".SH SEE ALSO", f"\\fB{roff(parent)}\\fR(1)"]
    return "\n".join(lines) + "\n"


def write(folder, words, command, version):
    with open(os.path.join(folder, "-".join(words) + ".1"), "w") as file:
        file.write(page(words, command, version))
    for one in subcommands(command):
        write(folder, words + [one["commandName"]], one, version)


def main():
    gantry, folder = sys.argv[1:]
    said = subprocess.run([gantry, "--experimental-dump-help"], check=True, capture_output=True, text=True).stdout
    version = subprocess.run([gantry, "--version"], check=True, capture_output=True, text=True).stdout.split()[-1]
    os.makedirs(folder, exist_ok=True)
    write(folder, ["gantry"], json.loads(said)["command"], version)


main()
