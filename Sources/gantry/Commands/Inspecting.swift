/// What `inspect` does for each kind of object: those that are there are shown, and what is wrong with the others told
/// afterwards.
///
/// - Parameters:
///   - format: `json`, on one line, or a Go template; `nil` is JSON for people.
///   - strict: a member that the template names and an object does not have is an error.
func inspect(
    _ names: [String], format: String?, strict: Bool, _ session: Session, _ document: (String) throws -> JSONText
) throws {
    let template = try format.flatMap { text throws(CommandFailure) in
        text == "json" ? nil : try FormatTemplate(text)
    }
    var found: [JSONText] = []
    var problem: CommandFailure?
    do {
        try forEach(names) { found.append(try document($0)) }
    } catch let failure as CommandFailure {
        problem = failure
    }
    if let template {
        for object in found {
            try session.output.write(harmless(try template.render(object, strict: strict), .paragraphs) + "\n")
        }
    } else {
        let list = JSONText.array(found)
        try session.output.write((format == nil ? list.indented : list.text) + "\n")
    }
    if let problem { throw problem }
}
