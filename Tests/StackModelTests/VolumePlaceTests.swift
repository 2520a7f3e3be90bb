import Testing

@testable import StackModel

@Suite struct VolumePlaceTests {
    @Test(arguments: [
        ["type": "none", "o": "bind", "device": "/srv/data"], ["o": "bind", "device": "/srv/data"],
        ["type": "bind", "o": "rbind,rw", "device": "/srv/data"], ["type": "", "o": "rw,bind", "device": "/srv/data"],
    ])
    func folders(_ options: [String: String]) { #expect(VolumePlace(options) == .folder("/srv/data")) }

    @Test func withoutOptions() { #expect(VolumePlace([:]) == .own) }

    @Test(arguments: [
        (["type": "nfs", "o": "addr=192.0.2.1,rw", "device": ":/srv"], "a volume of type 'nfs' is not supported"),
        (["type": "tmpfs", "device": "tmpfs"], "for memory use a tmpfs mount"),
        (["type": "none", "device": "/srv"], "a volume of type 'none' is not supported"),
        (["type": "ext4", "o": "bind", "device": "/dev/sda"], "a volume of type 'ext4' is not supported"),
        (["type": "none", "o": "bind,ro", "device": "/srv"], "'o' with 'ro' is not supported; say it of the mount"),
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
