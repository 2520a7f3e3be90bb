import CLinux
import Glibc
import LinuxSystem

/// A descriptor to wait for.
struct Waited {
    var descriptor: Int32
    var read = true
    var write = false
    /// Results: reading will not block (also at the end, or with an error to read), writing will take something.
    var readable = false
    var writable = false

    init(_ descriptor: Int32, read: Bool = true, write: Bool = false) {
        self.descriptor = descriptor
        self.read = read
        self.write = write
    }
}

/// `poll(2)`. `milliseconds`: `nil` waits for ever. All unready afterwards: the time is over.
func wait(for waited: inout [Waited], milliseconds: Int32?) throws(SystemError) {
    var entries = waited.map { entry in
        let events = (entry.read ? Int16(POLLIN) : 0) | (entry.write ? Int16(POLLOUT) : 0)
        return pollfd(fd: entry.descriptor, events: events, revents: 0)
    }
    try check("poll") { poll(&entries, nfds_t(entries.count), milliseconds ?? -1) }
    let ending = Int16(POLLHUP) | Int16(POLLERR) | Int16(POLLNVAL)
    for (index, entry) in entries.enumerated() {
        waited[index].readable = waited[index].read && entry.revents & (Int16(POLLIN) | ending) != 0
        waited[index].writable = waited[index].write && entry.revents & (Int16(POLLOUT) | ending) != 0
    }
}

func waitWritable(_ descriptor: Int32) throws(SystemError) {
    var waited = [Waited(descriptor, read: false, write: true)]
    try wait(for: &waited, milliseconds: nil)
}
