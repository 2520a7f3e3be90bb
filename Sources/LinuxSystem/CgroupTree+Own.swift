extension CgroupTree {
    /// The directory of a process's cgroup v2: from the texts of its `/proc/PID/cgroup` and `/proc/PID/mountinfo`.
    public static func unifiedDirectory(cgroup: String, mountinfo: String) -> String? {
        guard let line = cgroup.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return nil }
        let path = line.dropFirst("0::".count)
        for line in mountinfo.split(separator: "\n") {
            let halves = line.split(separator: " - ", maxSplits: 1)
            guard halves.count == 2, halves[1].hasPrefix("cgroup2 ") else { continue }
            let fields = halves[0].split(separator: " ")
            // A mount of only a part of the hierarchy (field 4) shows other paths.
            guard fields.count >= 5, fields[3] == "/" else { continue }
            return path == "/" ? String(fields[4]) : "\(fields[4])\(path)"
        }
        return nil
    }
}
