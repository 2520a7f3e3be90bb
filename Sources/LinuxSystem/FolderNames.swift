import CLinux
import Glibc

extension FileDescriptor {
    /// Names in this folder, opened for reading, without `.` and `..`, in the file system's order. `readdir(3)`.
    public borrowing func names() throws(SystemError) -> [CPath] {
        let raw = try duplicate().take()
        guard let stream = fdopendir(raw) else {
            let code = errno
            close(raw)
            throw SystemError("fdopendir", code: code)
        }
        defer { closedir(stream) }
        // The duplicate stands where its other had come to.
        rewinddir(stream)
        var found: [CPath] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                let code = errno
                guard code == 0 else { throw SystemError("readdir", code: code) }
                return found
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) { found.append(CPath(name)) }
        }
    }
}
