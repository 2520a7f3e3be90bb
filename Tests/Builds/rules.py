"""What counts as the same: every rule is a row of docs/build-compatibility.md."""

import re

# Fields of a configuration that say something of the builder or of its container, not of the image.
BUILDERS_OWN = {
    "container", "container_config", "docker_version", "created", "id", "parent", "throwaway", "comment", "moby.buildkit.buildinfo.v1",
    "moby.buildkit.cache.v0", "os.version"}
CONTAINERS_OWN = {
    "Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "Image",
    "ArgsEscaped", "NetworkDisabled", "MacAddress", "PublishService"}
BUILDAH_LABEL = "io.buildah.version"


def plain(value):
    """Without what is empty: nothing, `null`, `{}` and `[]` say the same."""
    if isinstance(value, dict):
        return {key: each for key, each in ((key, plain(each)) for key, each in value.items())
                if each not in (None, [], "") and (each != {} or key.startswith("/") or "/" in key)}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def steps(history):
    """Instructions as each builder tells them: the word, and of RUN its command without the arguments in front."""
    found = []
    for entry in history:
        text = re.sub(r"^.*#\(nop\) +", "", entry.get("created_by", ""), count=1)
        text = re.sub(r" *# buildkit$", "", text.strip())
        word, _, rest = text.partition(" ")
        if word in WORDS - {"RUN"}:
            found.append(word)
        elif word not in NOT_TOLD:
            found.append("RUN " + command(rest if word == "RUN" else text))
    return found


def command(text):
    """`|2 a=1 b=2 /bin/sh -c make` without its first words."""
    words = text.split()
    if words and re.fullmatch(r"\|\d+", words[0]):
        words = words[int(words[0][1:]) + 1:]
    return " ".join(words)


WORDS = {"ADD", "COPY", "RUN", "ENV", "LABEL", "EXPOSE", "VOLUME", "USER", "WORKDIR", "CMD", "ENTRYPOINT", "ARG",
         "SHELL", "HEALTHCHECK", "STOPSIGNAL", "MAINTAINER"}
# BuildKit says nothing of triggers in the history.
NOT_TOLD = {"FROM", "ONBUILD"}


def config_of(config):
    """The part of an image's configuration that is compared."""
    found = {key: value for key, value in config.items() if key not in BUILDERS_OWN}
    inner = {key: value for key, value in (found.pop("config", None) or {}).items() if key not in CONTAINERS_OWN}
    labels = dict(inner.get("Labels") or {})
    labels.pop(BUILDAH_LABEL, None)
    inner["Labels"] = labels
    if inner.get("WorkingDir") == "/":
        inner["WorkingDir"] = ""
    history = found.pop("history", None) or []
    layers = found.pop("rootfs").get("diff_ids") or []
    found["a layer for each step that has one"] = len(layers) == sum(not each.get("empty_layer") for each in history)
    found["history"] = steps(history)
    return plain(found | {f"config.{key}": value for key, value in inner.items()})


def tree_differences(ours, theirs, began, folders):
    """`folders`: whether the times of folders are compared, which BuildKit of 2022 does not keep."""
    lines = []
    for path in sorted(ours.keys() | theirs.keys()):
        if path not in ours or path not in theirs:
            lines.append(f"{path!r}: only {'theirs' if path not in ours else 'ours'}")
            continue
        for key in sorted(ours[path].keys() | theirs[path].keys()):
            left, right = ours[path].get(key), theirs[path].get(key)
            is_folder = ours[path]["mode"].startswith("0o4")
            timing = (folders or not is_folder, is_folder)
            if left == right or is_rule(path, key, left, right, began, *timing):
                continue
            lines.append(f"{path!r}: {key}: ours {left}, theirs {right}")
    return lines


def is_rule(path, key, left, right, began, timed, is_folder):
    if key == "time":
        # buildah puts a file into `run` for the time of a step.
        if not timed or path in (".", "run") or (left >= began and right >= began):
            return True
        # With Gantry a folder that something is copied into keeps its time, and takes a copied folder's; else it is now.
        return right >= began and is_folder
    return path == "." and key == "mode" and {left, right} <= {"0o40755", "0o40555"}


def config_differences(ours, theirs, odd, ordered):
    """`odd`: fields that are not compared; `ordered`: whether variables stand in the order that they were set in first."""
    ours, theirs = config_of(ours), config_of(theirs)
    if not ordered:
        for each in (ours, theirs):
            each["config.Env"] = sorted(each.get("config.Env", []))
    return [f"{key}: ours {ours.get(key)!r}, theirs {theirs.get(key)!r}"
            for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key) and key not in odd]
