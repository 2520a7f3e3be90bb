import Images

@testable import Images
@testable import Registry

/// What libFuzzer calls with each input: text of a server or an archive, its first byte says which. Each is read as a
/// value or refused with a typed error; a crash, a hang or a value that is not read back as it was written is a fault.
///
///     make fuzz-images FUZZ_SECONDS=600
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDocument(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard let kind = bytes.first else { return 0 }
    let rest = Array(bytes.dropFirst())
    let text = String(decoding: rest, as: UTF8.self)
    switch kind & 7 {
    case 0: readReference(text)
    case 1: readConfig(rest)
    case 2: readManifest(rest)
    case 3: readHeaders(text)
    case 4: readConfiguration(rest, text)
    case 5: readURL(text)
    case 6: readPath(rest)
    default: readDigest(text)
    }
    return 0
}

/// A typed error is as good as a value.
private func attempt<Value>(_ body: () throws -> Value) -> Value? {
    do {
        return try body()
    } catch {
        guard error is ImageError || error is RegistryError else { fail("untyped error: \(error)") }
        precondition(!"\(error)".isEmpty)
        return nil
    }
}

private func must<Value>(_ what: String, _ body: () throws -> Value) -> Value {
    do {
        return try body()
    } catch {
        fail("\(what): \(error)")
    }
}

private func readReference(_ text: String) {
    guard let reference = attempt({ try ImageReference(parsing: text) }) else { return }
    for written in [reference.canonical, reference.familiar] {
        precondition(must(written) { try ImageReference(parsing: written) } == reference)
    }
    // A tag may have two dots, but no slash.
    let place = "\(reference.registry)/\(reference.repository)"
    precondition(!place.contains("..") && !place.contains("//") && reference.tag?.contains("/") != true)
    precondition(reference.canonical.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f })
    // What is asked of a registry for it stays below its name.
    let name = RepositoryName(reference)
    _ = RegistryURL(scheme: .https, authority: name.registry, path: "/v2/\(name)/manifests/x")
}

private func readConfig(_ bytes: [UInt8]) {
    if let config = attempt({ try decodeJSON(ImageConfig.self, bytes, what: "a config") }) {
        _ = config.createdSeconds
        let written = must("config") { try encodeJSON(config) }
        let again = must("config") { try decodeJSON(ImageConfig.self, written, what: "a config") }
        guard again == config else { fail("\(config) became \(again)") }
    }
    _ = attempt { try RootFileSystem(config: bytes, host: "h") }
}

private func readManifest(_ bytes: [UInt8]) {
    if let document = attempt({ try decodeJSON(Images.ManifestDocument.self, bytes, what: "a manifest") }) {
        let written = must("manifest") { try encodeJSON(document) }
        precondition(must("manifest") { try decodeJSON(Images.ManifestDocument.self, written, what: "m") } == document)
    }
    _ = attempt { try decodeJSON([DockerManifest].self, bytes, what: "manifest.json") }
    for type in [nil, MediaTypes.image, "application/vnd.oci.image.index.v1+json"] {
        let read = attempt { try Registry.ManifestDocument.parse(bytes, contentType: type, host: "h") }
        guard let manifests = read?.manifests else { continue }
        let wanted = ImagePlatform(os: "linux", architecture: "amd64", variant: "v3")
        if let chosen = attempt({ try ImagePlatform.choose(wanted, among: manifests) }) {
            precondition(chosen.size >= 0)
        }
    }
}

private func readHeaders(_ text: String) {
    for challenge in Challenge.parse([text]) ?? [] { _ = challenge.parameters["realm"].flatMap { RegistryURL($0) } }
    _ = ContentRange(text)
    _ = ContentRange.parseUpload(text)
    _ = LinkHeader.next([text])
    _ = ScopeSet(parsing: text).scopes
    _ = ErrorDocument.details(Array(text.utf8))
    precondition(harmless(text).utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f })
}

private func readConfiguration(_ bytes: [UInt8], _ text: String) {
    _ = attempt { try TOMLDocument(parsing: bytes, path: "f") }
    _ = attempt { try CredentialFile(path: "f", parsing: bytes) }
    _ = attempt { try RegistryCredential.parse(registryAuthHeader: text) }
}

private func readURL(_ text: String) {
    guard let url = RegistryURL(text) else { return }
    precondition(RegistryURL(url.description) == url)
    precondition(!url.host.isEmpty && !url.host.contains("@"))
    if let next = url.resolving(text) { precondition(RegistryURL(next.description) == next) }
    for part in text.split(separator: " ") {
        if let next = url.resolving(String(part)) { precondition(RegistryURL(next.description) == next) }
    }
}

private func readPath(_ bytes: [UInt8]) {
    guard let path = attempt({ try EntryPath(cleaning: bytes) }) else { return }
    let components = path.bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    precondition(
        path.isRoot || components.allSatisfy { !$0.isEmpty && $0 != [46] && $0 != [46, 46] && $0.count <= 255 })
    precondition(must("path") { try EntryPath(cleaning: path.bytes) } == path)
    if case .hides(let name) = attempt({ try Whiteout(path: path) }) ?? nil {
        precondition(!name.isEmpty && !name.contains(UInt8(ascii: "/")))
    }
}

private func readDigest(_ text: String) {
    if let digest = Digest(text) { precondition(digest.description == text && !digest.hex.contains("/")) }
    if let platform = attempt({ try ImagePlatform(parsing: text) }) {
        precondition(must("platform") { try ImagePlatform(parsing: platform.description) } == platform)
    }
    _ = parseRFC3339(text)
    _ = LayerSize(text: text)
}

/// Ends the fuzzer: this input is a finding.
private func fail(_ why: String) -> Never {
    print(why)
    preconditionFailure(why)
}
