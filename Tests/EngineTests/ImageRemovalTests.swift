import Images
import Testing

@testable import Engine

@Suite struct ImageRemovalTests {
    /// Stores hand images out; an import of nothing makes one.
    private func image(_ names: String...) throws -> Image { try TestImageStore().image(names) }

    private func removal(
        _ image: Image, _ name: String, force: Bool = false, running: String? = nil, stopped: String? = nil
    ) throws -> ImageRemoval {
        try ImageRemoval(image, name: name, force: force, running: running, stopped: stopped)
    }

    private func conflict(_ body: () throws -> ImageRemoval) -> String {
        do {
            _ = try body()
            return "no conflict"
        } catch let error as EngineError {
            return error.status == 409 ? error.diagnostics.map(\.message).joined() : "\(error)"
        } catch {
            return "\(error)"
        }
    }

    @Test func lastNameTakesTheImage() throws {
        let image = try image("app:1")
        #expect(try removal(image, "app:1") == ImageRemoval(untags: image.references, deletes: true))
        #expect(try removal(image, image.id.hex) == ImageRemoval(untags: image.references, deletes: true))
        #expect(try removal(image, image.id.short) == ImageRemoval(untags: image.references, deletes: true))
    }

    @Test func oneOfSeveralNamesGoesAlone() throws {
        let image = try image("app:1", "app:2")
        let first = try ImageReference(parsing: "app:1")
        #expect(try removal(image, "app:1") == ImageRemoval(untags: [first], deletes: false))
        #expect(try removal(image, "app:1", running: "c") == ImageRemoval(untags: [first], deletes: false))
        #expect(conflict { try removal(image, image.id.hex) }.contains("referenced in multiple repositories"))
        #expect(try removal(image, image.id.hex, force: true) == ImageRemoval(untags: image.references, deletes: true))
    }

    @Test func digestsGoWithTheLastTag() throws {
        let digest = "sha256:" + String(repeating: "a", count: 64)
        let image = try image("app:1", "app@\(digest)")
        #expect(try removal(image, "app:1").deletes)
        #expect(try removal(image, "app:1").untags.count == 2)
        #expect(try removal(image, "app@\(digest)").deletes == false)
        #expect(try removal(image, image.id.hex).deletes)
    }

    @Test func containersHoldTheirImage() throws {
        let image = try image("app:1")
        #expect(
            conflict { try removal(image, "app:1", stopped: "c") }
                == "conflict: unable to remove repository reference \"app:1\" (must force) - container c is using its "
                + "referenced image \(image.id.short)")
        #expect(conflict { try removal(image, image.id.hex, stopped: "c") }.contains("(must be forced)"))
        // Forced, the name goes, and the image stays.
        for name in ["app:1", image.id.hex] {
            let forced = try removal(image, name, force: true, stopped: "c")
            #expect(forced == ImageRemoval(untags: image.references, deletes: false))
            #expect(
                conflict { try removal(image, name, force: true, running: "c") }
                    == "conflict: unable to delete \(image.id.short) (cannot be forced) - image is being used by "
                    + "running container c")
        }
    }

    private func filters(
        _ values: [String: [String]], known: Set<String> = ImageFilters.listKeys
    ) throws -> ImageFilters {
        try ImageFilters(values, known: known)
    }

    @Test func filters() throws {
        let some = try filters(["label": ["a", "b=1"], "dangling": ["false"], "reference": ["team/*", "x:?"]])
        #expect(some.matches(createdSeconds: 0, labels: ["a": "", "b": "1"]))
        #expect(!some.matches(createdSeconds: 0, labels: ["a": "", "b": "2"]))
        #expect(some.names(["team/app:1", "other:1", "x:1"]) == ["team/app:1", "x:1"])
        #expect(some.names(["other:1"]) == nil)
        #expect(some.names([]) == nil)
        #expect(try filters(["dangling": ["true"]]).names([]) == [])
        #expect(ImageFilters.matches("localhost:5000/a/b:1", pattern: "localhost:5000/a/*"))
        #expect(!ImageFilters.matches("a/b:1", pattern: "a*"))
        var times = try filters([:])
        times.before = 10
        times.since = 5
        #expect([4, 5, 6, 9, 10].filter { times.matches(createdSeconds: $0, labels: [:]) } == [6, 9])
    }

    /// An image says itself when it was made: nothing it says may overflow.
    @Test func agesOfImages() throws {
        let old = try filters(["until": ["1h30m"]])
        let now = Clock.now() / 1_000_000_000
        let ages: [Int64] = [.min, 0, now - 5460, now - 5340, now + 3600, .max]
        #expect(ages.map { old.matches(createdSeconds: $0, labels: [:]) } == [true, true, true, false, false, false])
    }

    /// A filter that a prune did not look at would remove what it should have kept.
    @Test func pruneKnowsOnlyWhatItLooksAt() throws {
        for key in ["reference", "before", "since"] {
            #expect(throws: EngineError.self) { try filters([key: ["a"]], known: ImageFilters.pruneKeys) }
        }
        let kept = try filters(["label": ["a"], "until": ["1"], "dangling": ["0"]], known: ImageFilters.pruneKeys)
        #expect(kept.dangling == false)
    }
}
