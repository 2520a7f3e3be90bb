import ArgumentParser
import HostCheck
import Testing

@testable import gantry

@Suite("gantry doctor")
struct DoctorTests {
    static let findings = [
        Finding(.ok, "kernel.version", .kernel, "Linux 6.1.0"),
        Finding(.note, "network.mtu", .network, "eth0 leads out, MTU 1400", meaning: "smaller than \u{1b}[1musual"),
        Finding(.problem, "firewall.blocked", .firewall, "a chain drops", meaning: "no way out", mend: ["do this"]),
    ]

    @Test("A list, grouped, with what to do; nothing in it moves the terminal")
    func table() {
        let text = renderFindings(Self.findings, of: Self.findings, .table, color: false)
        #expect(
            text == """
                Kernel
                  ✓ Linux 6.1.0
                Network
                  · eth0 leads out, MTU 1400
                      \(harmless("smaller than \u{1b}[1musual"))
                Firewall
                  ✗ a chain drops
                      no way out
                      → do this

                1 problem.

                """)
        #expect(!text.contains("\u{1b}"))
        let nothing = renderFindings([], of: [Self.findings[0]], .table, color: false)
        #expect(nothing == "Nothing is wrong with this host.\n")
    }

    @Test("JSON counts all and lists what is shown")
    func json() {
        let text = renderFindings([Self.findings[2]], of: Self.findings, .json, color: true)
        #expect(
            text == """
                {"Problems":1,"Warnings":0,"Findings":[{"Code":"firewall.blocked","Group":"Firewall",\
                "Level":"problem","Title":"a chain drops","Meaning":"no way out","Mend":["do this"]}]}

                """)
    }

    @Test("The command takes its options before and after global ones")
    func options() throws {
        let command = try #require(try parse(["doctor", "--format", "json", "-q", "--no-network"]) as? DoctorCommand)
        #expect(command.format == .json && command.quiet && command.noNetwork)
    }
}
