"""A strict reader of Prometheus's text exposition format 0.0.4: what it does not understand is an error."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? ([^ ]+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)')
NUMBER = re.compile(r"[+-]Inf|NaN|-?\d+(\.\d+)?(e[+-]\d+)?")


class Metrics:
    """`samples`: name to a list of labels and value. `kinds`: family to counter, gauge or histogram."""

    def __init__(self, text):
        if not text.endswith("\n"):
            raise ValueError("the last line has no end")
        self.samples, self.kinds, self.helps, seen, family = {}, {}, {}, set(), None
        for line in text[:-1].split("\n"):
            if match := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
                family = match[1]
                if family in self.helps:
                    raise ValueError(f"{family} begins twice")
                self.helps[family] = match[2]
            elif match := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram)", line):
                if match[1] != family or family in self.kinds:
                    raise ValueError(f"a type at a wrong place: {line}")
                self.kinds[family] = match[2]
            else:
                name, labels, value = self.sample(line)
                if self.family(name) != family:
                    raise ValueError(f"{line} stands with {family}")
                series = (name, tuple(sorted(labels.items())))
                if series in seen:
                    raise ValueError(f"twice: {series}")
                seen.add(series)
                self.samples.setdefault(name, []).append((labels, value))
        if missing := set(self.helps) - set(self.kinds):
            raise ValueError(f"no type: {missing}")
        self.check()

    def sample(self, line):
        match = SAMPLE.fullmatch(line)
        if not match or not NUMBER.fullmatch(match[3]):
            raise ValueError(f"no sample: {line}")
        labels, rest = {}, match[2]
        while rest:
            label = LABEL.match(rest)
            if not label or label[1] in labels or (label[3] and label.end() == len(rest)):
                raise ValueError(f"no labels: {line}")
            labels[label[1]] = re.sub(r"\\(.)", lambda each: "\n" if each[1] == "n" else each[1], label[2])
            rest = rest[label.end():]
        return match[1], labels, float(match[3].replace("Inf", "inf"))

    def family(self, name):
        for suffix in ("_bucket", "_sum", "_count"):
            base = name.removesuffix(suffix)
            if base != name and self.kinds.get(base) == "histogram":
                return base
        return name

    def check(self):
        for family, kind in self.kinds.items():
            if kind == "counter" and not family.endswith("_total"):
                raise ValueError(f"a counter that is no total: {family}")
            if kind != "counter" and family.endswith("_total"):
                raise ValueError(f"a total that is no counter: {family}")
            if kind == "counter" and any(value < 0 for _, value in self.samples.get(family, [])):
                raise ValueError(f"a counter below zero: {family}")
            if kind == "histogram":
                self.check_histogram(family)

    def check_histogram(self, family):
        buckets = {}
        for labels, value in self.samples.get(f"{family}_bucket", []):
            rest = tuple(sorted((key, text) for key, text in labels.items() if key != "le"))
            buckets.setdefault(rest, []).append((float(labels["le"].replace("Inf", "inf")), value))
        counts = {tuple(sorted(labels.items())): value for labels, value in self.samples.get(f"{family}_count", [])}
        if set(buckets) != set(counts):
            raise ValueError(f"{family}: buckets and counts of different things")
        for rest, found in buckets.items():
            if found != sorted(found) or [each[1] for each in found] != sorted(each[1] for each in found):
                raise ValueError(f"{family}: buckets do not grow: {found}")
            if found[-1] != (float("inf"), counts[rest]):
                raise ValueError(f"{family}: the last bucket is not the count: {found}")

    def find(self, name, **labels):
        """The samples with these labels, as label sets and values."""
        return [(own, value) for own, value in self.samples.get(name, [])
                if all(own.get(key) == text for key, text in labels.items())]

    def value(self, name, **labels):
        """The one sample with these labels; `None` where there is none."""
        found = self.find(name, **labels)
        if len(found) > 1:
            raise ValueError(f"{name}{labels} is not one: {found}")
        return found[0][1] if found else None

    def sum(self, name, **labels):
        return sum(value for _, value in self.find(name, **labels))
