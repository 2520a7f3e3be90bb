import Glibc
import Testing

@testable import ContainerRuntime

extension KernelTests {
    /// What the kernel's wider surface answers inside the default container, call by call: Programs/calls.c.
    @Suite struct SyscallTableTests {
        private static let expected = """
            @@
            """

        @Test func callsOfTheDefaultContainer() throws {
            let answers = try Programs.run("calls")
            if let path = getenv("GANTRY_TABLE") {
                for mode in ["default", "open"] {
                    let rows = mode == "default" ? answers : try Programs.run("calls") {
                        $0.seccomp = .unconfined
                    }
                    print(String(cString: path), mode, rows.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " "))
                }
            }
        }
    }
}
