import LinuxSystem
import Testing

@testable import Images

/// Manifests, indexes and configurations made to confuse, to be read for ever, or to fill memory.
@Suite struct HostileDocumentTests {
    private let layer = Archives.layer()
    private var diffID: Digest { Digest.sha256(of: layer) }

    /// Why it was refused, after which nothing may be left; nil when it was not.
    private func refusal(_ archive: [UInt8], options: ImageStoreOptions = ImageStoreOptions()) throws -> String? {
        let fixture = try StoreFixture(options: options)
        do {
            _ = try fixture.load(archive)
            return nil
        } catch let error as ImageError {
            #expect(try fixture.content() == [])
            #expect(try fixture.store.images().isEmpty)
            return error.description
        }
    }

    /// A layout whose `index.json` names `top`, with these blobs.
    private func layout(_ top: String, _ blobs: [[UInt8]]) -> [UInt8] {
        var tar = TarBuilder()
        tar.file("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}")
        for blob in blobs { tar.file("blobs/sha256/\(Digest.sha256(of: blob).hex)", blob) }
        tar.file("index.json", "{\"schemaVersion\":2,\"manifests\":[\(top)]}")
        return tar.finished
    }

    private func docker(config: String) -> [UInt8] {
        var tar = TarBuilder()
        tar.file("c.json", config)
        tar.file("l.tar", layer)
        tar.file("manifest.json", "[{\"Config\":\"c.json\",\"RepoTags\":[\"t:1\"],\"Layers\":[\"l.tar\"]}]")
        return tar.finished
    }

