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

    init(at path: String, config name: String) throws {
        self.path = try Paths.real(path)
        let file = name.hasPrefix("/") ? name : "\(self.path)/\(name)"
        do {
            config = try FileSystem.readFile(file)
        } catch {
            throw OCIError("cannot read \(file): \(error.reason)")
        }
        let presence = try JSON.decode(ConfigPresence.self, config, of: file)
        let foreign = try presence.check()
        hasProcess = presence.process != nil
        let own: [String]
        (spec, own) = try ConfigCheck.host().check(
            try JSON.decode(RuntimeSpec.self, config, of: file), hasProcess: hasProcess)
        warnings = foreign + own
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
