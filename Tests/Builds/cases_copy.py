"""COPY from the context: what is chosen, where it goes, whose it is."""

from contexts import BUILDAH, BUILDKIT, CLASSIC, Case, File, Folder, Link, Same

WEB = {
    "index.html": "<p>", "app.js": "1", "app.css": "2", "a b.txt": "space", "[x].txt": "brackets",
    "static/one": "1", "static/deep/two": "2", "static/deep/three": "3", "other/one": "other one", "other/four": "4",
    "empty": Folder(), "run.sh": File("#!/bin/sh\n", 0o755)}

CLEARED = dict.fromkeys((CLASSIC, BUILDAH), "clears the setuid and setgid bits of what is copied from the context")
NO_MATCH = "a wildcard without a match is an error"
ON_THE_WAY = "folders that are made for a target are 0755; BuildKit of today gives them an octal --chmod"


def copy(name, *lines, context=None, **more):
    return Case(f"copy {name}", "\n".join(("FROM base:1", *lines, "")), WEB if context is None else context, **more)


MODES = {
    "none": File("x", 0o000), "read": File("x", 0o444), "set-user": File("x", 0o4755), "set-group": File("x", 0o2755),
    "sticky": File("x", 0o1644), "folder": Folder(0o700), "shared": Folder(0o1777), "group": Folder(0o2775),
    "owned": File("x", 0o640, owner=(1234, 5678)), "owned-folder": Folder(0o750, owner=(1234, 5678)),
    "folder/in": File("x", 0o600)}
LINKS = {
    "real/file": "of the context", "real/deep/other": "other", "to-file": Link("real/file"), "to-folder": Link("real"),
    "real/up": Link("../real/file"), "real/absolute": Link("/etc/passwd"), "real/dangling": Link("nowhere"),
    "real/self": Link("."), "hard": "two names", "hard-too": Same("hard"), "in/one": "in", "in/two": Same("one")}
NAMES = {
    "long/" + "n" * 255: "long", "deep/" + "/".join(["d" * 60] * 12) + "/end": "deep", "\u00e4\u20ac\U0001f980": "unicode",
    "quote'and\"more": "q", "back\\slash": "b", "-dash": "d", "tab\tname": "t", "dots...": "d", "$dollar": "d",
    "#hash": "h", "new\nline": "n"}

