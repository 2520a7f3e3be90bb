"""`.dockerignore`: what of the context is there at all."""

from contexts import BUILDAH, BUILDKIT, CLASSIC, Case, File, Folder

TREE = {
    "a.txt": "a", "b.md": "b", "README.md": "r", "docs/one.md": "1", "docs/two.txt": "2", "docs/deep/three.md": "3",
    "src/main.c": "m", "src/main.o": "o", "src/lib/x.c": "x", "src/lib/x.o": "xo", ".hidden": "h", ".git/config": "g",
    "node_modules/x/index.js": "i", "build/out/bin": "b", "#odd": "odd", "\u00e4": "umlaut", "empty": Folder()}


def ignore(name, patterns, *lines, **more):
    lines = lines or ("COPY . /context/",)
    context = more.pop("context", TREE) | {".dockerignore": patterns}
    return Case(f"ignore {name}", "\n".join(("FROM base:1", *lines, "")), context, **more)


CASES = [
    ignore("nothing", ""),
    ignore("names and folders", "a.txt\ndocs\nsrc/lib\n"),
    ignore("slashes and dots", "/a.txt\n./b.md\ndocs/\n/src/lib/\nbuild/../.hidden\n"),
    ignore("stars", "*.md\n*/*.txt\nsrc/*.o\n"),
    ignore("two stars", "**/*.md\n**/*.o\n"),
    ignore("two stars inside and at the end", "docs/**/*.md\nsrc/**\n"),
    ignore("question marks and classes", "?.txt\nsrc/main.[a-o]\n[#]odd\n"),
    ignore("comments, blanks and returns", "# a.txt\r\n\r\n   b.md  \r\n\t docs\t\n#\n"),
    ignore("exceptions", "*.md\n!README.md\ndocs\n!docs/one.md\n"),
    ignore("order of exceptions", "!a.txt\n*.txt\n!docs/two.txt\n**/*.txt\n"),
    ignore("everything but", "*\n!src\n!docs/deep\n"),
    ignore("everything but, deeper", "**\n!src/lib/x.c\n"),
    ignore("exception below an ignored folder", "src\n!src/lib\nsrc/lib/x.o\n"),
    ignore("exceptions again ignored", "docs\n!docs/**\ndocs/deep\n"),
    ignore("itself and the Dockerfile", "Dockerfile\n.dockerignore\n"),
    ignore("hidden names", ".*\n!.hidden\n"),
    ignore("letters that are not ASCII", "\u00e4\n"),
    ignore("byte order mark", "\ufeffa.txt\nb.md\n"),
    ignore("no end of line", "a.txt\nb.md"),
    ignore("folder itself as source", "docs/*\n", "COPY docs /docs"),
    ignore("wildcard as source", "*.md\n", "COPY *.* /some/"),
    ignore("all of a folder as source", "src/lib\n", "COPY src/ /some/"),
    Case("ignore file of the Dockerfile", "FROM base:1\nCOPY . /context/\n", TREE | {
        ".dockerignore": "docs\n", "Dockerfile.dockerignore": "src\n"}, peers=(BUILDKIT,)),
    ignore("source that is ignored", "a.txt\n", "COPY a.txt /x", fails=True),
    ignore("folder that is ignored", "docs\n", "COPY docs /x", fails=True),
    ignore("only match of a wildcard", "a.txt\n", "COPY a.* /x/",
           odd=dict.fromkeys((CLASSIC, BUILDAH), "a wildcard without a match is an error")),
]
