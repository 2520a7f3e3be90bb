import EngineWire
import Glibc
import Images
import LinuxSystem
import Logging
import StackModel

extension Engine {
    /// `GET /images/get`: the images of these names in one archive. A name without a tag stands for all of its tags,
    /// and an id for an image without a name.
    public func startSaving(_ names: [String], as form: ArchiveForm) async throws(EngineError) -> OutgoingArchive {
        guard !names.isEmpty else { throw .badRequest("no image is named") }
        let wanted = try await onImages { images throws(ImageError) in
            var wanted: [(image: Image, references: [ImageReference])] = []
            for name in names {
                for (image, references) in try images.exportable(name) {
                    if let index = wanted.firstIndex(where: { $0.image.id == image.id }) {
                        wanted[index].references += references.filter { !wanted[index].references.contains($0) }
                    } else {
                        wanted.append((image, references))
                    }
                }
            }
            return wanted
        }
        let (images, log) = (images, log)
        let archive = try outgoingArchive { output throws(EngineError) in
            do throws(ImageError) {
                try images.export(wanted, as: form, to: output)
            } catch {
                if case .system(let cause) = error, cause.code == EPIPE {
                    // The client has gone.
                } else {
                    log.error("saving images failed: \(error)")
                }
                throw .image(error)
            }
        }
        for (image, references) in wanted { announceImage("save", image.id, name: references.first?.familiar) }
        return archive
    }
}

extension ImageStore {
    /// The images that a name stands for when they are saved, and their names in the archive.
    func exportable(_ name: String) throws(ImageError) -> [(Image, [ImageReference])] {
        let afterSlash = name[(name.lastIndex(of: "/") ?? name.startIndex)...]
        if !afterSlash.contains(":"), !name.contains("@") {
            let wanted = try? ImageReference(parsing: name)  // Ids are no names, and are looked up below.
            let tagged = try images().compactMap { image -> (Image, [ImageReference])? in
                let own = image.references.filter { $0.tag != nil && $0.familiarName == wanted?.familiarName }
                return own.isEmpty ? nil : (image, own)
            }
            if wanted != nil, !tagged.isEmpty { return tagged }
        }
        let image = try image(name)
        let reference = try? ImageReference(parsing: name)  // As above.
        return [(image, image.references.filter { $0 == reference && $0.tag != nil })]
    }
}