CASES = [
    copy("file to name", "COPY index.html /new/name.html"),
    copy("file into new folder", "COPY index.html /new/deeper/"),
    copy("file into folder that is there", "COPY index.html /base/folder", "COPY app.js /base/folder/"),
    copy("file over file", "COPY run.sh /base/other", "COPY app.js /base/set-user"),
    copy("folder to new name", "COPY static /srv/www"),
    copy("folder into folder that is there", "COPY static /base/folder"),
    copy("folder with slashes", "COPY static/ /one/", "COPY static/. /two", "COPY ./static/./deep /three/"),
    copy("folder twice into one", "COPY static /srv", "COPY other /srv"),
    copy("everything to the root", "COPY . /"),
    copy("everything to a folder", "COPY . /app/"),
    copy("empty folder and file", "COPY empty /here", "COPY none /there/", context={"empty": Folder(0o711), "none": ""}),
    copy("many sources", "COPY index.html app.js static /many/"),
    copy("wildcards", "COPY *.html app.* /one/", "COPY ?pp.js /two/", "COPY [a-b]pp.css /three/"),
    copy("wildcard of folders", "COPY s* o* /flat/"),
    copy("wildcard in a folder's name", "COPY */one /flat/", "COPY st*/deep/t?o /name"),
    copy("wildcard with one match to a name", "COPY *.css /style.css"),
    copy("names with spaces and brackets", 'COPY ["a b.txt", "/spaces/c d.txt"]', "COPY [[]x].txt /brackets/",
         odd={BUILDAH: "does not find `[x].txt` by `[[]x].txt`"}),
    copy("relative to the working folder", "WORKDIR /srv", "COPY index.html .", "COPY app.js sub/", "COPY static ./st",
         "WORKDIR www", "COPY app.css ../up.css"),
    copy("variables in paths", "ARG where=/srv", "ENV NAME=index EXT=html", "COPY ${NAME}.$EXT ${where}/${NAME}/"),
    copy("above the root of the image", "COPY index.html /../../../top.html", "COPY app.js ../../other/",
         odd={CLASSIC: "refuses a target above the root"}),
    copy("absolute source", "COPY /index.html /static /abs/"),
    copy("through a link to a folder", "COPY index.html /base/link/", "COPY app.js /base/link/deep/app.js"),
    copy("through an absolute link", "COPY index.html /base/absolute/", "COPY static /base/absolute/deep"),
    copy("through a link that climbs", "COPY index.html /base/up/"),
    copy("folder onto a link to a folder", "COPY static /base/link"),
    copy("file onto a link to a file", "COPY index.html /base/link-file", odd={BUILDAH: "puts the file in the link's place"}),
    copy("folder over a folder keeps its own mode", "COPY tree /base", context={
        "tree/empty": Folder(0o700), "tree/folder": Folder(0o711), "tree/folder/a": File("new", 0o600)}),
    copy("modes and owners of the context", "COPY . /modes/", context=MODES, odd=CLEARED),
    copy("one file's mode and owner", "COPY set-user /a", "COPY owned /b", "COPY none /c/", context=MODES, odd=CLEARED),
    copy("links stay links in a folder", "COPY real /links", context=LINKS),
    copy("link as source", "COPY to-file /one", "COPY to-folder /two", context=LINKS),
    copy("hard links", "COPY hard hard-too /three/", "COPY in /four", context=LINKS),
    copy("names", "COPY . /names/", context=NAMES),
    copy("sparse and large", "COPY . /sizes/", context={
        "holes": File("start", size=8 << 20), "zeroes": File(bytes(1 << 20)), "odd": File(bytes(range(256)) * 5000)}),
    copy("extended attributes", "COPY . /attributes/", context={
        "capable": File("#!", 0o755, attributes={"security.capability": bytes.fromhex("0100000200040000" + "00" * 12)})},
         odd=dict.fromkeys((CLASSIC, BUILDKIT), "loses security.capability of the context's files")),
    copy("owner by number", "COPY --chown=1234:5678 index.html static /owned/", "COPY --chown=77 app.js /owned/"),
    copy("owner by name", "COPY --chown=web:staff index.html /owned/a", "COPY --chown=mail:mail static /owned/b",
         "COPY --chown=web app.js /owned/c/d", "COPY --chown=web:0 app.css /owned/e"),
    copy("owner from a variable", "ARG who=mail", "COPY --chown=${who}:$who index.html /owned"),
    copy("owner of folders on the way", "COPY --chown=5:6 index.html /way/to/it", "COPY --chown=7:8 app.js /way/too/"),
    copy("owner of a folder that is there", "COPY --chown=5:6 static /base/folder"),
    copy("owner after USER", "USER web", "COPY index.html /mine", "WORKDIR /its", "COPY app.js .",
         odd=dict.fromkeys((CLASSIC, BUILDAH), "the folder of WORKDIR is root's")),
    copy("mode", "COPY --chmod=751 index.html /a", "COPY --chmod=0640 static /base/folder", peers=(BUILDKIT, BUILDAH)),
    copy("mode with bits", "COPY --chmod=4755 run.sh /c", "COPY --chmod=2711 app.js /base/folder/", peers=(BUILDAH,)),
    copy("mode of folders on the way", "COPY --chmod=0711 static /b/c", peers=(BUILDKIT, BUILDAH), alone=ON_THE_WAY,
         odd=dict.fromkeys((BUILDKIT, BUILDAH), ON_THE_WAY)),
    copy("mode and owner", "COPY --chown=9:10 --chmod=600 index.html run.sh /base/full/", peers=(BUILDKIT, BUILDAH)),
    copy("twice the same", "COPY index.html /a", "COPY index.html /a", "COPY static /s", "COPY static /s"),
    copy("into folders that the runtime fills", "COPY index.html /proc/x", "COPY app.js /dev/y", "COPY app.css /sys/z"),
    copy("over files that the runtime provides", "COPY index.html /etc/hosts", "COPY app.js /etc/resolv.conf"),
    copy("to a folder's name without slash", "COPY static/one /dest", "COPY static/deep /dest2"),
    copy("case and continuation", "copy --chown=1:2 \\", "  # a comment in between", "  index.html \\", "  app.js \\", "  /x/"),
    Case("copy onto nothing", "FROM scratch\nCOPY a /\nCOPY d /x/y\nCMD [\"/a\"]\n", {"a": "1", "d/b": "2"}),
    copy("link option", "COPY --link index.html /new/", "COPY --link --chown=5:6 static /other/deeper/",
         equivalent="FROM base:1\nCOPY index.html /new/\nCOPY --chown=5:6 static /other/deeper/\n",
         odd={CLASSIC: "folders on the way to a folder are root's"}),
    copy("heredoc", "COPY <<one <<\"two\" /docs/", "hello ${FROM_BASE}", "one", "as $it is", "two",
         "COPY <<-name /docs/name", "\ttabs", "\tgo", "name",
         equivalent="FROM base:1\nCOPY one two name /docs/\n", context={
             "one": "hello yes\n", "two": "as $it is\n", "name": "tabs\ngo\n"}, timed=False,
         odd_fields=dict.fromkeys((CLASSIC, BUILDKIT, BUILDAH), ("history", "a layer for each step that has one"))),
    copy("exclude", "COPY --exclude=*.js --exclude=static/deep --exclude=Dockerfile . /x/", context={
        "a.html": "1", "b.js": "2", "static/c.js": "3", "static/deep/d": "4"},
        equivalent="FROM base:1\nCOPY a.html /x/\nCOPY static/c.js /x/static/\n",
        odd_fields=dict.fromkeys((CLASSIC, BUILDKIT, BUILDAH), ("history",))),
    copy("parents", "COPY --parents static/deep/two other/one /p/", "COPY --parents ./static/./deep/t* /q/",
         equivalent="FROM base:1\nCOPY static/deep/two /p/static/deep/\nCOPY other/one /p/other/\nCOPY static/deep/t* /q/deep/\n",
         odd_fields=dict.fromkeys((CLASSIC, BUILDKIT, BUILDAH), ("history", "a layer for each step that has one"))),
    copy("wildcard without a match", "COPY *.none /x/",
         odd=dict.fromkeys((CLASSIC, BUILDAH), NO_MATCH)),
    # Refused by all.
    copy("missing source", "COPY nothing /x", fails=True),
    copy("one of many missing", "COPY index.html nothing /x/", fails=True),
    copy("many sources to a name", "COPY index.html app.js /x", fails=True,
         odd=dict.fromkeys((BUILDKIT, BUILDAH), "takes it for a folder")),
    copy("folder over file", "COPY static /base/file", fails=True),
    copy("through a file", "COPY index.html /base/file/below", fails=True),
    copy("unknown owner", "COPY --chown=nobody-knows index.html /x", fails=True, odd={BUILDKIT: "makes the file root's"}),
]
