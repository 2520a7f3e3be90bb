import StackModel

/// A field's value as it is printed.
enum FieldValue: Equatable {
    /// Not said.
    case nothing
    case text(String)
    /// Parts with names, as Compose spells them, those that say nothing left out.
    case parts([String: FieldValue])

    /// - Parameters:
    ///   - value: of any type that the model has.
    ///   - name: what it stands under, which tells its unit.
    init(_ value: Any, named name: String = "") {
        if let text = Self.plain(value, named: name) {
            self = text.isEmpty && !(value is String) ? .nothing : .text(text)
            return
        }
        let mirror = Mirror(reflecting: value)
        switch mirror.displayStyle {
        case .optional:
            self = mirror.children.first.map { FieldValue($0.value, named: name) } ?? .nothing
        case .collection:
            let items = mirror.children.map { FieldValue($0.value).inline }
            self = items.isEmpty ? .nothing : .text(Self.list(items, named: name))
        case .set:
            let items = mirror.children.map { FieldValue($0.value).inline }
            self = items.isEmpty ? .nothing : .text(items.sorted().joined(separator: ", "))
        case .dictionary: self = Self.dictionary(mirror)
        case .enum: self = Self.choice(mirror, value)
        default: self = Self.structure(mirror)
        }
    }

    /// On one line, for values within others and for those that only one side has.
    var inline: String {
        switch self {
        case .nothing: "none"
        case .text(let text): text
        case .parts(let parts):
            parts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.inline)" }.joined(separator: ", ")
        }
    }

    // MARK: By kind

    /// Those that have a short form of their own.
    private static func plain(_ value: Any, named name: String) -> String? {
        switch value {
        case let text as String: return text
        case let number as Int64: return FieldUnit.text(number, named: name)
        case let bits as UInt32: return name == "mode" ? "0" + String(bits, radix: 8) : String(bits)
        case let isOn as Bool: return isOn ? "true" : "false"
        case let port as Port: return port.text
        case let mount as FileMount: return "\(mount.source) at \(mount.target)"
        case let host as ExtraHost: return "\(host.name)=\(host.address)"
        case let hook as Hook: return list(hook.command, named: "command")
        case let limit as Ulimit: return limit.soft == limit.hard ? "\(limit.soft)" : "\(limit.soft):\(limit.hard)"
        case let policy as RestartPolicy where policy.delay == nil && policy.window == nil:
            return policy.mode.rawValue + (policy.attemptsMax.map { ":\($0)" } ?? "")
        case let raw as any RawRepresentable: return "\(raw.rawValue)"
        // Bound, for the number in an Optional would be printed with it.
        case let number as any BinaryInteger: return "\(number)"
        case let number as any BinaryFloatingPoint: return "\(number)"
        default: return nil
        }
    }

    /// Command lines with blanks between, other lists with commas.
    private static func list(_ items: [String], named name: String) -> String {
        guard ["command", "entrypoint", "test"].contains(name) else { return items.joined(separator: ", ") }
        return items.map { item in
            let isPlain = !item.isEmpty && !item.contains { $0 == " " || $0 == "\"" || $0 == "\n" || $0 == "\t" }
            return isPlain ? item : "\"" + item.replacing("\"", with: "\\\"") + "\""
        }.joined(separator: " ")
    }

    private static func dictionary(_ mirror: Mirror) -> FieldValue {
        var parts: [String: FieldValue] = [:]
        for child in mirror.children {
            let pair = Mirror(reflecting: child.value).children.map(\.value)
            guard pair.count == 2 else { continue }
            let key = FieldValue(pair[0]).inline
            let value = FieldValue(pair[1], named: key)
            parts[key] = value == .nothing ? .text("") : value
        }
        return parts.isEmpty ? .nothing : .parts(parts)
    }

    /// A case with something in it: `signal: HUP`.
    private static func choice(_ mirror: Mirror, _ value: Any) -> FieldValue {
        guard let child = mirror.children.first, let label = child.label else { return .text("\(value)") }
        return .parts([label: FieldValue(child.value, named: label)])
    }

    private static func structure(_ mirror: Mirror) -> FieldValue {
        var parts: [String: FieldValue] = [:]
        for child in mirror.children {
            guard var label = child.label else { continue }
            // Property wrappers keep `_name`, and the value below it.
            if label.hasPrefix("_") { label.removeFirst() }
            let inner = Mirror(reflecting: child.value)
            let isWrapped = inner.children.count == 1 && inner.children.first?.label == "wrappedValue"
            let value = isWrapped ? inner.children.first?.value ?? child.value : child.value
            let name = FieldUnit.composeName(label)
            switch FieldValue(value, named: name) {
            case .nothing, .text("false"): continue
            case let part: parts[name] = part
            }
        }
        return parts.isEmpty ? .text("default") : .parts(parts)
    }
}

