import StackModel

/// One field that differs, with what it was and what it will be, for people.
public struct FieldDifference: Equatable, Sendable {
    /// As Compose spells it below the object: `image`, `environment.FOO`, `healthcheck.interval`.
    public var path: String
    /// `nil`: it was not said.
    public var before: String?
    /// `nil`: it is not said any more.
    public var after: String?
    public var effect: ChangeClass
    /// It is a secret's content, or a variable of which it is not known whether it is one.
    public var isSecret: Bool
    /// Where to look the source up: below the service, or from the top for what is not the service's own.
    public var change: FieldChange

    public init(
        path: String, before: String?, after: String?, effect: ChangeClass, isSecret: Bool = false,
        change: FieldChange? = nil
    ) {
        self.path = path
        self.before = before
        self.after = after
        self.effect = effect
        self.isSecret = isSecret
        self.change = change ?? FieldChange(path: path, sourcePath: path, effect: effect)
    }
}

extension ContainerDefinition {
    /// The same as `changes(from:)`, with the values. Not for planning: values are looked at one by one.
    public func differences(from old: ContainerDefinition) -> [FieldDifference] {
        let values = FieldValues(new: service, old: old.service)
        return changes(from: old).flatMap { change -> [FieldDifference] in
            if change.sourcePath == "image" { return [imageDifference(change, from: old)] }
            if let difference = contentDifference(change, from: old) { return [difference] }
            if let difference = nameDifference(change, from: old) { return [difference] }
            return values.differences(at: change)
        }
    }

    private func imageDifference(_ change: FieldChange, from old: ContainerDefinition) -> FieldDifference {
        func text(_ definition: ContainerDefinition, isID: Bool) -> String? {
            guard isID else { return definition.service.image }
            return definition.imageID.isEmpty ? "not known yet" : String(definition.imageID.prefix(19))
        }
        let isID = service.image == old.service.image
        return FieldDifference(
            path: change.path, before: text(old, isID: isID), after: text(self, isID: isID), effect: change.effect,
            change: change)
    }

    private func contentDifference(_ change: FieldChange, from old: ContainerDefinition) -> FieldDifference? {
        for (kind, new, old, isSecret) in [
            ("configs", configs, old.configs, false), ("secrets", secrets, old.secrets, true),
        ] {
            guard change.path.hasSuffix(" content"), change.sourcePath.hasPrefix("\(kind).") else { continue }
            let key = String(change.sourcePath.dropFirst(kind.utf8.count + 1))
            return FieldDifference(
                path: "\(kind).\(key).content", before: old[key]?.contentText, after: new[key]?.contentText,
                effect: change.effect, isSecret: isSecret, change: change)
        }
        return nil
    }

    private func nameDifference(_ change: FieldChange, from old: ContainerDefinition) -> FieldDifference? {
        for (kind, new, old) in [
            ("networks", networkNames, old.networkNames), ("volumes", volumeNames, old.volumeNames),
        ] {
            guard change.path.hasSuffix(".name"), change.sourcePath.hasPrefix("\(kind)."),
                change.path != change.sourcePath
            else { continue }
            let key = String(change.sourcePath.dropFirst(kind.utf8.count + 1))
            return FieldDifference(
                path: change.path, before: old[key], after: new[key], effect: change.effect, change: change)
        }
        return nil
    }
}

/// The values of two services by the paths at which they are compared.
private struct FieldValues {
    private let new: [String: Any]
    private let old: [String: Any]

    init(new: Service, old: Service) {
        func values(_ service: Service) -> [String: Any] {
            Dictionary(FieldRule.all.flatMap { $0.values(service) }) { first, _ in first }
        }
        self.new = values(new)
        self.old = values(old)
    }

    func differences(at change: FieldChange) -> [FieldDifference] {
        let name = change.path.split(separator: ".").last.map(String.init) ?? change.path
        func value(_ values: [String: Any]) -> FieldValue {
            values[change.path].map { FieldValue($0, named: name) } ?? .nothing
        }
        let found = FieldValue.differences(value(new), value(old))
        // Two values that look alike differ all the same.
        guard !found.isEmpty else {
            return [FieldDifference(path: change.path, before: nil, after: nil, effect: change.effect, change: change)]
        }
        return found.map { difference in
            FieldDifference(
                path: change.path + difference.path, before: difference.before, after: difference.after,
                effect: change.effect, change: change)
        }
    }
}

extension FileObject {
    /// Contents are not shown.
    fileprivate var contentText: String {
        if external { return "external \(name ?? "")" }
        let count = content?.count ?? 0
        return "\(count) byte\(count == 1 ? "" : "s")"
    }
}

extension Network {
    /// What makes it another network.
    public func differences(from old: Network) -> [FieldDifference] {
        func normal(_ network: Network) -> Network {
            var normal = network
            normal.driver = network.driver ?? "bridge"
            normal.enableIPv4 = network.hasIPv4
            (normal.name, normal.labels, normal.attachable) = (nil, [:], false)
            (normal.ipamDriver, normal.ipamOptions) = (nil, [:])
            return normal
        }
        return FieldValue.differences(FieldValue(normal(self)), FieldValue(normal(old))).map {
            FieldDifference(path: String($0.path.dropFirst()), before: $0.before, after: $0.after, effect: .replace)
        }
    }
}

extension Volume {
    /// What makes it another volume, with other data.
    public func differences(from old: Volume) -> [FieldDifference] {
        func normal(_ volume: Volume) -> Volume {
            var normal = volume
            normal.driver = volume.driver ?? "local"
            (normal.name, normal.labels) = (nil, [:])
            return normal
        }
        return FieldValue.differences(FieldValue(normal(self)), FieldValue(normal(old))).map {
            FieldDifference(path: String($0.path.dropFirst()), before: $0.before, after: $0.after, effect: .destructive)
        }
    }
}
