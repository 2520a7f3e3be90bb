import ContainerNetwork
import LinuxSystem
import Logging

/// What the folders under the exec root say of processes holds for one boot of the machine. Where they outlive it (an
/// exec root that is no tmpfs), the numbers in them may be those of other processes by now.
extension Engine {
    private var bootFile: String { "\(options.execRoot)/boot-id" }

    /// Before anything is adopted: everything that ran in another boot is gone.
    func noteBoot() throws(EngineError) {
        do throws(SystemError) {
            let present = try FileSystem.readFile("/proc/sys/kernel/random/boot_id", byteCountMax: 64)
            let known = FileSystem.exists(bootFile) ? try FileSystem.readFile(bootFile, byteCountMax: 64) : present
            if known != present {
                let folder = "\(options.execRoot)/containers"
                let names = try FileSystem.list(folder)
                for name in names { try FileSystem.removeTree("\(folder)/\(name)") }
                log.warning(
                    "the machine was started anew: what ran before is gone", metadata: ["containers": "\(names.count)"])
            }
            try FileSystem.replaceFile(bootFile, with: present, mode: 0o644)
        } catch {
            throw .system(error)
        }
    }
}
