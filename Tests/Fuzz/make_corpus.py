#!/usr/bin/env python3
"""Writes the stack files of the tests as inputs for the fuzzer: make_corpus.py FOLDER SOURCE...

An input is compose.yaml, one other file and .env with bytes 0xFF between them (see StackFileFuzz.swift).
"""
import hashlib
import pathlib
import sys

BYTES_MAX = 16 * 1024


def main():
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for source in sys.argv[2:]:
        for folder in sorted({path.parent for path in pathlib.Path(source).rglob("*.y*ml")}):
            texts = sorted(folder.glob("*.y*ml"), key=lambda path: ("override" in path.name, path.name))
            dotenv = folder / ".env"
            parts = [path.read_bytes() for path in texts[:2]] + [b""] * (2 - len(texts[:2]))
            parts.append(dotenv.read_bytes() if dotenv.exists() else b"")
            data = b"\xff".join(part.replace(b"\xff", b"") for part in parts)
            if len(data) <= BYTES_MAX:
                (target / hashlib.sha1(data).hexdigest()).write_bytes(data)


main()
