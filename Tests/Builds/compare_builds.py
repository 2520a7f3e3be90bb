#!/usr/bin/env python3
"""Builds the same Dockerfiles with Gantry, both builders of Docker and buildah, and compares trees and configurations.

    compare_builds.py [--gantry PROGRAM] [--only WORD] [--sides gantry,docker,BuildKit,buildah] [--keep-going]

`docker` is dockerd's classic builder, `BuildKit` the one that is built into it. One line per case; 1 when Gantry's
result is another than that of a peer who is not named in the case as odd, or when nobody agrees. Without Gantry the
peers are compared with each other. The rules of comparison are in rules.py and docs/build-compatibility.md. Runs in a
private copy of the host (Tests/EndToEnd/private_host.sh) on a tmpfs of its own, and leaves nothing. Needs root.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
import base  # noqa: E402
import servers  # noqa: E402
from contexts import BUILDAH, BUILDKIT, OLD_SECONDS, PEERS, write_context  # noqa: E402
from rules import config_differences, tree_differences  # noqa: E402
from sides import IMAGE, Failed, bench, run, start_sides  # noqa: E402

import cases_add  # noqa: E402
import cases_config  # noqa: E402
import cases_copy  # noqa: E402
import cases_ignore  # noqa: E402
import cases_run  # noqa: E402
import cases_stages  # noqa: E402

CASES = [case for module in (cases_copy, cases_ignore, cases_add, cases_config, cases_stages, cases_run)
         for case in module.CASES]
LINES_MAX = 12
SIDES = ("gantry", *PEERS)


def build_one(side, case, folder):
    """((tree, configuration), when it began) or the words of the refusal."""
    # BuildKit remembers a context by its folder's name.
    context = folder / "contexts" / f"{side.name}-{CASES.index(case)}"
    write_context(context, case.context)
    text = case.equivalent if case.equivalent and side.name != "gantry" else case.dockerfile
    name = "Dockerfile"
    if name not in case.context:
        (context / name).write_text(text.replace("$SERVER", servers.address()))
        os.utime(context / name, (OLD_SECONDS, OLD_SECONDS))
        os.utime(context, (OLD_SECONDS, OLD_SECONDS))
    # Some cut what is finer than a second.
    began = int(time.time()) * 10**9
    if case.parent:
        parent = context.with_name(f"{context.name}-parent")
        write_context(parent, {"Dockerfile": case.parent})
        side.build(parent, parent / "Dockerfile", (), image="parent:1")
    side.build(context, context / name, case.options)
    tree, config = side.take()
    return tree, config, began


def results_of(case, sides, folder):
    found = {}
    for name, side in sides.items():
        if name != "gantry" and name not in case.peers:
            continue
        try:
            found[name] = build_one(side, case, folder)
        except Failed as error:
            found[name] = str(error)
    return found


def judge(case, found):
    """(verdicts, details, how many are wrong); the first side is what the others are compared with."""
    first = "gantry" if "gantry" in found else next((name for name in reversed(PEERS) if name in found and
                                                     name not in case.odd), None)
    first = BUILDKIT if first != "gantry" and BUILDKIT in found and BUILDKIT not in case.odd else first
    verdicts, details, wrong, agreed = [], [], 0, 0
    for name, result in found.items():
        refused = isinstance(result, str)
        if name == first or case.fails:
            if name in case.odd and not refused:
                verdicts.append(f"{name} odd")
            elif refused != case.fails:
                wrong += 1
                verdicts.append(f"{name} {'FAILS' if refused else 'BUILDS IT'}")
                details += [f"    {name}: {line}" for line in str(result).splitlines()[-LINES_MAX:]] if refused else []
            elif case.fails:
                agreed += 1
            continue
        if isinstance(found[first], str):
            continue
        if refused:
            lines = [f"fails: {line}" for line in result.splitlines()[-4:]]
        else:
            began = min(result[2], found[first][2]) if case.timed else 0
            lines = tree_differences(found[first][0], result[0], began, folders=BUILDKIT not in (name, first))
            lines += config_differences(
                found[first][1], result[1], case.odd_fields.get(name, ()), ordered=BUILDAH not in (name, first))
        if name in case.odd:
            verdicts.append(f"{name} odd" if lines else f"{name} NO LONGER ODD")
            wrong += not lines
            continue
        agreed += not lines
        wrong += bool(lines)
        if lines:
            verdicts.append(f"{name} {len(lines)} DIFFER")
            details += [f"    {name}: {line}" for line in lines[:LINES_MAX]]
        else:
            verdicts.append(f"{name} the same")
    if first == "gantry" and not agreed and not wrong and not case.alone:
        wrong += 1
        verdicts.append("NOBODY AGREES")
    return verdicts, details, wrong


def print_table():
    """Markdown for docs/build-compatibility.md: peer and reason, with how many cases it is the reason in."""
    reasons = {}
    for case in CASES:
        for peer, reason in case.odd.items():
            reasons.setdefault((peer, reason), []).append(case.name)
    print("| Builder | What it does otherwise | Cases |\n| --- | --- | --- |")
    for (peer, reason), names in sorted(reasons.items()):
        print(f"| {peer} | {reason} | {', '.join(names)} |")


def inside(options):
    folder = Path(options.inside)
    run("mount", "-t", "tmpfs", "-o", "size=8g", "builds", folder)
    sides, engines = start_sides(folder, options.sides.split(","), options.gantry)
    server = servers.start(folder / "served")
    cases = [case for case in CASES if options.only in case.name]
    failed = 0
    try:
        base.write_archive(folder / "base.tar")
        for engine in engines:
            engine.load(folder / "base.tar")
        for case in cases:
            verdicts, details, wrong = judge(case, results_of(case, sides, folder))
            failed += wrong > 0
            print(f"{case.name:44} {'refused by all' if case.fails and not wrong else ', '.join(verdicts)}")
            if details:
                print("\n".join(details))
            sys.stdout.flush()
    finally:
        server.stop()
        for engine in engines:
            engine.stop()
    print(f"{len(cases)} cases, {failed} differ or failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gantry", default=str(bench.DEFAULT_GANTRY))
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--table", action="store_true", help="print what the cases say of the peers, and build nothing")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.table:
        return print_table()
    if options.inside:
        return inside(options)
    with tempfile.TemporaryDirectory(prefix="gantry-builds-") as folder:
        return subprocess.run([
            str(bench.PRIVATE_HOST), sys.executable, __file__, "--inside", folder, "--gantry",
            os.path.abspath(options.gantry), "--only", options.only, "--sides", options.sides]).returncode


if __name__ == "__main__":
    sys.exit(main())