extension FieldValue {
    /// The places at which two values differ, with the texts there; `""` is the value itself.
    static func differences(_ new: FieldValue, _ old: FieldValue) -> [(path: String, before: String?, after: String?)] {
        guard new != old else { return [] }
        guard case .parts(let left) = new, case .parts(let right) = old else {
            return [("", old.printed, new.printed)]
        }
        return Set(left.keys).union(right.keys).sorted().flatMap { key in
            differences(left[key] ?? .nothing, right[key] ?? .nothing).map { inner in
                (inner.path.isEmpty ? ".\(key)" : ".\(key)\(inner.path)", inner.before, inner.after)
            }
        }
    }

    private var printed: String? { self == .nothing ? nil : inline }
}

extension Port {
    /// As Compose's short form has it: `127.0.0.1:8080:80/tcp`.
    fileprivate var text: String {
        let range = [published, publishedLast].compactMap { $0.map(String.init) }.joined(separator: "-")
        let host = hostIP.map { $0.contains(":") ? "[\($0)]:" : "\($0):" } ?? ""
        let outside = range.isEmpty ? (host.isEmpty ? "" : "\(host):") : "\(host)\(range):"
        return "\(outside)\(target)/\(transport.rawValue)" + (mode.map { " \($0.rawValue)" } ?? "")
    }
}

/// Names and units of what the model holds as plain numbers.
enum FieldUnit {
    private static let durations: Set<String> = [
        "interval", "timeout", "start_period", "start_interval", "stop_grace_period", "delay", "window", "monitor",
        "drain", "min_healthy_time", "healthy_deadline", "progress_deadline",
    ]
    private static let sizes: Set<String> = ["memory", "memory_reservation", "memory_swap", "shm_size", "size"]

    /// Bytes as `256 MiB`, nanoseconds as `1m30s`, billionths of a CPU as `0.5`.
    static func text(_ number: Int64, named name: String) -> String {
        if durations.contains(name) { return duration(number) }
        if sizes.contains(name) { return size(number) }
        guard name == "cpus", number >= 0 else { return String(number) }
        let billion: Int64 = 1_000_000_000
        guard number % billion != 0 else { return String(number / billion) }
        var fraction = String(String(billion + number % billion).dropFirst())
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(number / billion).\(fraction)"
    }

    private static func size(_ bytes: Int64) -> String {
        for (unit, name) in [(Int64(1) << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        where bytes >= unit && bytes % unit == 0 {
            return "\(bytes / unit) \(name)"
        }
        return bytes < 0 ? "\(bytes)" : "\(bytes) B"
    }

    static func duration(_ nanoseconds: Int64) -> String {
        guard nanoseconds > 0 else { return nanoseconds == 0 ? "0s" : "\(nanoseconds)ns" }
        var (rest, text) = (nanoseconds, "")
        for (unit, name) in [
            (Int64(3600) * 1_000_000_000, "h"), (60 * 1_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms"),
            (1000, "us"), (1, "ns"),
        ] where rest >= unit {
            text += "\(rest / unit)\(name)"
            rest %= unit
        }
        return text
    }

    private static let names = [
        "nanoCPUs": "cpus", "memorySwappiness": "memory_swappiness", "failureRatioMax": "max_failure_ratio",
        "update": "update_config", "rollback": "rollback_config", "ipv4Address": "ipv4_address",
        "ipv6Address": "ipv6_address", "linkLocalIPs": "link_local_ips", "gatewayPriority": "gw_priority",
        "macAddress": "mac_address", "driverOptions": "driver_opts", "enableIPv4": "enable_ipv4",
        "enableIPv6": "enable_ipv6", "isInternal": "internal", "attemptsMax": "max_attempts", "ipRange": "ip_range",
        "auxiliaryAddresses": "aux_addresses", "deviceIDs": "device_ids", "failureAction": "failure_action",
        "replicasPerNodeMax": "max_replicas_per_node", "blockIO": "blkio", "clientIP": "client_ip",
    ]

    /// `startPeriod` is `start_period`.
    static func composeName(_ property: String) -> String {
        if let name = names[property] { return name }
        return property.reduce(into: "") { name, character in
            if character.isUppercase { name += "_" }
            name += character.lowercased()
        }
    }
}
