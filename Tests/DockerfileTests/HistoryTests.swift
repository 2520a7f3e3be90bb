import Testing

@testable import Dockerfile

/// History and titles as BuildKit writes them.
struct HistoryTests {
    /// A line behind `FROM a`, `ARG V=1` and `ENV E=x`, its history and its title.
    static let table: [(String, String?, String)] = [
        ("RUN echo $V $other", "RUN |1 V=1 /bin/sh -c echo $V $other # buildkit", "RUN echo 1 $other"),
        ("run [\"a\", \"$V\"]", "RUN |1 V=1 a $V # buildkit", "RUN [\"a\", \"1\"]"),
        ("RUN <<EOF\na\nb\nEOF", "RUN |1 V=1 /bin/sh -c a\nb\n # buildkit", "RUN <<EOF (a...)"),
        (
            "COPY --link --parents --chown=$V --chmod=755 a <<F /b\nF",
            "COPY --parents --chown=1 --chmod=755 a <<F /b # buildkit",
            "COPY --link --parents --chown=1 --chmod=755 a <<F /b"
        ),
        ("ADD a b", "ADD a b # buildkit", "ADD a b"), ("ENV A=$E B='c d'", "ENV A=x B=c d", "ENV A=x B='c d'"),
        ("LABEL a b", "LABEL a=b", "LABEL a b"), ("ARG A B=$V", "ARG A B=1", "ARG A B=1"),
        ("CMD [\"a\", \"b c\"]", "CMD [\"a\" \"b c\"]", "CMD [\"a\", \"b c\"]"),
        ("ENTRYPOINT x", "ENTRYPOINT [\"/bin/sh\" \"-c\" \"x\"]", "ENTRYPOINT x"),
        ("SHELL [\"a\", \"b\"]", "SHELL [a b]", "SHELL [\"a\", \"b\"]"),
        ("EXPOSE 80 90/udp", "EXPOSE [80/tcp 90/udp]", "EXPOSE 80 90/udp"),
        ("VOLUME /a /b", "VOLUME [/a /b]", "VOLUME /a /b"),
        ("USER $V", "USER 1", "USER 1"), ("WORKDIR w", "WORKDIR /w", "WORKDIR w"),
        ("STOPSIGNAL 9", "STOPSIGNAL 9", "STOPSIGNAL 9"),
        ("MAINTAINER me", "MAINTAINER me", "MAINTAINER me"), ("ONBUILD RUN x", nil, "ONBUILD RUN x"),
        (
            "HEALTHCHECK --interval=90s --retries=2 CMD x",
            "HEALTHCHECK {Test:[CMD-SHELL x] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:2}",
            "HEALTHCHECK --interval=90s --retries=2 CMD x"
        ),
        (
            "HEALTHCHECK NONE",
            "HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
            "HEALTHCHECK NONE"
        ),
    ]

    @Test(arguments: table)
    func line(line: String, history: String?, title: String) throws {
        let graph = try graph("FROM a\nARG V=1\nENV E=x\n" + line)
        var scope = StageScope(graph, stage: 0, base: BaseImage())
        var found: (String?, String) = (nil, "")
        for instruction in graph.nodes[0].instructions {
            let title = scope.title(of: instruction)
            found = (scope.history(of: try scope.expand(instruction)), title)
        }
        #expect(found.0 == history)
        #expect(found.1 == title)
    }

    @Test func durations() {
        let table: [(Int64, String)] = [
            (0, "0s"), (1, "1ns"), (1500, "1.5µs"), (250_000_000, "250ms"), (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (5_400_000_000_000, "1h30m0s"), (1_001_000_000, "1.001s"), (-1_000_000_000, "-1s"),
            (7_200_000_000_001, "2h0m0.000000001s"),
        ]
        for (value, text) in table {
            #expect(GoValue.text(nanoseconds: value) == text)
            #expect(GoValue.duration(text) == value)
        }
        #expect(GoValue.text(nanoseconds: .min).hasPrefix("-2562047h"))
    }
}
