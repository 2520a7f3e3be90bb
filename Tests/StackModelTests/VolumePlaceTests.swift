import Testing

@testable import StackModel

@Suite struct VolumePlaceTests {
    @Test(arguments: [
        ["type": "none", "o": "bind", "device": "/srv/data"], ["o": "bind", "device": "/srv/data"],
        ["type": "bind", "o": "rbind,rw", "device": "/srv/data"], ["type": "", "o": "rw,bind", "device": "/srv/data"],
    ])
    func folders(_ options: [String: String]) { #expect(VolumePlace(options) == .folder("/srv/data")) }

    @Test func withoutOptions() { #expect(VolumePlace([:]) == .own) }

    @Test func mounts() {
        let share = VolumePlace(["type": "nfs", "o": "addr=192.0.2.1,rw", "device": ":/srv"])
        #expect(share == .mounted(VolumeMount(type: "nfs", device: ":/srv", options: ["addr=192.0.2.1", "rw"])))
        let memory = VolumePlace(["type": "tmpfs", "device": "tmpfs"])
        #expect(memory == .mounted(VolumeMount(type: "tmpfs", device: "tmpfs", options: [])))
        let folder = VolumePlace(["type": "none", "o": "bind,ro", "device": "/srv"])
        #expect(folder == .mounted(VolumeMount(type: "none", device: "/srv", options: ["bind", "ro"])))
    }

    @Test(arguments: [
        (["type": "nfs", "o": "addr=192.0.2.1,rw"], "a volume of type 'nfs' needs a device"),
        (["type": "none", "device": "/srv"], "a volume of type 'none' needs o=bind"),
        (["device": "/srv"], "a volume of type '' needs o=bind"),
        (["type": "none", "o": "bind,ro", "device": "srv"], "a folder's absolute path"),
        (["type": "none", "o": "bind", "device": "srv"], "a folder's absolute path"),
        (["type": "none", "o": "bind"], "a folder's absolute path"),
        (["size": "1g"], "volume option 'size' is not supported"),
    ])
    func whatIsNotSupported(_ options: [String: String], _ reason: String) {
        guard case .unsupported(let why) = VolumePlace(options) else {
            Issue.record("\(options) is taken")
            return
        }
        #expect(why.contains(reason))
    }
}
