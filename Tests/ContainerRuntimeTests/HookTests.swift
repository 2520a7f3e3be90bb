import ContainerRuntime
import LinuxSystem
import SupervisorPlan
import Testing

@Suite struct HookTests {
    @Test func plansSurviveTheWay() throws {
        var plan = ContainerPlan(
            id: "a", directory: "/d", root: .directory("/r"), process: ProcessPlan(arguments: ["x"]))
        let hook = HookPlan(path: "/h", arguments: ["h", "1"], environment: ["A=b"], timeoutMilliseconds: 5)
        plan.hooks.prestart = [hook]
        plan.hooks.createContainer = [hook, hook]
        plan.hooks.poststop = [hook]
        plan.hooks.stateText = ["a", "b", "c"]
        plan.preservedDescriptors = 3
        #expect(try PlanFile.decode(ContainerPlan.self, from: PlanFile.encode(plan)) == plan)
        plan.preservedDescriptors = 100_000
        #expect(throws: PlanError.self) { try PlanFile.decode(ContainerPlan.self, from: PlanFile.encode(plan)) }
    }

    @Test func aHelperProgramIsRunToItsEnd() throws {
        func run(_ script: String, timeoutMilliseconds: UInt64 = 0) throws -> HelperProgram.Outcome {
            try HelperProgram.run(
                path: "/bin/sh", arguments: ["sh", "-c", script], environment: ["A=b"], input: Array("hello\n".utf8),
                timeoutMilliseconds: timeoutMilliseconds)
        }
        #expect(try run("read word; test \"$word $A\" = 'hello b'").failureReason == nil)
        #expect(try run("echo one; echo two >&2; exit 3").failureReason == "exit code 3: one; two")
        #expect(try run("kill -9 $$").end == .signalled(9))
        #expect(try run("exec sleep 100", timeoutMilliseconds: 50).end == .timedOut)
        // What it leaves behind holds nobody up.
        #expect(try run("sleep 1 & true", timeoutMilliseconds: 60_000).end == .exited(0))
        #expect(throws: SystemError.self) {
            try HelperProgram.run(
                path: "/nosuch", arguments: ["x"], environment: [], input: [], timeoutMilliseconds: 0)
        }
    }
}
