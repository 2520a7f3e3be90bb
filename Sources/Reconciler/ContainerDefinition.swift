import StackModel

/// Everything of a stack that goes into one service's containers. The engine stores it with each container; a later
/// plan compares it field by field with what the stack says then.
public struct ContainerDefinition: Codable, Equatable, Sendable {
    public var service: Service
    /// `sha256:…`; empty when it is not known.
    public var imageID: String
    /// The configs the service uses, by key.
    public var configs: [String: FileObject]
    /// The secrets the service uses, by key.
    public var secrets: [String: FileObject]
    /// Key to engine name.
    public var networkNames: [String: String]
    /// Key to engine name; named volumes only.
    public var volumeNames: [String: String]

    public init(
        service: Service, imageID: String, configs: [String: FileObject] = [:], secrets: [String: FileObject] = [:],
        networkNames: [String: String] = [:], volumeNames: [String: String] = [:]
    ) {
        self.service = service
        self.imageID = imageID
        self.configs = configs
        self.secrets = secrets
        self.networkNames = networkNames
        self.volumeNames = volumeNames
    }

    /// `nil` when the stack has no such service.
    public init?(stack: Stack, service name: String, imageID: String) {
        guard let service = stack.services[name] else { return nil }
        var networkNames: [String: String] = [:]
        for key in service.networks.keys { networkNames[key] = stack.networkName(key) }
        var volumeNames: [String: String] = [:]
        for mount in service.mounts where mount.kind == .volume {
            if let key = mount.source { volumeNames[key] = stack.volumeName(key) }
        }
        self.init(
            service: service, imageID: imageID, configs: Self.used(service.configs, of: stack.configs),
            secrets: Self.used(service.secrets, of: stack.secrets), networkNames: networkNames,
            volumeNames: volumeNames)
    }

    private static func used(_ mounts: [FileMount], of all: [String: FileObject]) -> [String: FileObject] {
        guard !mounts.isEmpty, !all.isEmpty else { return [:] }
        let sources = Set(mounts.map(\.source))
        return all.filter { sources.contains($0.key) }
    }

    /// What differs from `old`, in the order of `FieldRule.all`; empty when both mean the same container.
    public func changes(from old: ContainerDefinition) -> [FieldChange] {
        var changes: [FieldChange] = []
        if imageID != old.imageID {
            let path = service.image == old.service.image ? "image id" : "image"
            changes.append(FieldChange(path: path, sourcePath: "image", effect: .replace))
        } else if service.image != old.service.image {
            changes.append(FieldChange(path: "image", sourcePath: "image", effect: .control))
        }
        // Most are as they were.
        for rule in service == old.service ? [] : FieldRule.all {
            for path in rule.differences(service, old.service) {
                changes.append(FieldChange(path: path, sourcePath: path, effect: rule.effect))
            }
        }
        let content = service.gantry?.reload == nil ? ChangeClass.replace : .reload
        changes += Self.contentChanges("configs", configs, old.configs, content)
        changes += Self.contentChanges("secrets", secrets, old.secrets, content)
        changes += Self.nameChanges("networks", networkNames, old.networkNames, .live)
        changes += Self.nameChanges("volumes", volumeNames, old.volumeNames, .replace)
        return changes
    }

    /// Only keys on both sides: one more or less shows in the service's own list.
    private static func contentChanges(
        _ kind: String, _ new: [String: FileObject], _ old: [String: FileObject], _ effect: ChangeClass
    ) -> [FieldChange] {
        new.isEmpty || old.isEmpty
            ? []
            : new.keys.sorted().compactMap { key in
                guard let left = new[key], let right = old[key] else { return nil }
                let isSame =
                    left.content == right.content && left.external == right.external
                    && (left.external ? left.name == right.name : true)
                let path = "\(kind).\(key) content"
                return isSame ? nil : FieldChange(path: path, sourcePath: "\(kind).\(key)", effect: effect)
            }
    }

    private static func nameChanges(
        _ kind: String, _ new: [String: String], _ old: [String: String], _ effect: ChangeClass
    ) -> [FieldChange] {
        new.isEmpty || old.isEmpty || new == old
            ? []
            : new.keys.sorted().compactMap { key in
                guard let left = new[key], let right = old[key], left != right else { return nil }
                return FieldChange(path: "\(kind).\(key).name", sourcePath: "\(kind).\(key)", effect: effect)
            }
    }
}

/// What a changed field asks for.
public enum ChangeClass: String, Codable, CaseIterable, Sendable {
    /// Nothing: the container does not know of it.
    case none
    /// The engine's record only; the container runs on.
    case control
    /// Limits, ports, networks, the healthcheck: changed under the container, which runs on.
    case live
    /// New content of configs and secrets is written in place, and the container is told (`x-gantry.reload`).
    case reload
    /// A new container.
    case replace
    /// Another volume: what the old one holds is lost, so it is done only where the command names it.
    case destructive
}

/// One field that differs between two definitions.
public struct FieldChange: Equatable, Sendable {
    /// As Compose spells it below the service: `image`, `environment.FOO`, `volumes./data`.
    public var path: String
    /// The path to look the source up with. Contents of configs and secrets and names of networks and volumes are
    /// top-level paths (`configs.app`).
    public var sourcePath: String
    public var effect: ChangeClass

    public init(path: String, sourcePath: String, effect: ChangeClass) {
        self.path = path
        self.sourcePath = sourcePath
        self.effect = effect
    }

    /// Where the new value was written.
    public func source(in stack: Stack, service: String) -> SourceMark? {
        let isTopLevel = path != sourcePath && sourcePath != "image"
        return (isTopLevel ? stack.source(of: sourcePath) : nil)
            ?? stack.source(of: "services.\(service).\(sourcePath)")
    }

    /// `image changed, environment.FOO changed and 2 more`.
    static func summary(_ changes: [FieldChange]) -> String {
        let named = changes.prefix(namedMax).map { "\($0.path) changed" }.joined(separator: ", ")
        return changes.count > namedMax ? "\(named) and \(changes.count - namedMax) more" : named
    }

    /// So many changes are named in a reason.
    static let namedMax = 3
}
