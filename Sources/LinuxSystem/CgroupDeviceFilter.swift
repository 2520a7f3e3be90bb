import CLinux
import Glibc

/// The device filter of a v2 cgroup: a BPF_PROG_TYPE_CGROUP_DEVICE program, one per cgroup of ours. Those of all
/// ancestors have to agree.
public enum CgroupDeviceFilter {
    private static let programsMax = 64

    /// Puts `program` (struct bpf_insn array) in the place of what is attached to the cgroup itself, in one step: no
    /// moment without a filter, and none with both. An empty program takes every filter away.
    public static func set(_ program: [UInt8], cgroup: Int32) throws(SystemError) {
        var attached = try programs(of: cgroup)
        guard !program.isEmpty else { return try detach(&attached, from: cgroup) }
        let count = UInt32(clamping: program.count / 8)
        let loaded = FileDescriptor(
            owning: try check("bpf") { program.withUnsafeBytes { gantry_bpf_load_device($0.baseAddress, count) } })
        let raw = loaded.raw
        guard let last = attached.popLast() else {
            try check("bpf") { gantry_bpf_attach_device(cgroup, raw, -1) }
            return
        }
        let old = FileDescriptor(owning: try check("bpf") { gantry_bpf_open_program(last) })
        let replaced = old.raw
        try check("bpf") { gantry_bpf_attach_device(cgroup, raw, replaced) }
        try detach(&attached, from: cgroup)
    }

    private static func programs(of cgroup: Int32) throws(SystemError) -> [UInt32] {
        var ids = [UInt32](repeating: 0, count: programsMax)
        let count = try check("bpf") { gantry_bpf_query_device(cgroup, &ids, UInt32(programsMax)) }
        return Array(ids.prefix(Int(count)))
    }

    private static func detach(_ programs: inout [UInt32], from cgroup: Int32) throws(SystemError) {
        for id in programs {
            let program = FileDescriptor(owning: try check("bpf") { gantry_bpf_open_program(id) })
            let raw = program.raw
            try check("bpf") { gantry_bpf_detach_device(cgroup, raw) }
        }
    }
}
