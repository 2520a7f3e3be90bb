import EngineWire
import StackModel

/// One line of `gantry images`: an image under one of its names.
struct ImageRow: Equatable {
    var repository: String
    var tag: String
    var digest = "<none>"
    var image: ImageSummary
}

/// A line for each name, and one for an image without: `NAME <none>` when only its digest is known.
func imageRows(_ images: [ImageSummary], digests: Bool = false) -> [ImageRow] {
    images.flatMap { image in
        let known = (image.RepoDigests ?? []).compactMap(splitDigest)
        if image.RepoTags.isEmpty {
            guard let first = known.first else {
                return [ImageRow(repository: "<none>", tag: "<none>", image: image)]
            }
            return [ImageRow(repository: first.name, tag: "<none>", digest: first.digest, image: image)]
        }
        return image.RepoTags.map { name in
            let (repository, tag) = splitTag(name)
            let digest = known.first { $0.name == repository }?.digest
            return ImageRow(repository: repository, tag: tag, digest: digest ?? "<none>", image: image)
        }
    }
}

/// Splits `NAME:TAG`; a colon before the last slash belongs to a registry's port.
private func splitTag(_ name: String) -> (name: String, tag: String) {
    let start = name.lastIndex(of: "/") ?? name.startIndex
    guard let colon = name[start...].lastIndex(of: ":") else { return (name, "latest") }
    return (String(name[..<colon]), String(name[name.index(after: colon)...]))
}

private func splitDigest(_ name: String) -> (name: String, digest: String)? {
    guard let at = name.firstIndex(of: "@") else { return nil }
    return (String(name[..<at]), String(name[name.index(after: at)...]))
}

/// The twelve hexadecimal digits people know an image by.
func shortImageId(_ id: String) -> String {
    let prefix = "sha256:"
    return String((id.hasPrefix(prefix) ? id.dropFirst(prefix.count) : id[...]).prefix(12))
}

/// "3 days ago"; "N/A" when the image does not say when it was made.
func imageAge(_ created: Int64, now: Moment) -> String {
    created == 0 ? "N/A" : humanDuration(seconds: now.nanoseconds / 1_000_000_000 &- created) + " ago"
}

/// `2026-01-31 10:00:00 +0000 UTC`, as Go prints a time.
func goTime(_ seconds: Int64) -> String {
    let text = rfc3339Seconds(seconds)
    return text.replacing("T", with: " ").replacing("Z", with: " +0000 UTC")
}

/// How images are listed.
struct ImageLooks {
    var now: Moment
    var truncating = true
    var digests = false

    func id(_ id: String) -> String { truncating ? shortImageId(id) : id }

    func listing(_ images: [ImageSummary]) -> Listing {
        var columns = [("Repository", "REPOSITORY"), ("Tag", "TAG")]
        if digests { columns.append(("Digest", "DIGEST")) }
        columns += [("ID", "IMAGE ID"), ("CreatedSince", "CREATED"), ("Size", "SIZE")]
        return Listing(
            columns: columns,
            headings: [
                ("Digest", "DIGEST"), ("CreatedAt", "CREATED AT"), ("Containers", "CONTAINERS"),
                ("SharedSize", "SHARED SIZE"), ("UniqueSize", "UNIQUE SIZE"), ("VirtualSize", "SIZE"),
                ("SizeBytes", "SIZE"),
            ],
            rows: imageRows(images, digests: digests).map(row))
    }

    /// Docker's members, and `SizeBytes`.
    private func row(_ row: ImageRow) -> JSONText {
        let image = row.image
        func size(_ bytes: Int64?) -> String {
            guard let bytes, bytes >= 0 else { return "N/A" }
            return humanSize(bytes: bytes)
        }
        let shared = image.SharedSize ?? -1
        let containers = image.Containers ?? -1
        return .object([
            ("Containers", .string(containers < 0 ? "N/A" : "\(containers)")),
            ("CreatedAt", .string(goTime(image.Created))), ("CreatedSince", .string(imageAge(image.Created, now: now))),
            ("Digest", .string(row.digest)), ("ID", .string(id(image.Id))), ("Repository", .string(row.repository)),
            ("SharedSize", .string(size(shared))), ("Size", .string(humanSize(bytes: image.Size))),
            ("SizeBytes", .number(image.Size)), ("Tag", .string(row.tag)),
            ("UniqueSize", .string(shared < 0 ? "N/A" : size(image.Size - shared))),
            ("VirtualSize", .string(humanSize(bytes: image.Size))),
        ])
    }

    /// Output of `gantry history`.
    func history(_ steps: [ImageHistoryItem], human: Bool) -> Listing {
        let createdByWidthMax = 45
        let rows = steps.map { step in
            let line = String(step.CreatedBy.map { $0 == "\t" || $0 == "\n" ? " " : $0 })
            let created = human ? imageAge(step.Created, now: now) : rfc3339Seconds(step.Created)
            return JSONText.object([
                ("Comment", .string(step.Comment)), ("CreatedAt", .string(rfc3339Seconds(step.Created))),
                ("CreatedBy", .string(truncating ? line.truncated(to: createdByWidthMax) : line)),
                ("CreatedSince", .string(created)), ("ID", .string(step.Id.hasPrefix("<") ? step.Id : id(step.Id))),
                ("Size", .string(human ? humanSize(bytes: step.Size) : "\(step.Size)")),
            ])
        }
        return Listing(
            columns: [
                ("ID", "IMAGE"), ("CreatedSince", "CREATED"), ("CreatedBy", "CREATED BY"), ("Size", "SIZE"),
                ("Comment", "COMMENT"),
            ], headings: [("CreatedAt", "CREATED AT")], rows: rows)
    }
}
