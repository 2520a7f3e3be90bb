import FileWatch
import Glibc
import LinuxSystem
import StackModel
import Testing

@testable import gantry

/// From rules to what is done with a path. Pure.
@Suite struct WatchRulesTests {
    private let nothing = WatchActions(FileChanges(), [])

    private func rule(
        _ action: Develop.Watch.Action, _ path: String = "/p/src", target: String? = "/app",
        _ change: (inout Develop.Watch) -> Void = { _ in }
    ) -> Develop.Watch {
        var watch = Develop.Watch(path: path, action: action)
        watch.target = action.copies ? target : nil
        change(&watch)
        return watch
    }

    private func stack(_ services: [String: Service]) -> Stack { Stack(name: "shop", services: services) }

    private func service(_ watches: [Develop.Watch], _ change: (inout Service) -> Void = { _ in }) -> Service {
        var service = Service(image: "web")
        service.develop = Develop()
        service.develop?.watch = watches
        change(&service)
        return service
    }

    private func rules(
        _ watches: [Develop.Watch], files: [String: String] = [:], _ change: (inout Service) -> Void = { _ in }
    ) throws -> WatchRules {
        try WatchRules(stack(["web": service(watches, change)]), services: []) { path throws(SystemError) in
            guard let text = files[path] else { throw SystemError("open", path: path, code: ENOENT) }
            return Array(text.utf8)
        }
    }

    private func actions(_ changes: FileChanges, _ watches: [Develop.Watch]) throws -> WatchActions {
        WatchActions(changes, try rules(watches).rules)
    }

