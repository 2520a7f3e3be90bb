import Testing

@testable import gantry

/// Docker's rules for `cp`, without a container.
@Suite struct CopyPlanTests {
    @Test func argumentsAreToldApart() {
        #expect(CopyPlace("box:/a:b") == .container(name: "box", path: "/a:b"))
        #expect(CopyPlace("box:a") == .container(name: "box", path: "a"))
        for local in ["/a:b", "./a:b", "../a:b", "a", "-", ":x"] { #expect(CopyPlace(local) == .local(local)) }
    }

    private func plan(_ source: String, folder: Bool, _ destination: CopyEnd) throws -> [String] {
        let plan = try CopyPlan(from: CopyEnd(path: source, isFolder: folder), to: destination)
        return [plan.folder, plan.oldName, plan.newName]
    }

    @Test func whereAndUnderWhichName() throws {
        let folder = CopyEnd(path: "/d", isFolder: true)
        let file = CopyEnd(path: "/d/f")
        let nothing = CopyEnd(path: "/d/n", exists: false)
        #expect(try plan("/s/f", folder: false, folder) == ["/d", "f", "f"])
        #expect(try plan("/s/f", folder: false, file) == ["/d/", "f", "f"])
        #expect(try plan("/s/f", folder: false, nothing) == ["/d/", "f", "n"])
        #expect(try plan("/s", folder: true, folder) == ["/d", "s", "s"])
        #expect(try plan("/s/.", folder: true, folder) == ["/d", ".", "."])
        #expect(try plan("/s", folder: true, nothing) == ["/d/", "s", "n"])
        #expect(try plan("/s/.", folder: true, nothing) == ["/d/", ".", "n"])
        #expect(try plan("/", folder: true, nothing) == ["/d/", "", "n"])
        #expect(try plan("/s", folder: true, CopyEnd(path: "/d/n/", exists: false)) == ["/d/", "s", "n"])
        #expect(throws: CommandFailure.self) { _ = try plan("/s", folder: true, file) }
        #expect(throws: CommandFailure.self) {
            _ = try plan("/s/f", folder: false, CopyEnd(path: "/d/n/", exists: false))
        }
    }

    private func renamed(_ old: String, _ new: String, _ path: String) throws -> String? {
        var plan = try CopyPlan(from: CopyEnd(path: "/x"), to: CopyEnd(path: "/y", isFolder: true))
        (plan.oldName, plan.newName) = (old, new)
        return plan.rename(Array(path.utf8)).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func entriesAreRenamedByTheirTop() throws {
        #expect(try renamed("a", "b", "a/a/f") == "b/a/f")
        #expect(try renamed("a", "b", "a") == "b")
        #expect(try renamed(".", "b", "f") == "b/f")
        #expect(try renamed(".", "b", "") == "b")
        #expect(try renamed(".", ".", "f") == "f")
        #expect(try renamed("", "b", "etc/f") == "b/etc/f")
        // What is not below the top was not asked for.
        #expect(try renamed("a", "b", "ab/f") == nil)
        #expect(try renamed("a", "a", "c") == nil)
    }

    @Test func linksKeepTheNameAskedFor() {
        #expect(CopyPlan.following("/l", to: "/a/t").path == "/a/t")
        #expect(CopyPlan.following("/l", to: "/a/t").name == "l")
        #expect(CopyPlan.following("/t/", to: "/a/t").path == "/a/t/")
        #expect(CopyPlan.following("/t", to: "/a/t").name == nil)
    }

    @Test func localPathsKeepTheirEnd() {
        #expect(absoluteLocalPath(".", "/w") == "/w/.")
        #expect(absoluteLocalPath("a/", "/w") == "/w/a/")
        #expect(absoluteLocalPath("../x/./y", "/w/v") == "/w/x/y")
        #expect(absoluteLocalPath("/", "/w") == "/")
    }
}
