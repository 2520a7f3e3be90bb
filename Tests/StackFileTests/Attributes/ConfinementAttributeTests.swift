import StackModel
import Testing

@testable import StackFile

/// Rights and namespaces of a service.
struct ConfinementAttributeTests {
    @Test func rights() throws {
        try expect("privileged: true", \.privileged, true)
        try expect("privileged: \"true\"", \.privileged, true)
        try expect("cap_add: [ALL]", \.capAdd, ["ALL"])
        try expect("cap_drop: [NET_ADMIN, SYS_ADMIN]", \.capDrop, ["NET_ADMIN", "SYS_ADMIN"])
        try expect(
            "security_opt: [\"label=level:s0:c100,c200\", \"label:user:USER\", \"no-new-privileges\"]",
            \.securityOptions,
            ["label=level:s0:c100,c200", "label:user:USER", "no-new-privileges"])
    }

    @Test func namespaces() throws {
        let other = "  other: {image: b}"
        for mode in ["host", "service:other", "container:name"] {
            try expect("pid: \"\(mode)\"", \.pidMode, mode, top: other)
        }
        for mode in ["shareable", "service:other", "container:name", "host", "private", "none"] {
            try expect("ipc: \"\(mode)\"", \.ipcMode, mode, top: other)
        }
        try expect("userns_mode: host", \.usernsMode, "host")
        try expect("uts: host", \.utsMode, "host")
        for mode in ["host", "private"] { try expect("cgroup: \(mode)", \.cgroupMode, mode) }
        try expect("cgroup_parent: m-executor-abcd", \.cgroupParent, "m-executor-abcd")
        try expect("pid:", \.pidMode, nil)
    }

    @Test func runtime() throws {
        try expect("runtime: runc", \.runtime, "runc")
        try expect("isolation: process", \.isolation, "process")
    }

    @Test func kernelSettings() throws {
        let expected = ["net.core.somaxconn": "1024", "net.ipv4.tcp_syncookies": "0"]
        try expect("sysctls: {net.core.somaxconn: 1024, net.ipv4.tcp_syncookies: 0}", \.sysctls, expected)
        try expect("sysctls: [net.core.somaxconn=1024, net.ipv4.tcp_syncookies=0]", \.sysctls, expected)
    }

    @Test func credentials() throws {
        try expect(
            "credential_spec: {file: my-spec.json}", \.credentialSpec,
            with(CredentialSpec()) { $0.file = "my-spec.json" })
        try expect(
            "credential_spec: {registry: my-spec}", \.credentialSpec, with(CredentialSpec()) { $0.registry = "my-spec" }
        )
        try expect("credential_spec: {config: spec}", \.credentialSpec, with(CredentialSpec()) { $0.config = "spec" })
    }
}
