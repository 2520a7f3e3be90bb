#!/usr/bin/env python3
"""Writes what Docker Compose says about the stacks of this folder, so that the tests can compare without it.

    refresh_expected.py ORACLE [--cases FOLDER] [--flags] [NAME...]

ORACLE          path of a `docker-compose` (2.40.3 wrote the present files)
--cases FOLDER  refresh Expected/compose-cases.jsonl from this corpus (a folder with index.tsv) instead of Stacks/
--flags         with --cases: also the runs with a row's flags where the result differs from the plain run
NAME...         only stacks whose folder's name starts so

For each folder of Stacks/, `docker-compose ARGS config --format json` is run inside the folder, with an environment of
HOME=/home/me and PATH only. A folder's `case.json` may hold
    {"files": ["a.yaml"], "args": ["--profile", "x"], "config": ["--no-normalize"], "env": {"A": "1"}}
for -f options, other global options, options of `config`, and more environment. The answer goes to `expected.json`, and
that of the same command with `--format yaml` to `expected.yaml`, with the folder's absolute path replaced by @ROOT@, its
parent's by @PARENT@, and that one's parent's by @GRANDPARENT@. A stack the oracle refuses is an error of this script:
negative cases are not kept here. Each stack is run twice, and an answer that changes between the runs is an error too.
Without NAME, the stacks without options of `config` are also run with each of FLAG_SETS, and what is not refused goes to
Expected/stacks-with-flags.jsonl, one line for each run.

A case of the corpus is one line of Expected/compose-cases.jsonl for each run: its path, the run's kind (`plain`, or
`flags`), the command line, the environment, and the answer. Rows that the oracle refuses are left out.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEMORY_BYTES_MAX = 4_000_000_000
SECONDS_MAX = 20
# This one takes all memory of a machine before it is refused.
NEVER_RUN = "TestAliasBombPrevented"
ROW_FLAGS = {
    "no-consistency": "--no-consistency",
    "no-normalize": "--no-normalize",
    "no-interpolate": "--no-interpolate",
    "no-path-resolution": "--no-path-resolution",
}

FLAG_SETS = [["--no-interpolate"], ["--no-normalize", "--no-path-resolution"]]


def run(oracle, args, config_args, folder, environment, form="json"):
    """The text of `config`, or None and the message when the oracle refuses."""
    command = ["timeout", str(SECONDS_MAX), "prlimit", f"--as={MEMORY_BYTES_MAX}", oracle]
    command += args + ["config", "--format", form] + config_args
    base = {"HOME": "/home/me", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=folder, env=base | environment, capture_output=True, text=True)
    if done.returncode != 0:
        return None, done.stderr.strip().splitlines()[-1:]
    return done.stdout, None


def case_of(folder):
    """The settings of a stack, and the global options that they make."""
    path = folder / "case.json"
    case = json.loads(path.read_text()) if path.exists() else {}
    return case, [word for file in case.get("files", []) for word in ("-f", file)] + case.get("args", [])


def with_placeholders(text, folder):
    for name, path in (("@ROOT@", folder), ("@PARENT@", folder.parent), ("@GRANDPARENT@", folder.parent.parent)):
        text = text.replace(str(path), name)
    return text


def refresh_stack(oracle, folder):
    case, args = case_of(folder)
    texts = {}
    for form in ("json", "yaml"):
        answers = [run(oracle, args, case.get("config", []), folder, case.get("env", {}), form) for _ in range(2)]
        if answers[0][0] is None:
            return f"{folder.name}: refused: {answers[0][1]}"
        if answers[0] != answers[1]:
            return f"{folder.name}: two runs differ"
        texts[form] = with_placeholders(answers[0][0], folder)
    document = json.loads(texts["json"])
    text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    (folder / "expected.json").write_text(text)
    (folder / "expected.yaml").write_text(texts["yaml"])
    return None


def refresh_flags(oracle, folders):
    lines = []
    for folder in folders:
        case, args = case_of(folder)
        for flags in FLAG_SETS if "config" not in case else []:
            text = run(oracle, args, flags, folder, case.get("env", {}))[0]
            if text is None or text != run(oracle, args, flags, folder, case.get("env", {}))[0]:
                print(f"left out: {folder.name} {' '.join(flags)}")
                continue
            line = {"stack": folder.name, "config": flags, "json": json.loads(with_placeholders(text, folder))}
            lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    (HERE / "Expected" / "stacks-with-flags.jsonl").write_text("\n".join(lines) + "\n")


def rows(corpus):
    lines = (corpus / "index.tsv").read_text().splitlines()
    header = lines[0].split("\t")
    for line in lines[1:]:
        row = dict(zip(header, line.split("\t")))
        if NEVER_RUN not in row["path"]:
            yield row


def row_runs(row, corpus):
    """The kinds of runs of a row with their global and `config` arguments."""
    flags = [flag for flag in row["flags"].split(",") if flag]
    values = dict(flag.split("=", 1) for flag in flags if "=" in flag)
    args = [word for file in row["files"].split(";") for word in ("-f", f"{corpus}/{file}")]
    args += ["--project-directory", f"{corpus}/{row['project_dir']}", "-p", values.get("project", "demo")]
    if "profile" in values:
        args += ["--profile", values["profile"]]
    services = [values["service"]] if "service" in values else []
    yield "plain", args, services
    switches = [ROW_FLAGS[flag] for flag in flags if flag in ROW_FLAGS]
    if switches:
        yield "flags", args, switches + services


def refresh_cases(oracle, corpus, with_flags):
    lines = []
    for row in rows(corpus):
        environment = json.loads(row["env"]) if row["env"] else {}
        plain = None
        for kind, args, config_args in row_runs(row, corpus):
            if kind == "flags" and not with_flags:
                continue
            folder = corpus / row["project_dir"]
            text, refusal = run(oracle, args, config_args, folder, environment)
            if text is None:
                print(f"refused\t{kind}\t{row['expected']}\t{row['path']}\t{refusal}")
                continue
            if kind == "flags" and text == plain:
                continue
            if text != run(oracle, args, config_args, folder, environment)[0]:
                print(f"unsteady\t{kind}\t{row['path']}")
                continue
            plain = text
            line = {
                "path": row["path"],
                "run": kind,
                "args": [word.replace(str(corpus), "@ROOT@") for word in args + config_args],
                "env": environment,
                "json": json.loads(text.replace(str(corpus), "@ROOT@")),
            }
            lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    (HERE / "Expected" / "compose-cases.jsonl").write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} runs")


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.exit(__doc__)
    oracle, rest = arguments[0], arguments[1:]
    if "--cases" in rest:
        position = rest.index("--cases")
        return refresh_cases(oracle, Path(rest[position + 1]).resolve(), "--flags" in rest)
    folders = sorted(path for path in (HERE / "Stacks").iterdir() if path.is_dir())
    failures = []
    for folder in folders:
        if not rest or any(folder.name.startswith(name) for name in rest):
            failures.append(refresh_stack(oracle, folder))
    if not rest:
        refresh_flags(oracle, folders)
    failures = [failure for failure in failures if failure]
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
