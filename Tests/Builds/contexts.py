"""What a case is: a Dockerfile, a context as a table, and who is asked."""

import os
from dataclasses import dataclass, field
from pathlib import Path

# In whole seconds: the peers cut what is finer from a context's times.
OLD_SECONDS = 1_500_000_000
CLASSIC, BUILDKIT, BUILDAH = "docker", "BuildKit", "buildah"
PEERS = (CLASSIC, BUILDKIT, BUILDAH)


@dataclass
class File:
    content: bytes | str = b""
    mode: int = 0o644
    owner: tuple = (0, 0)
    attributes: dict = field(default_factory=dict)
    # A hole follows the content up to here.
    size: int = 0

    def make(self, path):
        content = self.content.encode() if isinstance(self.content, str) else self.content
        path.write_bytes(content)
        if self.size:
            os.truncate(path, self.size)
        os.chown(path, *self.owner)
        path.chmod(self.mode)
        for name, value in self.attributes.items():
            os.setxattr(path, name, value)


@dataclass
class Folder:
    mode: int = 0o755
    owner: tuple = (0, 0)
    attributes: dict = field(default_factory=dict)

    def make(self, path):
        path.mkdir(exist_ok=True)
        os.chown(path, *self.owner)
        path.chmod(self.mode)
        for name, value in self.attributes.items():
            os.setxattr(path, name, value)


@dataclass
class Link:
    target: str

    def make(self, path):
        os.symlink(self.target, path)


@dataclass
class Same:
    """One more name of a file of the context."""
    name: str

    def make(self, path):
        os.link(path.parent / self.name, path)


@dataclass
class Pipe:
    def make(self, path):
        os.mkfifo(path)


@dataclass
class Case:
    name: str
    dockerfile: str
    # Path to what is there; text is a file.
    context: dict = field(default_factory=dict)
    # Who can build it.
    peers: tuple = PEERS
    # Options that every builder has.
    options: tuple = ()
    # The same said in words that the peers of 2022 know.
    equivalent: str = ""
    # Built before, as the image `parent:1`.
    parent: str = ""
    # Every builder must refuse it.
    fails: bool = False
    # Peer to the reason why its result is another.
    odd: dict = field(default_factory=dict)
    # Why no peer can agree; empty where one must.
    alone: str = ""
    # Whether times are compared at all.
    timed: bool = True
    # Differences of the image's configuration alone, peer to fields.
    odd_fields: dict = field(default_factory=dict)


def write_context(folder, table):
    """Fills `folder`. Parents that are not named are folders of 0755."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folders = {}
    for name, what in table.items():
        path = folder / name
        for parent in reversed(path.relative_to(folder).parents[:-1]):
            if not os.path.lexists(folder / parent):
                Folder().make(folder / parent)
        what = File(what) if isinstance(what, (str, bytes)) else what
        if isinstance(what, Folder):
            path.mkdir(exist_ok=True)
            folders[path] = what
        else:
            what.make(path)
    for path in sorted(folders, reverse=True):
        folders[path].make(path)
    for parent, names, files in os.walk(folder, topdown=False):
        for name in [*names, *files, ""]:
            os.utime(os.path.join(parent, name) if name else parent, (OLD_SECONDS, OLD_SECONDS), follow_symlinks=False)