    @Test func deepJSON() throws {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
            for isClosed in [true, false] {
                let depth = 200_000
                let text =
                    String(repeating: open, count: depth) + "1"
                    + (isClosed ? String(repeating: close, count: depth) : "")
                var tar = TarBuilder()
                tar.file("manifest.json", text)
                #expect(try refusal(tar.finished) != nil, "\(open)")
                #expect(try refusal(docker(config: "{\"rootfs\":\(text)}")) != nil, "\(open)")
                #expect(throws: ImageError.self) {
                    try decodeJSON(ManifestDocument.self, Array(text.utf8), what: "a manifest")
                }
            }
        }
    }

    /// Of two equal keys one is read, and everything is checked by that one: what is stored is what was checked.
    @Test func duplicateKeys() throws {
        let other = Digest.sha256(of: [7])
        for diffIDs in [[diffID, other], [other, diffID]] {
            let config =
                "{\"architecture\":\"amd64\",\"os\":\"linux\","
                + diffIDs.map { "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"\($0)\"]}" }.joined(separator: ",")
                + "}"
            let fixture = try StoreFixture()
            do {
                let loaded = try #require(try fixture.load(docker(config: config)).first)
                #expect(try fixture.store.image(loaded.id.description).layers.map(\.diffID) == [diffID])
            } catch is ImageError {
                #expect(try fixture.store.images().isEmpty)
            }
        }
    }

    @Test func indexesInIndexes() throws {
        let config = Archives.config([diffID])
        let manifest = Array(
            ("{\"schemaVersion\":2,\"config\":\(Archives.descriptor(config, type: MediaType.config)),"
                + "\"layers\":[\(Archives.descriptor(layer))]}").utf8)
        for (depth, isTaken) in [(3, true), (20, false), (400, false)] {
            var blobs = [config, layer, manifest]
            var top = Archives.descriptor(manifest, type: MediaType.manifest)
            for _ in 0..<depth {
                let index = Array("{\"schemaVersion\":2,\"manifests\":[\(top)]}".utf8)
                blobs.append(index)
                top = Archives.descriptor(index, type: MediaType.index)
            }
            #expect((try refusal(layout(top, blobs)) == nil) == isTaken, "\(depth)")
        }
    }

    /// One small manifest, named again and again.
    @Test func moreOfTheSame() throws {
        let descriptor = Archives.descriptor(layer)
        let many = Array(repeating: descriptor, count: 20_000).joined(separator: ",")
        #expect(try refusal(layout(many, [layer])) != nil)
        let config = Archives.config(Array(repeating: diffID, count: 5_000))
        let manifest = Array(
            ("{\"schemaVersion\":2,\"config\":\(Archives.descriptor(config, type: MediaType.config)),"
                + "\"layers\":[\(Array(repeating: descriptor, count: 5_000).joined(separator: ","))]}").utf8)
        let top = Archives.descriptor(manifest, type: MediaType.manifest)
        #expect(try refusal(layout(top, [config, layer, manifest])) == "bad image archive: more than 500 layers")
        let history = String(repeating: "{},", count: 100_000) + "{}"
        let rootfs = "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"\(diffID)\"]}"
        // Taken or refused, but not for long.
        _ = try refusal(docker(config: "{\"os\":\"linux\",\"history\":[\(history)],\(rootfs)}"))
    }

    @Test func otherSystems() throws {
        let rootfs = "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"\(diffID)\"]}"
        #expect(try refusal(docker(config: "{\"os\":\"windows\",\(rootfs)}"))?.contains("windows") == true)
        #expect(try refusal(docker(config: "{\"os\":\"linux\\u0000\",\(rootfs)}")) != nil)
        // The index says this machine, the configuration another.
        let config = Array("{\"os\":\"windows\",\(rootfs)}".utf8)
        let manifest = Array(
            ("{\"schemaVersion\":2,\"config\":\(Archives.descriptor(config, type: MediaType.config)),"
                + "\"layers\":[\(Archives.descriptor(layer))]}").utf8)
        let platform = ",\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}"
        let top = Archives.descriptor(manifest, type: MediaType.manifest, extra: platform)
        #expect(try refusal(layout(top, [config, layer, manifest]))?.contains("windows") == true)
    }

    /// What a layer cannot be is told; nothing of it goes anywhere else.
    @Test(arguments: [
        "\"sha256:" + String(repeating: "A", count: 64) + "\"", "\"sha512:" + String(repeating: "a", count: 128) + "\"",
        "\"sha256:../../../../../../../../etc/passwd\"", "\"md5:d41d8cd98f00b204e9800998ecf8427e\"", "\"\"", "null",
        "7",
        "\"sha256:" + String(repeating: "a", count: 63) + "\\u0000\"", "[\"sha256:\"]",
    ])
    func digestsThatAreNone(text: String) throws {
        #expect(try refusal(docker(config: "{\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\(text)]}}")) != nil)
        #expect(try refusal(layout("{\"digest\":\(text),\"size\":1}", [layer])) != nil)
    }

    /// Two layers unpack at once, each in a folder of its own: a link of one leads no file of the other anywhere.
    @Test func linksOfParallelLayers() throws {
        let outside = try TestFolder()
        let sentinel = try outside.write("sentinel", Array("untouched".utf8))
        var layers: [[UInt8]] = []
        for number in 0..<8 {
            var tar = TarBuilder()
            if number % 2 == 0 {
                for index in 0..<200 { tar.symlink("d\(index)", to: outside.path) }
            } else {
                for index in 0..<200 {
                    tar.file("d\(index)/sentinel", "evil \(number)")
                    tar.file("d\(index)/.wh.sentinel2")
                }
            }
            layers.append(tar.finished)
        }
        var options = ImageStoreOptions()
        options.unpackThreadCount = 4
        let fixture = try StoreFixture(options: options)
        let loaded = try #require(try fixture.load(Archives.docker(layers: layers)).first)
        #expect(try FileSystem.readFile(sentinel) == Array("untouched".utf8))
        #expect(try FileSystem.list(outside.path) == ["sentinel"])
        let image = try fixture.store.image(loaded.id.description)
        #expect(try FileSystem.readFile(image.layers[1].path + "/d7/sentinel") == Array("evil 1".utf8))
    }

    /// Names, users, paths and signals are text to the store; who uses them checks them.
    @Test func configurationsWithAnythingInThem() throws {
        let rootfs = "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"\(diffID)\"]}"
        let config = """
            {"os":"linux","config":{"User":"../../root:0","WorkingDir":"/../../proc/self/fd/7","StopSignal":"SIG\\u0000KILL",\
            "Volumes":{"/../../etc":{},"relative/..":{},"":{}},"ExposedPorts":{"99999999999/tcp":{},"x/../y":{}},\
            "Env":["=","\\n=\\u001b[31m","PATH"],"Labels":{"io.gantry.internal":"yes","":""},\
            "Healthcheck":{"Test":["CMD"],"Interval":-9223372036854775808,"Retries":-1}},\(rootfs)}
            """
        let fixture = try StoreFixture()
        let loaded = try #require(try fixture.load(docker(config: config)).first)
        let read = try fixture.store.image(loaded.id.description).config.config
        #expect(read.user == "../../root:0" && read.workingDir == "/../../proc/self/fd/7")
        #expect(try fixture.content().allSatisfy { $0.hasPrefix("blobs/sha256/") || $0.hasPrefix("layers/") })
    }
}
