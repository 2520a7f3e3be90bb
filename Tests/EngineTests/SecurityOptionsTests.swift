import Testing

@testable import Engine

@Suite struct SecurityOptionsTests {
    @Test func optionsAreTakenApart() throws {
        let options = try SecurityOptions(
            [
                "no-new-privileges:true", "seccomp:unconfined", "apparmor=web", "label=disable",
                "systempaths=unconfined",
            ],
            service: "box")
        #expect(options.noNewPrivileges)
        #expect(options.seccomp == .unconfined)
        #expect(options.appArmor == "web")
        #expect(options.label == nil)
        #expect(options.showsSystemPaths)
        #expect(try SecurityOptions(["seccomp=./a:b=c.json"], service: "box").seccomp == .profile("./a:b=c.json"))
        #expect(try !SecurityOptions(["no-new-privileges", "no-new-privileges=false"], service: "box").noNewPrivileges)
    }

    @Test(arguments: ["", "seccomp", "seccomp=", "no-new-privileges=maybe", "label=x", "systempaths=all", "other=1"])
    func othersAreErrors(option: String) {
        #expect(throws: EngineError.self) { try SecurityOptions([option], service: "box") }
    }

    @Test(arguments: [
        ("10m", 10 << 20), ("1.5k", 1536), ("4096", 4096), ("2gb", 2 << 30), ("1KiB", 1024), ("-1", 0), ("7b", 7),
    ])
    func sizesAreRead(text: String, bytes: UInt64) {
        #expect(LogOptions.byteCount(text) == bytes)
    }

    @Test(arguments: ["", "m", "-5", "1x", "ten", "0", "1e400", "99999999999999999999p", "0x10", " 1"])
    func othersAreNoSizes(text: String) {
        #expect(LogOptions.byteCount(text) == nil)
    }
}
