import EngineWire
import ImageBuild
import StackModel
import Testing

@testable import Engine

@Suite struct ClassicBuildTests {
    private func lines(
        isQuiet: Bool = false, _ body: (ClassicBuild) -> Void
    ) async -> [ClassicBuildMessage] {
        let (stream, continuation) = AsyncStream.makeStream(of: ClassicBuildMessage.self)
        let build = ClassicBuild(continuation, isQuiet: isQuiet, removesContainers: true)
        body(build)
        continuation.finish()
        var all: [ClassicBuildMessage] = []
        for await line in stream { all.append(line) }
        return all
    }

    private func oneStage(_ build: ClassicBuild) {
        build.tell(BuildEvent.stages([BuildStagePlan(stage: 0, stepCount: 3)]))
        build.tell(BuildEvent.instruction(stage: 0, .began(title: "FROM busybox")))
        build.tell(BuildEvent.instruction(stage: 0, .ended(id: "000000000000")))
        build.tell(BuildEvent.instruction(stage: 0, .began(title: "RUN echo é")))
        build.tell(BuildEvent.instruction(stage: 0, .carriedOut(vertex: 4)))
        build.tell(BuildEvent.output(vertex: 4, bytes: [0x68, 0xC3], isError: false))
        build.tell(BuildEvent.output(vertex: 4, bytes: [0xA9, 0x0A], isError: false))
    }

    @Test func tellsStepsInDockersWords() async {
        let all = await lines { build in
            oneStage(build)
            build.tell(BuildEvent.finished(vertex: 4, isCached: false, nanoseconds: 1, error: nil))
            build.tell(BuildEvent.instruction(stage: 0, .ended(id: "111111111111")))
            build.tell(BuildEvent.instruction(stage: 0, .began(title: "COPY a b")))
            build.tell(BuildEvent.instruction(stage: 0, .carriedOut(vertex: 5)))
            build.tell(BuildEvent.finished(vertex: 5, isCached: true, nanoseconds: 1, error: nil))
            build.tell(BuildEvent.instruction(stage: 0, .ended(id: "222222222222")))
            build.tell(BuildLine.built(name: "", image: "sha256:abcdefabcdefabcdef", tags: ["a:1", "b:2"]))
            build.tell(BuildLine.done)
        }
        let texts = all.compactMap(\.stream)
        guard texts.count == 14 else {
            Issue.record("\(texts)")
            return
        }
        #expect(
            Array(texts[0...2]) == ["Step 1/3 : FROM busybox\n", " ---> 000000000000\n", "Step 2/3 : RUN echo é\n"])
        #expect(texts[3].hasPrefix(" ---> Running in "))
        #expect(Array(texts[4...5]) == ["h", "é\n"])
        #expect(texts[6] == "Removing intermediate container " + texts[3].dropFirst(" ---> Running in ".count))
        #expect(
            Array(texts[7...]) == [
                " ---> 111111111111\n", "Step 3/3 : COPY a b\n", " ---> Using cache\n", " ---> 222222222222\n",
                "Successfully built abcdefabcdef\n", "Successfully tagged a:1\n", "Successfully tagged b:2\n",
            ])
        #expect(all.compactMap(\.aux?.ID) == ["sha256:abcdefabcdefabcdef"])
    }

    @Test func stagesSideBySideAreToldOneAfterTheOther() async {
        let all = await lines { build in
            build.tell(
                BuildEvent.stages([BuildStagePlan(stage: 0, stepCount: 2), BuildStagePlan(stage: 2, stepCount: 1)]))
            build.tell(BuildEvent.instruction(stage: 2, .began(title: "FROM b")))
            build.tell(BuildEvent.instruction(stage: 0, .began(title: "FROM a")))
            build.tell(BuildEvent.instruction(stage: 2, .ended(id: "two")))
            build.tell(BuildEvent.instruction(stage: 0, .ended(id: "one")))
            build.tell(BuildEvent.instruction(stage: 0, .began(title: "ENV x=1")))
            build.tell(BuildEvent.instruction(stage: 0, .ended(id: "env")))
        }
        #expect(
            all.compactMap(\.stream) == [
                "Step 1/3 : FROM a\n", " ---> one\n", "Step 2/3 : ENV x=1\n", " ---> env\n", "Step 3/3 : FROM b\n",
                " ---> two\n",
            ])
    }

    @Test func aFailedCommandHasItsCode() async {
        let all = await lines { build in
            oneStage(build)
            build.tell(BuildEvent.exited(RunFailure(arguments: ["/bin/sh", "-c", "exit 9"], exitCode: 9)))
            build.tell(BuildEvent.finished(vertex: 4, isCached: false, nanoseconds: 1, error: "x"))
            build.tell(BuildLine.failed([Diagnostic(code: "build.run-failed", "x")], excerpt: nil))
        }
        let text = "The command '/bin/sh -c exit 9' returned a non-zero code: 9"
        #expect(all.last?.errorDetail == .init(code: 9, message: text))
        #expect(all.last?.error == text)
        #expect(all.last?.failureStatus == nil)
    }

    @Test func whatIsWrongBeforeTheFirstStepIsAnAnswerOfItsOwn() async {
        let all = await lines { build in
            build.tell(BuildLine.failed([Diagnostic(code: "build.no-dockerfile", "gone")], excerpt: nil))
        }
        #expect(all.map(\.failureStatus) == [400])
        #expect(all.map(\.error) == ["gone"])
    }

    @Test func quietOnlyTellsTheImage() async {
        let all = await lines(isQuiet: true) { build in
            oneStage(build)
            build.tell(BuildLine.built(name: "", image: "sha256:ab", tags: ["a:1"]))
        }
        #expect(all.map(\.stream) == ["sha256:ab\n"])
    }

    @Test func outputThatNobodyReadsIsBounded() async {
        let piece = [UInt8](repeating: 0x78, count: 1 << 20)
        let all = await lines { build in
            oneStage(build)
            for _ in 0..<100 { build.tell(BuildEvent.output(vertex: 4, bytes: piece, isError: false)) }
        }
        let byteCount = all.reduce(0) { $0 + ($1.stream?.utf8.count ?? 0) }
        #expect(byteCount <= ClassicBuild.heldByteCountMax + 1024)
        #expect(all.contains { $0.stream?.contains("clipped") == true })
    }
}
