import CLinux
import ContainerRuntime
import Glibc
import LinuxSystem
import StackModel

/// What this host cannot give a client's container, told when the container is made and in Docker's words.
extension Engine {
    private static let nanoCPUsOfOne: Int64 = 1_000_000_000
    /// Bits of the kernel's largest set of processors.
    private static let processorsMax = 1 << 13

    func checkKernel(_ service: Service) throws(EngineError) {
        try checkCapabilities(service.capAdd, "CapAdd")
        try checkCapabilities(service.capDrop, "CapDrop")
        try checkKernel(service.resources)
    }

    func checkKernel(_ limits: Resources) throws(EngineError) {
        let count = Int64(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        if let wanted = limits.nanoCPUs, wanted > count * Self.nanoCPUsOfOne {
            throw .badRequest(
                "range of CPUs is from 0.01 to \(count).00, as there are only \(count) CPUs available")
        }
        if let wanted = limits.cpuset { try checkProcessors(wanted) }
    }

    private func checkCapabilities(_ names: [String], _ field: String) throws(EngineError) {
        let known = CapabilityNames.all()
        for name in names where name.uppercased() != "ALL" {
            let upper = name.uppercased()
            let full = upper.hasPrefix("CAP_") ? upper : "CAP_\(upper)"
            guard known.contains(full) else {
                throw .badRequest("invalid \(field): unknown capability: \"\(full)\"")
            }
        }
    }

    /// A list as in cpuset(7): `0-3,5`.
    private func checkProcessors(_ text: String) throws(EngineError) {
        guard let wanted = processors(text) else { throw .badRequest("Invalid value \(text) for cpuset cpus") }
        // Where it cannot be read, the kernel says at the start what is wrong.
        guard let bytes = try? FileSystem.readFile("/sys/devices/system/cpu/online") else { return }
        let online = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        guard let available = processors(online), !wanted.isSubset(of: available) else { return }
        throw .badRequest("Requested CPUs are not available - requested \(text), available: \(online)")
    }

    private func processors(_ text: String) -> Set<Int>? {
        var found: Set<Int> = []
        for piece in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = piece.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { end in
                end.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(end) : nil
            }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last, last < Self.processorsMax
            else { return nil }
            found.formUnion(first...last)
        }
        return found
    }

    /// The modes that Docker knows of volumes of another container, one of each kind.
    func isReadOnly(volumesFrom mode: String) throws(EngineError) -> Bool {
        let kinds: [Set<String>] = [["ro", "rw"], ["z", "Z"], ["consistent", "cached", "delegated"]]
        let words = mode.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let isKnown = words.allSatisfy { word in kinds.contains { $0.contains(word) } }
        guard mode.isEmpty || isKnown && kinds.allSatisfy({ kind in words.count(where: kind.contains) <= 1 }) else {
            throw .badRequest("invalid mode: \(mode)")
        }
        return words.contains("ro")
    }
}
