import ContainerRuntime
import Glibc
import LinuxSystem

/// A bundle: a folder with `config.json`.
struct Bundle {
    /// Absolute, without links.
    let path: String
    let config: [UInt8]
    var spec: RuntimeSpec
    let hasProcess: Bool
    let warnings: [String]
    /// Absolute path of the root file system.
    let rootfs: String

    /// Parts of the configuration that are asked for by being there.
    private struct Presence: Decodable {
        struct Anything: Decodable { init(from decoder: any Decoder) {} }
        struct Linux: Decodable {
            var intelRdt: Anything?
        }
        var process: Anything?
        var linux: Linux?
        var vm: Anything?
    }

    init(at path: String, config name: String) throws {
        self.path = try Paths.real(path)
        let file = name.hasPrefix("/") ? name : "\(self.path)/\(name)"
        do {
            config = try FileSystem.readFile(file)
        } catch {
            throw OCIError("cannot read \(file): \(error.reason)")
        }
        let presence = try JSON.decode(Presence.self, config, of: file)
        hasProcess = presence.process != nil
        if presence.linux?.intelRdt != nil { throw OCIError("config.json: linux.intelRdt is not supported") }
        if presence.vm != nil { throw OCIError("config.json: vm is not supported") }
        (spec, warnings) = try ConfigCheck.host().check(
            try JSON.decode(RuntimeSpec.self, config, of: file), hasProcess: hasProcess)
        let root = spec.root.path.hasPrefix("/") ? spec.root.path : "\(self.path)/\(spec.root.path)"
        rootfs = try Paths.real(root)
        var status = stat()
        guard stat(rootfs, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw OCIError("root.path \(rootfs) is not a directory")
        }
    }
}

extension ConfigCheck {
    static func host() -> ConfigCheck {
        ConfigCheck(known: Set(CapabilityNames.all()), grantable: Set(CapabilityNames.grantable()))
    }
}
