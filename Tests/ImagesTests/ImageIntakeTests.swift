import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

/// Pulls, without a registry: bytes are handed over as they would arrive.
@Suite struct ImageIntakeTests {
    private let reference: ImageReference
    private let layers: [[UInt8]]
    private let config: [UInt8]
    private let manifest: [UInt8]

    init() throws {
        reference = try ImageReference(parsing: "registry.example/app:1")
        layers = [Archives.layer("lower", String(repeating: "l", count: 9000)), Archives.layer("upper", "2")]
        config = Archives.config(layers.map(Digest.sha256(of:)))
        let list = layers.map { Archives.descriptor($0, type: MediaType.layer(.none)) }.joined(separator: ",")
        let document = Archives.descriptor(config, type: MediaType.config)
        manifest = Array("{\"schemaVersion\":2,\"config\":\(document),\"layers\":[\(list)]}".utf8)
    }

    private func start(_ intake: ImageIntake, _ index: Int) throws -> LayerIntake? {
        let digest = Digest.sha256(of: layers[index])
        return try intake.startLayer(digest, byteCount: Int64(layers[index].count), diffID: digest)
    }

    private func commit(_ intake: ImageIntake) throws -> Image {
        try intake.commit(manifest: manifest, config: config, references: [reference])
    }

    @Test func aPullMakesAnImage() throws {
        let fixture = try StoreFixture()
        let intake = try fixture.store.beginIntake(reference)
        for index in layers.indices {
            let blob = try #require(try start(intake, index))
            for start in stride(from: 0, to: layers[index].count, by: 700) {
                try blob.write(Array(layers[index][start..<min(start + 700, layers[index].count)]))
            }
            try blob.finish()
        }
        let image = try commit(intake)
        #expect(try fixture.store.image("registry.example/app:1").id == image.id)
        #expect(try FileSystem.readFile(image.layers[1].path + "/upper") == Array("2".utf8))
        let again = try fixture.store.beginIntake(reference)
        for index in layers.indices { #expect(try start(again, index) == nil) }
        #expect(try commit(again).id == image.id)
        #expect(try fixture.content().filter { !$0.hasPrefix("blobs") && !$0.hasPrefix("layers") } == [])
    }

    @Test func whatArrivedIsTakenUpAgain() throws {
        let fixture = try StoreFixture()
        do {
            let intake = try fixture.store.beginIntake(reference)
            let whole = try #require(try start(intake, 1))
            try whole.write(layers[1])
            try whole.finish()
            let blob = try #require(try start(intake, 0))
            try blob.write(Array(layers[0][..<5000]))
        }
        // Neither a collection nor a new start of the store takes it.
        #expect(try fixture.store.collectGarbage() == CollectedGarbage())
        let intake = try fixture.store.beginIntake(reference)
        #expect(try start(intake, 1) == nil)
        let blob = try #require(try start(intake, 0))
        #expect(blob.byteCount == 5000)
        try blob.write(Array(layers[0][5000...]))
        try blob.finish()
        let image = try commit(intake)
        #expect(try FileSystem.readFile(image.layers[0].path + "/lower").count == 9000)
    }

    /// As after a power cut, or from a registry that once sent something else: the next attempt must not fail on it,
    /// too.
    @Test func damagedRestsAreNotTakenUpForever() throws {
        let fixture = try StoreFixture()
        let digest = Digest.sha256(of: layers[0])
        func begin() throws -> (ImageIntake, LayerIntake) {
            let intake = try fixture.store.beginIntake(reference)
            return (intake, try #require(try start(intake, 0)))
        }
        // No tar at all: found while unpacking. Zeros are an empty tar: found by the digest.
        for damage: UInt8 in [0x55, 0] {
            try FileSystem.replaceFile(
                "\(fixture.store.root)/partial/\(digest.hex)", with: [UInt8](repeating: damage, count: 4096))
            let (intake, blob) = try begin()
            #expect(blob.byteCount == 4096)
            #expect(throws: ImageError.self) {
                for byte in layers[0][4096...] {
                    try blob.write([byte])
                    usleep(10)
                }
                try blob.finish()
            }
            intake.end()
            let (again, fresh) = try begin()
            #expect(fresh.byteCount == 0)
            fresh.abandon()
            again.end()
        }
    }

    /// What a pull needs is written down by whichever layer begins; all begin at once.
    @Test func layersBeginAtTheSameTime() throws {
        let fixture = try StoreFixture()
        let intake = try fixture.store.beginIntake(reference)
        let many = (0..<32).map { Archives.layer("many-\($0)") }
        try onThreads(count: many.count) { index throws(ImageError) in
            let digest = Digest.sha256(of: many[index])
            guard let blob = try intake.startLayer(digest, byteCount: Int64(many[index].count), diffID: digest) else {
                throw .notFound(name: "a new layer", similar: [])
            }
            try blob.write(many[index])
            try blob.finish()
        }
        let written = try ImageStore.readPull(fixture.store.pullPath(reference))
        #expect(written == Set(many.map(Digest.sha256(of:))))
    }

    /// A flush that began before one asked does not count.
    @Test func flushesAreShared() throws {
        let flush = SharedFlush()
        let counts = Monitor((arrived: 0, begun: 0, ended: 0))
        let threadCount = 24
        try onThreads(count: threadCount) { _ throws(ImageError) in
            // All ask at once, however long the machine takes to start them.
            counts.change { $0.arrived += 1 }
            counts.wait { $0.arrived == threadCount ? () : nil }
            let begunBefore = counts.read { $0.begun }
            try flush.flush { () throws(ImageError) in
                counts.change { $0.begun += 1 }
                usleep(100_000)
                counts.change { $0.ended += 1 }
            }
            guard counts.read({ $0.ended }) > begunBefore else { throw .damaged("not flushed") }
        }
        #expect((1...6).contains(counts.read { $0.ended }))
    }

    @Test func wrongBytesAreThrownAway() throws {
        let fixture = try StoreFixture()
        let intake = try fixture.store.beginIntake(reference)
        var wrong = layers[0]
        wrong[600] ^= 1
        let blob = try #require(try start(intake, 0))
        try blob.write(wrong)
        #expect(throws: ImageError.self) { try blob.finish() }
        #expect(try #require(try start(intake, 0)).byteCount == 0)
        let long = try #require(try start(intake, 1))
        #expect(throws: ImageError.self) { try long.write(layers[1] + [0]) }
        #expect(throws: ImageError.self) { try commit(intake) }
    }

    @Test func contentOfAnotherLayerIsRefused() throws {
        let fixture = try StoreFixture()
        let intake = try fixture.store.beginIntake(reference)
        let blob = try #require(
            try intake.startLayer(
                Digest.sha256(of: layers[0]), byteCount: Int64(layers[0].count), diffID: Digest.sha256(of: layers[1])))
        try blob.write(layers[0])
        #expect(throws: ImageError.self) { try blob.finish() }
        #expect(try FileSystem.list("\(fixture.store.root)/layers") == [])
    }

    @Test func oldPullsAreForgotten() throws {
        let fixture = try StoreFixture()
        do {
            let intake = try fixture.store.beginIntake(reference)
            let whole = try #require(try start(intake, 1))
            try whole.write(layers[1])
            try whole.finish()
        }
        let path = fixture.store.pullPath(reference)
        let times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
        #expect(utimensat(AT_FDCWD, path, times, 0) == 0)
        #expect(try fixture.store.collectGarbage() == CollectedGarbage(blobCount: 1, layerCount: 1))
        #expect(try fixture.content() == [])
    }
}
