/// Parts of a `config.json` that are asked for by being there, and that this runtime does not carry out. Properties
/// that the specification does not know are ignored, as it wants.
/// <https://github.com/opencontainers/runtime-spec/blob/main/config.md#extensibility>
struct ConfigPresence: Decodable {
    struct Anything: Decodable { init(from decoder: any Decoder) {} }

    struct Process: Decodable {
        var commandLine: Anything?
        var user: User?
    }

    struct User: Decodable { var username: Anything? }

    struct Linux: Decodable {
        var intelRdt: Anything?
        var netDevices: [String: Anything]?
    }

    var process: Process?
    var linux: Linux?
    var vm: Anything?
    var windows: Anything?
    var solaris: Anything?
    var zos: Anything?
    var freebsd: Anything?

    /// Refuses what a container would be something else without; answers warnings of what says nothing on Linux.
    func check() throws(OCIError) -> [String] {
        if linux?.intelRdt != nil {
            throw OCIError("config.json: linux.intelRdt is not supported: leave it out, and set resctrl up on the host")
        }
        if let name = linux?.netDevices?.keys.min() {
            throw OCIError(
                "config.json: linux.netDevices is not supported: move '\(name)' in a createRuntime hook")
        }
        if vm != nil { throw OCIError("config.json: vm is not supported: this runtime makes no virtual machines") }
        let foreign: [(String, Anything?)] = [
            ("windows", windows), ("solaris", solaris), ("zos", zos), ("freebsd", freebsd),
            ("process.commandLine", process?.commandLine), ("process.user.username", process?.user?.username),
        ]
        return foreign.filter { $0.1 != nil }.map { "config.json: \($0.0) means nothing on Linux: left out" }
    }
}
