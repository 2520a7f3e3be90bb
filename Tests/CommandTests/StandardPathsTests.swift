import LinuxSystem
import Testing

@testable import EngineClient

@Suite struct StandardPathsTests {
    @Test func rootHasTheSystemsFolders() {
        let paths = StandardPaths(userID: 0, environment: ["XDG_RUNTIME_DIR": "/x", "HOME": "/root"])
        #expect(paths.dataRoot == "/var/lib/gantry")
        #expect(paths.execRoot == "/run/gantry")
        #expect(paths.socketPath == EngineHost.standard.socketPath)
    }

    @Test func aUserHasFoldersOfItsOwn() {
        let paths = StandardPaths(userID: 4_000_001, environment: ["XDG_RUNTIME_DIR": "/x", "HOME": "/home/u"])
        #expect(paths.dataRoot == "/home/u/.local/share/gantry")
        #expect(paths.execRoot == "/x/gantry")
        #expect(paths.socketPath == "/x/gantry/gantry.sock")
        let other = StandardPaths(
            userID: 4_000_001, environment: ["XDG_DATA_HOME": "/d", "XDG_RUNTIME_DIR": "relative"])
        #expect(other.dataRoot == "/d/gantry")
        #expect(other.socketPath == "/tmp/gantry-4000001/gantry.sock")
    }

    @Test func aFolderOfSomebodyElseIsRefused() throws {
        // "/x/gantry" of another user: here one that belongs to whoever runs the test.
        let folder = try TemporaryFolder()
        let environment = ["XDG_RUNTIME_DIR": folder.path]
        #expect(throws: Never.self) {
            try EngineHost.choose(option: nil, environment: environment, userID: 4_000_001)
        }
        try FileSystem.replaceFile("\(folder.path)/gantry", with: [UInt8]())
        #expect(throws: EngineHostError.unsafeFolder("\(folder.path)/gantry")) {
            try EngineHost.choose(option: nil, environment: environment, userID: 4_000_001)
        }
    }
}
