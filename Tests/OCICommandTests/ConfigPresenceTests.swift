import ContainerRuntime
import Testing

@testable import OCICommand

@Suite struct ConfigPresenceTests {
    private func check(_ text: String) throws -> [String] {
        try JSON.decode(ConfigPresence.self, Array(text.utf8), of: "config.json").check()
    }

    @Test func whatIsNotKnownIsIgnored() throws {
        #expect(try check(#"{"unknown": {"a": 1}, "linux": {"other": []}, "process": {"user": {"x": 1}}}"#).isEmpty)
    }

    @Test func whatMeansNothingHereIsWarnedOf() throws {
        let warnings = try check(
            #"{"windows": {}, "zos": {}, "process": {"commandLine": "x", "user": {"username": "a"}}}"#)
        #expect(warnings.count == 4)
        for name in ["windows", "zos", "process.commandLine", "process.user.username"] {
            #expect(warnings.contains { $0.contains(name) }, "\(name)")
        }
    }

    @Test(arguments: [
        #"{"linux": {"intelRdt": {}}}"#, #"{"linux": {"netDevices": {"eth0": {}}}}"#, #"{"vm": {"kernel": {}}}"#,
    ])
    func whatCannotBeDoneIsRefused(_ text: String) {
        #expect(throws: OCIError.self) { try check(text) }
    }

    @Test func featuresNameWhatSpecificationsMaySay() throws {
        let features = Features()
        #expect(features.linux.namespaces.allSatisfy { RuntimeSpec.Namespace.Kind(rawValue: $0) != nil })
        #expect(features.linux.seccomp.archs.contains("SCMP_ARCH_X86_64"))
        #expect(Set(features.linux.seccomp.supportedFlags).isSubset(of: features.linux.seccomp.knownFlags))
        #expect(features.linux.memoryPolicy.modes.contains("MPOL_BIND"))
        for name in ["ro", "rro", "rbind", "idmap", "rshared", "tmpcopyup"] {
            #expect(features.mountOptions.contains(name), "\(name)")
        }
    }
}