    @Test func pathsAreMappedBelowTheTarget() throws {
        let found = try rules([
            rule(.sync), rule(.sync, "/p/app.conf", target: "/etc/app/app.conf"),
            rule(.sync, "/p/app.conf", target: "/etc/app/"), rule(.syncRestart, "/p/", target: "work/../data"),
            rule(.sync, "/p/root", target: "/"),
        ]).rules
        #expect(
            found[0].mapping("/p/src/a/b") == PathMapping(root: "/p/src", host: "/p/src/a/b", container: "/app/a/b"))
        #expect(found[0].mapping("/p/srcs") == nil)
        #expect(found[1].mapping("/p/app.conf")?.container == "/etc/app/app.conf")
        #expect(found[2].mapping("/p/app.conf")?.container == "/etc/app/app.conf")
        #expect(found[3].mapping("/p/x")?.container == "/data/x")
        #expect(found[4].mapping("/p/root")?.container == "/root")
        #expect(found[4].mapping("/p/root/x")?.container == "/x")
    }

    @Test func eachActionAsksForItsOwn() throws {
        let changes = FileChanges(changed: ["/p/src/a"], removed: ["/p/src/b"])
        let copy = WatchActions.Sync(
            service: "web", removals: [PathMapping(root: "/p/src", host: "/p/src/b", container: "/app/b")],
            copies: [PathMapping(root: "/p/src", host: "/p/src/a", container: "/app/a")])
        let sync = try actions(changes, [rule(.sync)])
        #expect(sync.syncs == [copy] && sync.restarts.isEmpty && sync.commands.isEmpty && sync.rebuilds.isEmpty)
        #expect(copy.count == 2)
        let restart = try actions(changes, [rule(.restart)])
        #expect(restart.syncs.isEmpty && restart.restarts == ["web"])
        let both = try actions(changes, [rule(.syncRestart)])
        #expect(both.syncs == [copy] && both.restarts == ["web"])
        let hook = Hook(command: ["make"])
        let exec = try actions(changes, [rule(.syncExec) { $0.exec = hook }])
        #expect(exec.syncs == [copy] && exec.commands == [WatchActions.Command(service: "web", hook: hook)])
        #expect(try actions(FileChanges(changed: ["/p/other"]), [rule(.sync), rule(.restart)]) == nothing)
    }

    @Test func rebuildNeedsABuildSection() throws {
        let found = try rules([rule(.rebuild)]) { $0.build = Build(context: "/p") }
        #expect(WatchActions(FileChanges(changed: ["/p/src/a"]), found.rules).rebuilds == ["web"])
        let error = #expect(throws: CommandFailure.self) { try rules([rule(.rebuild)]) }
        #expect(error?.diagnostics.first?.code == "watch.no-build")
    }

    @Test func everyRuleThatMatchesActs() throws {
        let first = rule(.sync)
        let second = rule(.sync, "/p/src/gen", target: "/other")
        let same = rule(.sync, "/p/src", target: "/app")
        let actions = try actions(FileChanges(changed: ["/p/src/gen/x"]), [first, second, same])
        #expect(actions.syncs.first?.copies.map(\.container) == ["/other/x", "/app/gen/x"])
        #expect(actions.syncs.first?.count == 1)
    }

    @Test func eachRuleRemovesWhatItCounts() throws {
        let changes = FileChanges(removed: ["/p/src/lib", "/p/src/lib/x.js", "/p/src/lib/y", "/p/src/libs"])
        let scripts = rule(.sync, target: "/web") { $0.include = ["**/*.js"] }
        let both = try actions(changes, [scripts, rule(.sync)])
        #expect(both.syncs.first?.removals.map(\.container) == ["/web/lib/x.js", "/app/lib", "/app/libs"])
        // One place: the file goes with the folder.
        let same = try actions(changes, [rule(.sync) { $0.include = ["**/*.js"] }, rule(.sync)])
        #expect(same.syncs.first?.removals.map(\.container) == ["/app/lib", "/app/libs"])
        #expect(same.syncs.first?.count == 2)
    }

    @Test func aCommandRunsOnceForManyFiles() throws {
        let changes = FileChanges(changed: (0..<50).map { "/p/src/\($0)" })
        #expect(try actions(changes, [rule(.syncExec) { $0.exec = Hook(command: ["make"]) }]).commands.count == 1)
    }

    @Test func theContextsIgnoreFileCounts() throws {
        let build: (inout Service) -> Void = { $0.build = Build(context: "/p") }
        func isWatched(_ path: String, _ files: [String: String]) throws -> Bool {
            try rules([rule(.sync)], files: files, build).rules[0].scope.includes(path)
        }
        let files = ["/p/.dockerignore": "# no\nsrc/no\n**/*.md\n!src/README.md\n"]
        #expect(try !isWatched("/p/src/no/x", files) && !isWatched("/p/src/a.md", files))
        #expect(try isWatched("/p/src/README.md", files) && isWatched("/p/src/# no", files))
        // The Dockerfile's own file comes before the folder's.
        let own = files.merging(["/p/Dockerfile.dockerignore": "src/other\n"]) { $1 }
        #expect(try isWatched("/p/src/no/x", own) && !isWatched("/p/src/other", own))
        #expect(try isWatched("/p/src/x", ["/p/.dockerignore": "*\n!src/no\n"]))
    }

    @Test func bindMountsAreNotCopiedInto() throws {
        let bind: (inout Service) -> Void = {
            $0.mounts = [Mount(kind: .bind, source: "/p/src/data", target: "/app/data")]
        }
        let inside = try rules([rule(.sync, "/p/src/data/x"), rule(.restart, "/p/src/data")], bind)
        #expect(inside.rules.map(\.definition.action) == [.restart])
        #expect(inside.warnings.map(\.code) == ["watch.bind"])
        // What is below a rule's folder comes by the mount, which would tell of the copy as of another change.
        let above = try rules([rule(.syncRestart)], bind)
        #expect(above.warnings.isEmpty)
        #expect(WatchActions(FileChanges(changed: ["/p/src/data/x"]), above.rules) == nothing)
        #expect(WatchActions(FileChanges(changed: ["/p/src/x"]), above.rules) != nothing)
    }

    @Test func theInitialCopyLeavesFilesOfTheBuildOut() throws {
        let found = try rules([rule(.sync) { ($0.initialSync, $0.ignore) = (true, ["no"]) }, rule(.sync)]) {
            $0.build = Build(context: "/p")
            $0.build?.dockerfile = "docker/Web.dockerfile"
        }.rules
        let paths = ["a", "no/b", "Dockerfile", "sub/compose.yaml", "Web.dockerfile", "docker-compose.override.yml"]
            .map { "/p/src/\($0)" }
        #expect(found[0].initialCopies(paths).map(\.container) == ["/app/a"])
        #expect(found[1].initialCopies(paths).isEmpty)
    }

    @Test func namedServicesBringWhatTheyDependOn() throws {
        let watched = service([rule(.restart)])
        var web = watched
        web.dependsOn = ["db": Dependency(condition: .started)]
        let all = stack(["web": web, "db": watched, "cache": watched])
        #expect(try WatchRules(all, services: ["web"]).rules.map(\.service) == ["db", "web"])
        #expect(try WatchRules(all, services: []).rules.count == 3)
        let unknown = #expect(throws: CommandFailure.self) { try WatchRules(all, services: ["wed"]) }
        #expect(unknown?.diagnostics.first?.hint == "did you mean 'web'?")
        let none = #expect(throws: CommandFailure.self) {
            try WatchRules(stack(["web": Service(image: "web")]), services: [])
        }
        #expect(none?.diagnostics.first?.code == "watch.nothing")
    }

    @Test func commandsKeepTheirSettings() {
        var hook = Hook(command: ["make", "it"])
        (hook.user, hook.workingDirectory, hook.privileged) = ("web", "/src", true)
        hook.environment = ["B": "2", "A": nil, "C": nil]
        let request = execRequest(hook, ["A": "from here"])
        #expect(request.Cmd == ["make", "it"] && request.Env == ["A=from here", "B=2"])
        #expect(request.User == "web" && request.WorkingDir == "/src" && request.Privileged == true)
        #expect(request.AttachStdin == false && request.AttachStdout == true && request.Tty == false)
    }

    @Test func linesAreComposes() {
        #expect(WatchNote.restarted(["db", "web"]).text == #"service(s) ["db" "web"] restarted"#)
        #expect(
            watchLine(.syncing(service: "web", count: 2), .plain, color: false)
                == #"⦿ Syncing service "web" after 2 changes were detected"#)
        #expect(watchLine(.enabled, .quiet, color: true) == nil)
        #expect(watchLine(.enabled, .json, color: true) == #"{"id":"watch","text":"Watch enabled","status":"Done"}"#)
    }
}
