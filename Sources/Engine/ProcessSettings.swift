import Images
import Reconciler
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
    _ service: Service, defaults: ContainerDefaults?, hostname: String, linked: [(name: String, value: String)] = []
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
    for (name, value) in linked { set(name, value) }
    for line in defaults?.env ?? [] {
        let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard let key = parts.first, !key.isEmpty else { continue }
        set(String(key), parts.count > 1 ? String(parts[1]) : "")
    }
    for (key, value) in service.environment.sorted(by: { $0.key < $1.key }) { set(key, value) }
    return order.compactMap { key in values[key].map { "\(key)=\($0)" } }
}

/// The program a healthcheck runs; `nil` when there is none, or the service disables it (`NONE`).
func probeCommand(_ service: Service, defaults: ContainerDefaults?) -> [String]? {
    guard let test = service.healthcheck?.test ?? defaults?.healthcheck?.test, let kind = test.first else { return nil }
    let words = Array(test.dropFirst())
    switch kind {
    case "NONE": return nil
    case "CMD": return words.isEmpty ? nil : words
    case "CMD-SHELL": return (defaults?.shell ?? ["/bin/sh", "-c"]) + [words.joined(separator: " ")]
    default: return test
    }
}

extension HealthState.Parameters {
    init(_ service: Service, defaults: ContainerDefaults?) {
        self.init(service.healthcheck, image: defaults?.healthcheck.map { StackModel.Healthcheck(image: $0) })
    }
}

extension StackModel.Healthcheck {
    init(image: ContainerDefaults.Healthcheck) {
        self.init(test: image.test)
        interval = image.interval
        timeout = image.timeout
        retries = image.retries
        startPeriod = image.startPeriod
        startInterval = image.startInterval
    }
}
