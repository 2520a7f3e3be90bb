import CLinux
import Glibc
import Images
import LinuxSystem
import Testing

@testable import ImageBuild

@Suite struct TreeUserTests {
    private func tree(passwd: String, group: String) throws -> (TreeRoot, String) {
        let folder = "/tmp/gantry-tree-user-\(UInt64.random(in: 0 ... .max))"
        try FileSystem.makeDirectories("\(folder)/etc")
        try FileSystem.replaceFile("\(folder)/etc/passwd", with: passwd.utf8)
        try FileSystem.replaceFile("\(folder)/etc/group", with: group.utf8)
        return (TreeRoot(SharedDescriptor(try FileDescriptor.open(folder, O_PATH | O_DIRECTORY))), folder)
    }

    @Test func numbersNeedNoFiles() throws {
        #expect(TreeUser(numbers: "7").map { [$0.uid, $0.gid] } == [7, 7])
        #expect(TreeUser(numbers: "7:8").map { [$0.uid, $0.gid] } == [7, 8])
        #expect(TreeUser(numbers: "web") == nil && TreeUser(numbers: "-1") == nil && TreeUser(numbers: "1:2:3") == nil)
    }

    @Test func namesAreTheTrees() throws {
        let (tree, folder) = try tree(
            passwd: "root:x:0:0::/:/bin/sh\nweb:x:1000:100::/:/bin/sh\nshort:x\n", group: "staff:x:50:\n")
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        let web = try TreeUser("web", in: tree)
        #expect(web.uid == 1000 && web.gid == 100)
        let both = try TreeUser("web:staff", in: tree)
        #expect(both.uid == 1000 && both.gid == 50)
        #expect(try TreeUser("web:5", in: tree).gid == 5)
        #expect(throws: BuildFailure.self) { try TreeUser("nobody", in: tree) }
        #expect(throws: BuildFailure.self) { try TreeUser("short", in: tree) }
        #expect(throws: BuildFailure.self) { try TreeUser("web:nobody", in: tree) }
    }

    /// A hostile image's list of users must not be read from the host.
    @Test func aLinkStaysInTheTree() throws {
        let (tree, folder) = try tree(passwd: "", group: "")
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        unlink("\(folder)/etc/passwd")
        #expect(symlink("/etc/passwd", "\(folder)/etc/passwd") == 0)
        #expect(throws: BuildFailure.self) { try TreeUser("root", in: tree) }
        unlink("\(folder)/etc/passwd")
        #expect(symlink("../../../../../../etc/passwd", "\(folder)/etc/passwd") == 0)
        #expect(throws: BuildFailure.self) { try TreeUser("root", in: tree) }
    }
}
