import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

/// Large stores, and stores whose process dies in the middle of things.
@Suite(.serialized) struct GarbageTests {
    private func seconds(_ body: () throws -> Void) rethrows -> Double {
        let clock = ContinuousClock()
        let taken = try clock.measure(body)
        return Double(taken.components.seconds) + Double(taken.components.attoseconds) / 1e18
    }

    /// The times stand in the test's output; the limits hold on a busy machine and in a debug build.
    @Test func twoHundredImagesOfTwoThousandLayers() throws {
        let fixture = try StoreFixture()
        for index in 0..<200 {
            let layers = (0..<10).map { Archives.layer("file-\(index)-\($0)", "content") }
            try fixture.load(Archives.docker(layers: layers, tags: ["many:\(index)"]))
        }
        #expect(try FileSystem.list("\(fixture.store.root)/layers").count == 2000)
        let orphan = "\(fixture.store.root)/layers/\(Digest.sha256(of: [9]).hex)"
        try FileSystem.makeDirectories("\(orphan)/fs")
        let secondsMax = 10.0
        var count = 0
        let list = try seconds { count = try fixture.store.images().count }
        let usage = seconds { count += fixture.store.usage().images.count }
        var collected = CollectedGarbage()
        let collection = try seconds { collected = try fixture.store.collectGarbage() }
        print("200 images, 2,000 layers: images \(list) s, usage \(usage) s, collection \(collection) s")
        #expect(count == 400 && collected == CollectedGarbage(blobCount: 0, layerCount: 1))
        #expect(list < secondsMax && usage < secondsMax && collection < secondsMax)
    }

    /// Twenty times a process loads, pulls, removes and collects until it is killed; what has a name is always whole.
    @Test func killedTwentyTimesTheStoreStaysWhole() throws {
        let folder = try TestFolder()
        let root = "\(folder.path)/images"
        var generator = SeededGenerator(state: 20)
        let base = (0..<3).map { Archives.layer("base-\($0)", String(repeating: "b", count: 5000)) }
        do {
            let store = try ImageStore(root: root)
            let file = try FileDescriptor.open(
                try folder.write("base", Archives.docker(layers: base, tags: ["base:1"])), O_RDONLY)
            _ = try store.load(from: file.raw)
        }
        for round in 0..<20 {
            let microseconds = UInt32.random(in: 1000...120_000, using: &generator)
            let child = try forked()
            if child == 0 {
                // Locks of stores that other tests have open.
                close_range(3, .max, 0)
                GarbageTests.churn(root, folder.path, base)
            }
            usleep(microseconds)
            kill(child, SIGKILL)
            var status: Int32 = 0
            waitpid(child, &status, 0)
            #expect(status & 0x7f == SIGKILL, "round \(round): the child ended by itself")
            let store = try reopenedStore(root)
            for image in try store.images() { #expect(try store.verify(image) == [], "round \(round)") }
            #expect(try store.image("base:1").layers.count == 3)
            try store.collectGarbage()
            for image in try store.images() { #expect(try store.verify(image) == [], "round \(round), collected") }
            #expect(try store.emptiedTemporaries() == [])
        }
        let store = try reopenedStore(root)
        try store.collectGarbage(keepingInterrupted: false)
        let needed = try store.images().flatMap { image in image.layers.map(\.diffID.hex) }
        #expect(try FileSystem.list("\(root)/layers") == Set(needed).sorted())
    }

    /// Swift hides fork(2) because of the locks that other threads may hold: a child that waits for one is killed as
    /// any other, and makes the round an easy one.
    private func forked() throws -> pid_t {
        let symbol = try #require(dlsym(nil, "fork"))
        let child = unsafeBitCast(symbol, to: (@convention(c) () -> pid_t).self)()
        try #require(child >= 0)
        return child
    }

    /// In the child: never returns.
    private static func churn(_ root: String, _ folder: String, _ base: [[UInt8]]) -> Never {
        do {
            let store = try reopenedStore(root)
            for round in 0..<100_000 {
                let own = (0..<3).map { Archives.layer("own-\(round)-\($0)", String(repeating: "o", count: 3000)) }
                let archive = "\(folder)/own"
                try FileSystem.replaceFile(archive, with: Archives.docker(layers: [base[0]] + own, tags: ["own:1"]))
                let file = try FileDescriptor.open(archive, O_RDONLY)
                let loaded = try store.load(from: file.raw)
                let intake = try store.beginIntake(try ImageReference(parsing: "pulled:1"))
                for layer in own + [Archives.layer("pulled-\(round)")] {
                    let digest = Digest.sha256(of: layer)
                    guard let blob = try intake.startLayer(digest, byteCount: Int64(layer.count), diffID: digest)
                    else { continue }
                    // What a killed round left of it is there.
                    try blob.write(Array(layer.dropFirst(Int(blob.byteCount))))
                    try blob.finish()
                }
                if round % 3 == 1 { _ = try store.remove([loaded[0].id]) }
                _ = try store.remove(Set(store.images().filter { $0.references.isEmpty }.map(\.id)))
            }
        } catch {
            print("churn: \(error)")
        }
        _exit(1)
    }
}
