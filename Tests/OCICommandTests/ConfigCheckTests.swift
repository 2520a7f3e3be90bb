import ContainerRuntime
import Testing

@testable import OCICommand

@Suite struct ConfigCheckTests {
    private let check = ConfigCheck(known: ["CAP_CHOWN", "CAP_SYS_RESOURCE"], grantable: ["CAP_CHOWN"])

    private func spec() -> RuntimeSpec {
        var spec = RuntimeSpec(process: RuntimeSpec.Process(args: ["sh"]), root: RuntimeSpec.Root(path: "rootfs"))
        spec.ociVersion = "1.0.2-dev"
        return spec
    }

    private func message(_ change: (inout RuntimeSpec) -> Void) -> String {
        var spec = spec()
        change(&spec)
        do {
            _ = try check.check(spec, hasProcess: true)
            return ""
        } catch {
            return error.description
        }
    }

    @Test func aPlainConfigurationIsFine() throws {
        let (checked, warnings) = try check.check(spec(), hasProcess: true)
        #expect(checked == spec())
        #expect(warnings.isEmpty)
    }

    @Test(arguments: ["1.0.0", "1.0.2-dev", "1.1.0+x", "1.2.1", "1.3.0", "1.3.99"])
    func knownVersions(_ version: String) throws { try ConfigCheck.checkVersion(version) }

    @Test(arguments: ["", "1", "1.0", "0.9.0", "2.0.0", "1.4.0", "a.b.c", "1.0.0.0", "1..0", "1.-1.0"])
    func otherVersions(_ version: String) {
        #expect(throws: OCIError.self) { try ConfigCheck.checkVersion(version) }
    }

    @Test func whatIsWrongIsNamed() {
        #expect(message { $0.root.path = "" }.contains("root.path"))
        #expect(message { $0.process.args = [] }.contains("process.args"))
        #expect(message { $0.process.args = [""] }.contains("process.args"))
        #expect(message { $0.process.cwd = "tmp" }.contains("process.cwd"))
        let limit = RuntimeSpec.Rlimit(type: "RLIMIT_CORE", soft: 0, hard: 0)
        #expect(message { $0.process.rlimits = [limit, limit] }.contains("twice"))
        #expect(message { $0.annotations = ["": "x"] }.contains("annotation"))
        #expect(message { $0.linux.rootfsPropagation = "nosuch" }.contains("rootfsPropagation"))
        #expect(message { $0.linux.devices = [.init(type: "c", path: "/dev/x")] }.contains("major"))
        #expect(message { $0.linux.devices = [.init(type: "p", path: "/dev/x")] }.isEmpty)
        let relative = message { $0.hooks = Self.hooks(RuntimeSpec.Hook(path: "x")) }
        #expect(relative.contains("absolute"))
        let hurried = message { $0.hooks = Self.hooks(RuntimeSpec.Hook(path: "/x", timeout: -1)) }
        #expect(hurried.contains("timeout"))
    }

    private static func hooks(_ hook: RuntimeSpec.Hook) -> RuntimeSpec.Hooks {
        var hooks = RuntimeSpec.Hooks()
        hooks.startContainer = [hook]
        return hooks
    }

    @Test func aProcessMayBeMissing() throws {
        var spec = spec()
        spec.process = RuntimeSpec.Process(args: [])
        _ = try check.check(spec, hasProcess: false)
    }

    @Test func capabilitiesThatCannotBeGivenAreLeftOut() throws {
        var spec = spec()
        let names = ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_NOSUCH"]
        spec.process.capabilities = RuntimeSpec.Capabilities(
            bounding: names, effective: names, permitted: names, inheritable: names, ambient: names)
        let (checked, warnings) = try check.check(spec, hasProcess: true)
        #expect(checked.process.capabilities.bounding == ["CAP_CHOWN"])
        #expect(checked.process.capabilities.ambient == ["CAP_CHOWN"])
        #expect(warnings.count == 2)
        #expect(warnings.contains { $0.contains("CAP_NOSUCH") })
        #expect(warnings.contains { $0.contains("CAP_SYS_RESOURCE") })
    }

    @Test func relativeTargetsAreSeenFromTheRoot() throws {
        var spec = spec()
        spec.mounts = [RuntimeSpec.Mount(destination: "tmp", type: "tmpfs")]
        let (checked, warnings) = try check.check(spec, hasProcess: true)
        #expect(checked.mounts[0].destination == "/tmp")
        #expect(warnings.count == 1)
    }

    @Test func cgroupPaths() throws {
        #expect(try ConfigCheck.cgroupName("/a/b") == "a/b")
        #expect(try ConfigCheck.cgroupName("a//b/") == "a/b")
        for path in ["", "/", "/a/../b", "../a", "a/./b", "system.slice:docker:x", "a b", "a\nb"] {
            #expect(throws: OCIError.self, "\(path)") { try ConfigCheck.cgroupName(path) }
        }
    }
}
