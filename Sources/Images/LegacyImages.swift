/// Archives of `docker save` before 1.10 (2016): `repositories` names the top layers, each layer has a folder of its id
/// with `json` (its parent, and a config) and `layer.tar`. A config as of today is made from them.
struct LegacyImages {
    struct Found {
        var configBytes: [UInt8]
        var layers: [ArchiveIntake.Member]
        var references: [ImageReference]
    }

    let intake: ArchiveIntake
    let limits: ImageLimits

    /// `<id>/json`, as far as it matters.
    private struct LayerDocument: Decodable {
        var parent: String?
        var created: String?
        var architecture: String?
        var os: String?
        var config: ContainerDefaults?
    }

    func all(_ repositories: [UInt8]) throws(ImageError) -> [Found] {
        let names = try decodeJSON([String: [String: String]].self, repositories, what: "repositories")
        guard names.values.reduce(0, { $0 + $1.count }) <= limits.imageCountMax else {
            throw .archive(why: "more than \(limits.imageCountMax) images")
        }
        var found: [Found] = []
        for (repository, tags) in names.sorted(by: { $0.key < $1.key }) {
            for (tag, top) in tags.sorted(by: { $0.key < $1.key }) {
                let reference: ImageReference
                do {
                    reference = try ImageReference(parsing: "\(repository):\(tag)")
                } catch {
                    throw .archive(why: "repositories: \(error)")
                }
                found.append(try image(top, reference))
            }
        }
        return found
    }

    private func image(_ top: String, _ reference: ImageReference) throws(ImageError) -> Found {
        var documents: [LayerDocument] = []
        var layers: [ArchiveIntake.Member] = []
        var next: String? = top
        while let id = next {
            // Also ends a loop of parents.
            guard layers.count < limits.layerCountMax else {
                throw .archive(why: "more than \(limits.layerCountMax) layers")
            }
            let document = try intake.requiredMember("\(id)/json", what: "layer config")
            documents.append(
                try decodeJSON(
                    LayerDocument.self, intake.document(document, what: "layer config"), what: "layer config"))
            layers.append(try intake.requiredMember("\(id)/layer.tar", what: "layer"))
            next = documents.last?.parent.flatMap { $0.isEmpty ? nil : $0 }
        }
        layers.reverse()
        for layer in layers {
            guard try layer.compression == .none else {
                throw .unsupported("a compressed layer in an archive of old Docker")
            }
        }
        let newest = documents.first
        let config = ImageConfig(
            architecture: newest?.architecture ?? "", os: newest?.os ?? "", created: newest?.created,
            config: newest?.config ?? ContainerDefaults(),
            rootfs: ImageConfig.RootFS(diffIDs: layers.map(\.digest)))
        return Found(configBytes: try encodeJSON(config), layers: layers, references: [reference])
    }
}
