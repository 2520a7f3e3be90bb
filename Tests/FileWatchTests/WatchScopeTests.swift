import Dockerfile
import Testing

@testable import FileWatch

@Suite struct WatchScopeTests {
    private func scope(ignore: [String] = [], include: [String] = []) throws -> WatchScope {
        var filters = [PathFilter.ofEditors, try .ignoring(ignore, base: "/src/app")]
        if !include.isEmpty { filters.append(try .including(include, base: "/src/app")) }
        return WatchScope(root: "/src/app", filters: filters)
    }

    @Test func everythingBelowTheRootCounts() throws {
        let scope = try scope()
        for path in ["/src/app", "/src/app/a", "/src/app/a/b.txt"] { #expect(scope.includes(path), "\(path)") }
        for path in ["/src", "/src/apple", "/other"] { #expect(!scope.includes(path), "\(path)") }
    }

    @Test(arguments: [
        "x/.git/HEAD", ".git", ".idea/workspace.xml", "a/.#lock", "a/main.c~", "a/.main.c.swp", "4913",
        "b.txt___jb_tmp___",
    ])
    func editorsFilesDoNot(name: String) throws { #expect(try !scope().includes("/src/app/\(name)")) }

    @Test(arguments: [".gitignore", "main.c", ".env", "swp", "a/49130", "x.swp"])
    func whatLooksLikeThemDoes(name: String) throws { #expect(try scope().includes("/src/app/\(name)")) }

    @Test func ignoresAreRelativeToTheRoot() throws {
        let scope = try scope(ignore: ["node_modules/", "**/*.tmp", "/src/app/dist", "!keep.tmp"])
        for name in ["node_modules", "node_modules/a/b.js", "a/b.tmp", "dist/x"] {
            #expect(!scope.includes("/src/app/\(name)"), "\(name)")
        }
        for name in ["a/node_modules", "keep.tmp", "src/app/dist", "a/dist"] {
            #expect(scope.includes("/src/app/\(name)"), "\(name)")
        }
    }

    @Test func includesChooseAndCanBeTakenBack() throws {
        let scope = try scope(include: ["*.go", "web/**", "!web/old"])
        for name in ["main.go", "web/a/b.css"] { #expect(scope.includes("/src/app/\(name)"), "\(name)") }
        for name in ["main.c", "sub/main.go", "web/old/x"] { #expect(!scope.includes("/src/app/\(name)"), "\(name)") }
    }

    /// A `.dockerignore` of `*` and exceptions says what a build needs; Docker Compose watches the rest, too.
    @Test func ignoringAllIgnoresNothing() throws {
        let scope = try scope(ignore: ["*", "!src", "a"])
        for name in ["a", "b/c", "src/x"] { #expect(scope.includes("/src/app/\(name)"), "\(name)") }
        #expect(try self.scope(include: ["*"]).includes("/src/app/a"))
    }

    @Test func foldersWithoutAnythingThatCountsAreSkipped() throws {
        let scope = try scope(ignore: ["vendor", "cache", "!cache/keep"], include: ["**/*.go", "docs"])
        func skips(_ name: String) -> Bool {
            scope.canSkip("/src/app/\(name)", scope.state(of: "/src/app/\(name)"))
        }
        #expect(skips("vendor") && skips("vendor/x") && skips(".git") && !skips("cache") && !skips("a/b"))
        let flat = try self.scope(include: ["*.go"])
        #expect(flat.canSkip("/src/app/sub", flat.state(of: "/src/app/sub")))
        #expect(!flat.canSkip("/src/app", flat.state(of: "/src/app")))
    }

    @Test func aFilterAboveTheRootCounts() throws {
        let context = try PathFilter.ignoring(["app/gen", "*.md"], base: "/src")
        let scope = WatchScope(root: "/src/app", filters: [context])
        #expect(!scope.includes("/src/app/gen/x") && scope.includes("/src/app/a.md"))
        let below = WatchScope(root: "/src", filters: [try .ignoring(["gen"], base: "/src/app")])
        #expect(below.includes("/src/gen") && !below.includes("/src/app/gen") && below.includes("/src/app"))
    }

    @Test func stepsGiveWhatTheWholePathGives() throws {
        let scope = try scope(ignore: ["a/**/x", "!a/b/x", "**/*.o"], include: ["a", "lib/*"])
        for path in ["a/b/x", "a/c/x", "lib/z", "lib/z.o", "a/b/c/d"] {
            var state = scope.state(of: "/src/app")
            var current = "/src/app"
            for name in path.split(separator: "/") {
                current += "/\(name)"
                state = scope.state(of: current, in: state)
            }
            #expect(scope.isWanted(state) == scope.includes(current), "\(path)")
        }
    }

    @Test func aPatternThatMeansNothingIsAnError() {
        #expect(throws: FileWatchError.self) { try PathFilter.ignoring(["a["], base: "/") }
    }
}

@Suite struct ChangeTimerTests {
    @Test func waitsForAQuietMoment() {
        var timer = ChangeTimer(quietMilliseconds: 100, longestMilliseconds: 1_000)
        #expect(timer.remaining(at: 5) == nil)
        timer.note(at: 10)
        #expect(timer.remaining(at: 10) == 100)
        timer.note(at: 60)
        #expect(timer.remaining(at: 60) == 100 && timer.remaining(at: 159) == 1 && timer.remaining(at: 160) == 0)
        timer.reset()
        #expect(timer.remaining(at: 200) == nil)
    }

    @Test func butNotForEver() {
        var timer = ChangeTimer(quietMilliseconds: 100, longestMilliseconds: 1_000)
        for now in stride(from: UInt64(0), through: 990, by: 10) { timer.note(at: now) }
        #expect(timer.remaining(at: 990) == 10 && timer.remaining(at: 1_000) == 0)
    }

    @Test func endsOfTheScaleAreNoTrap() {
        var timer = ChangeTimer(quietMilliseconds: .max, longestMilliseconds: .max)
        timer.note(at: .max)
        #expect(timer.remaining(at: .max) == 0)
    }
}
