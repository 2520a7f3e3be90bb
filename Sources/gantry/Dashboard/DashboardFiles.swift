import CDashboardPage

/// The page, which is part of this program.
struct DashboardFile {
    var name: String
    var type: String
    var bytes: [UInt8]

    static var all: [DashboardFile] {
        var files: [DashboardFile] = []
        while let file = gantry_page_file(files.count) {
            // SAFETY: the file is constant data of this program, of the length that stands beside it.
            let bytes = UnsafeBufferPointer(start: file.pointee.bytes, count: file.pointee.length)
            files.append(
                DashboardFile(
                    name: String(cString: file.pointee.name), type: String(cString: file.pointee.type),
                    bytes: Array(bytes)))
        }
        return files
    }
}
