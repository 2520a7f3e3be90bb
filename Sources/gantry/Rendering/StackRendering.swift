import EngineWire

/// `running(3), exited(1)`: running first, then by name.
func statesText(_ states: [String: Int]) -> String {
    states.filter { $0.value > 0 }
        .sorted { ($0.key == "running" ? 0 : 1, $0.key) < ($1.key == "running" ? 0 : 1, $1.key) }
        .map { "\($0.key)(\($0.value))" }
        .joined(separator: ", ")
}

/// Output of `gantry ls`.
func renderStacks(_ stacks: [StackSummary]) -> String {
    let rows = stacks.map { [$0.name, statesText($0.states), $0.configFiles.joined(separator: ",")] }
    return renderTable(["NAME", "STATUS", "CONFIG FILES"], rows)
}

/// Output of `gantry ls --format json`: one array, as Docker Compose prints it.
func renderStacksJSON(_ stacks: [StackSummary]) -> String {
    let items = stacks.map { stack in
        JSONText.object([
            ("Name", .string(stack.name)), ("Status", .string(statesText(stack.states))),
            ("ConfigFiles", .string(stack.configFiles.joined(separator: ","))),
        ])
    }
    return JSONText.array(items).text + "\n"
}

/// One line of `gantry images`: an image under one of its names.
struct ImageRow: Equatable {
    var repository: String
    var tag: String
    var image: ImageSummary
}

/// Splits `NAME:TAG`; a colon before the last slash belongs to a registry's port.
func imageRows(_ images: [ImageSummary]) -> [ImageRow] {
    images.flatMap { image in
        if image.RepoTags.isEmpty { return [ImageRow(repository: "<none>", tag: "<none>", image: image)] }
        return image.RepoTags.map { name in
            let start = name.lastIndex(of: "/") ?? name.startIndex
            guard let colon = name[start...].lastIndex(of: ":") else {
                return ImageRow(repository: name, tag: "latest", image: image)
            }
            return ImageRow(
                repository: String(name[..<colon]), tag: String(name[name.index(after: colon)...]), image: image)
        }
    }
}

/// The twelve hexadecimal digits people know an image by.
func shortImageId(_ id: String) -> String {
    let prefix = "sha256:"
    return String((id.hasPrefix(prefix) ? id.dropFirst(prefix.count) : id[...]).prefix(12))
}

private func imageAge(_ image: ImageSummary, now: Moment) -> String {
    humanDuration(seconds: now.nanoseconds / 1_000_000_000 &- image.Created) + " ago"
}

/// Output of `gantry images`.
func renderImages(_ images: [ImageSummary], now: Moment) -> String {
    let rows = imageRows(images).map { row in
        [
            row.repository, row.tag, shortImageId(row.image.Id), imageAge(row.image, now: now),
            humanSize(bytes: row.image.Size),
        ]
    }
    return renderTable(["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"], rows)
}

/// Output of `gantry images --format json`: one object a line.
func renderImagesJSON(_ images: [ImageSummary], now: Moment) -> String {
    imageRows(images).map { row in
        JSONText.object([
            ("CreatedAt", .number(row.image.Created)), ("CreatedSince", .string(imageAge(row.image, now: now))),
            ("ID", .string(shortImageId(row.image.Id))), ("Repository", .string(row.repository)),
            ("Size", .string(humanSize(bytes: row.image.Size))), ("SizeBytes", .number(row.image.Size)),
            ("Tag", .string(row.tag)),
        ]).text + "\n"
    }.joined()
}
