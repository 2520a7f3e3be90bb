import Images
import StackModel

// Pure: what a service says, and where it is silent what its image says.

/// Entrypoint and command as Docker joins them: a service's `entrypoint` drops the image's command too.
func processArguments(_ service: Service, defaults: ContainerDefaults?) -> [String] {
    let entrypoint = service.entrypoint ?? defaults?.entrypoint ?? []
    if let command = service.command { return entrypoint + command }
    return service.entrypoint == nil ? entrypoint + (defaults?.cmd ?? []) : entrypoint
}

/// `KEY=value` lines: the image's, then the service's over them. A key without a value is unset.
func processEnvironment(
    _ service: Service, defaults: ContainerDefaults?, hostname: String
) -> [String] {
    var order: [String] = []
    var values: [String: String] = [:]
    func set(_ key: String, _ value: String?) {
        if values[key] == nil, value != nil, !order.contains(key) { order.append(key) }
        values[key] = value
    }
    set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    set("HOSTNAME", hostname)
    if service.tty { set("TERM", "xterm") }
    for line in defaults?.env ?? [] {
        let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard let key = parts.first, !key.isEmpty else { continue }
        set(String(key), parts.count > 1 ? String(parts[1]) : "")
    }
    for (key, value) in service.environment.sorted(by: { $0.key < $1.key }) { set(key, value) }
    return order.compactMap { key in values[key].map { "\(key)=\($0)" } }
}

/// A healthcheck with Docker's defaults filled in; times in nanoseconds.
struct EffectiveHealthcheck: Equatable, Sendable {
    /// The program and its arguments.
    var command: [String]
    var interval: Int64
    var timeout: Int64
    var retries: Int
    var startPeriod: Int64
    var startInterval: Int64
}

private let second: Int64 = 1_000_000_000

/// `nil` when neither the service nor the image has one, or the service disables it (`NONE`).
func effectiveHealthcheck(_ service: Service, defaults: ContainerDefaults?) -> EffectiveHealthcheck? {
    let image = defaults?.healthcheck
    let own = service.healthcheck
    guard let test = own?.test ?? image?.test, let kind = test.first else { return nil }
    let command: [String]
    switch kind {
    case "NONE": return nil
    case "CMD": command = Array(test.dropFirst())
    case "CMD-SHELL": command = (defaults?.shell ?? ["/bin/sh", "-c"]) + [test.dropFirst().joined(separator: " ")]
    default: command = test
    }
    guard !command.isEmpty else { return nil }
    func time(_ own: Int64?, _ image: Int64?, _ fallback: Int64) -> Int64 {
        for value in [own, image] { if let value, value > 0 { return value } }
        return fallback
    }
    return EffectiveHealthcheck(
        command: command, interval: time(own?.interval, image?.interval, 30 * second),
        timeout: time(own?.timeout, image?.timeout, 30 * second),
        retries: max(1, own?.retries ?? image?.retries ?? 3),
        startPeriod: time(own?.startPeriod, image?.startPeriod, 0),
        startInterval: time(own?.startInterval, image?.startInterval, 5 * second))
}
