import StackModel

/// What `config` lists one a line, sorted.
extension LoadedDocument {
    /// Keys of the services that are shown.
    public var serviceNames: [String] { keys("services") }
    /// Keys of the volumes that are used.
    public var volumeNames: [String] { keys("volumes") }
    /// Keys of the networks that are used.
    public var networkNames: [String] { keys("networks") }

    /// The models themselves (`ai/smollm2`) that are used.
    public var models: [String] { (document["models"]?.entries ?? []).compactMap { $0.value["model"]?.text }.sorted() }

    /// Of every service its image; `<project>-<service>` for one that is built and not named.
    public var images: [String] {
        (document["services"]?.entries ?? []).compactMap { entry in
            entry.value["image"]?.text ?? (entry.value["build"] == nil ? nil : "\(name)-\(entry.key)")
        }.sorted()
    }

    /// The images that are written in the file, by service.
    public var imagesByService: [String: String] {
        var result: [String: String] = [:]
        for entry in document["services"]?.entries ?? [] { result[entry.key] = entry.value["image"]?.text }
        return result
    }

    /// The variables that the files' values may be given, by name. Only of a document that is not interpolated.
    public var variables: [TemplateVariable] { templateVariables(in: document) }

    /// The document with other images; services that are not in `images` keep theirs.
    public func replacingImages(_ images: [String: String]) -> LoadedDocument {
        guard let services = document["services"] else { return self }
        let changed = services.mapEntries { entry in
            guard let image = images[entry.key] else { return entry.value }
            return entry.value.setting("image", to: .string(image, at: entry.value["image"]?.mark ?? entry.keyMark))
        }
        var result = self
        result.document = document.setting("services", to: changed)
        return result
    }

    /// A stack file that sets the images of services and nothing else.
    public static func renderImages(_ images: [String: String], _ format: ConfigFormat) -> String {
        var services = Mapping()
        for (name, image) in images.sorted(by: { $0.key < $1.key }) {
            services.set(name, at: Node.madeMark, to: .made(["image": .made(image)]))
        }
        let document = Node.made(["services": Node(.mapping(services), at: Node.madeMark)])
        return switch format {
        case .yaml: YAMLWriter.write(document, escapesDollars: true)
        case .json: JSONWriter.write(document, escapesDollars: true)
        }
    }

    private func keys(_ kind: String) -> [String] { (document[kind]?.mapping?.keys ?? []).sorted() }
}
