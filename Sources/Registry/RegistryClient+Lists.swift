import FoundationEssentials
import Images

/// `Link: <address>; rel="next"` (RFC 8288).
enum LinkHeader {
    private static let byteCountMax = 16 << 10

    /// The address of the first link whose relation is `next`.
    static func next(_ fields: [String]) -> String? {
        for field in fields where field.utf8.count <= byteCountMax {
            var rest = field[...]
            while let open = rest.firstIndex(of: "<"), let close = rest[open...].firstIndex(of: ">") {
                let address = rest[rest.index(after: open)..<close]
                let tail = rest[rest.index(after: close)...]
                let end = tail.firstIndex(of: "<") ?? tail.endIndex
                if isNext(tail[..<end]) { return String(address) }
                rest = tail[end...]
            }
        }
        return nil
    }

    private static func isNext(_ parameters: Substring) -> Bool {
        parameters.split { $0 == ";" || $0 == "," }.contains { parameter in
            let parts = parameter.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[0].filter({ $0 != " " }).lowercased() == "rel" else { return false }
            return parts[1].filter { $0 != "\"" }.lowercased().split(separator: " ").contains("next")
        }
    }
}

extension RegistryClient {
    private static let pageCountMax = 1000
    private static let entryCountMax = 200_000

    private struct TagsDocument: Decodable {
        var tags: [String]?
    }

    private struct CatalogDocument: Decodable {
        var repositories: [String]?
    }

    /// Tags of a repository, in the registry's order. Names that no tag can have are left out.
    public func tags(_ name: RepositoryName, pageSize: Int = 1000) throws(RegistryError) -> [String] {
        let call = RegistryCall(name, "tags/list?n=\(pageSize)", what: "tags of \(name)")
        let tags = try pages(call, TagsDocument.self) { $0.tags ?? [] }
        return tags.filter(Self.isTag)
    }

    /// Repositories of a registry, as far as it tells.
    public func catalog(_ registry: String, pageSize: Int = 1000) throws(RegistryError) -> [String] {
        var call = RegistryCall(registry: registry, path: "/_catalog?n=\(pageSize)", what: "catalog of \(registry)")
        call.scopes = ScopeSet([.catalog])
        return try pages(call, CatalogDocument.self) { $0.repositories ?? [] }.map { harmless($0) }
    }

    private static func isTag(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= ImageReference.tagByteCountMax
            && text.utf8.allSatisfy { byte in
                (0x61...0x7a).contains(byte | 0x20) && byte >= 0x41 || (0x30...0x39).contains(byte)
                    || "._-".utf8.contains(byte)
            }
    }

    private func pages<Document: Decodable, Entry>(
        _ first: RegistryCall, _ type: Document.Type, _ entries: (Document) -> [Entry]
    ) throws(RegistryError) -> [Entry] {
        var call = first
        var all: [Entry] = []
        for _ in 0..<Self.pageCountMax {
            let answer = try perform(call)
            let response = answer.response
            all += entries(try decodeDocument(type, response.body, host: answer.endpoint.host, what: call.what))
            guard all.count <= Self.entryCountMax else {
                throw .invalidResponse(host: first.registry, why: "more than \(Self.entryCountMax) entries")
            }
            guard let link = LinkHeader.next(response.headers.all("link")) else { return all }
            // Only the registry itself goes on with its list.
            guard let next = response.url.resolving(link), next.isSameOrigin(as: response.url), next != response.url
            else { throw .invalidResponse(host: first.registry, why: "a next page at \(harmless(link))") }
            var endpoint = answer.endpoint
            endpoint.url.scheme = response.url.scheme
            call.continuation = (endpoint, next)
        }
        throw .invalidResponse(host: first.registry, why: "more than \(Self.pageCountMax) pages")
    }

    /// What refers to a manifest: signatures, bills of materials (distribution-spec, "Listing Referrers"), with the tag
    /// that stands in where a registry does not have the list.
    public func referrers(
        of digest: Digest, _ name: RepositoryName, artifactType: String? = nil
    ) throws(RegistryError) -> [ContentDescriptor] {
        let filter = artifactType.map { "?artifactType=\(percentEncoded($0))" } ?? ""
        var call = RegistryCall(name, "referrers/\(digest)\(filter)", what: "referrers of \(digest)")
        call.headers.add("accept", MediaTypes.index)
        call.accepted = [200, 404]
        let answer = try perform(call)
        var found: [ContentDescriptor]
        // A server that does not know the address may answer with a page of its own.
        if answer.response.status == 200, Self.mediaType(answer.response) == MediaTypes.index {
            call.accepted = [200]
            found = try pages(call, ManifestDocument.self) { $0.manifests ?? [] }
        } else {
            found = try taggedReferrers(digest, name)
        }
        if let artifactType { found = found.filter { $0.artifactType == artifactType } }
        return found
    }

    private func taggedReferrers(_ digest: Digest, _ name: RepositoryName) throws(RegistryError) -> [ContentDescriptor]
    {
        do throws(RegistryError) {
            let answer = try perform(manifestCall(name, "sha256-\(digest.hex)", what: "referrers of \(digest)"))
            let document = try ManifestDocument.parse(
                answer.response.body, contentType: Self.mediaType(answer.response), host: answer.endpoint.host)
            return document.manifests ?? []
        } catch .notFound {
            return []
        }
    }

    /// Removes a manifest, and with it all its tags; registries may refuse.
    public func deleteManifest(_ digest: Digest, _ name: RepositoryName) throws(RegistryError) {
        try delete(name, "manifests/\(digest)", what: "\(name)@\(digest)")
    }

    public func deleteBlob(_ digest: Digest, _ name: RepositoryName) throws(RegistryError) {
        try delete(name, "blobs/\(digest)", what: "blob \(digest)")
    }

    private func delete(_ name: RepositoryName, _ path: String, what: String) throws(RegistryError) {
        var call = RegistryCall(name, path, actions: ["pull", "delete"], what: what)
        call.method = "DELETE"
        call.capability = .push
        call.accepted = [200, 202, 204]
        do throws(RegistryError) {
            _ = try perform(call)
        } catch .status(_, 405, _) {
            throw .unsupported("removing content from \(name.registry): the registry does not allow it")
        }
    }
}
