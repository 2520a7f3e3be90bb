import Dockerfile

/// One COPY or ADD with its words expanded.
public struct CopyJob: Sendable {
    /// As in the Dockerfile, with wildcards (Go's `filepath.Match`): counted from the source's root, without `..`
    /// above it. A link that is named, or that wildcards match, is followed within the source; links within folders
    /// stay links.
    public var files: [String]
    /// Heredocs: made with mode 0644 behind what `files` brings.
    public var inline: [(name: String, bytes: [UInt8])]
    /// Absolute, WORKDIR applied; a `/` or `/.` at its end says that it is a folder.
    public var destination: String
    /// --chown, looked up; nil: 0:0, or kept where the source keeps owners.
    public var owner: (uid: UInt32, gid: UInt32)?
    /// --chmod. An octal one also holds for folders that are made on the way to the destination.
    public var mode: FileMode?
    /// --parents: folders in the sources' paths are kept, those behind `/./`. `**` is any number of folders.
    public var keepsParents = false
    /// --exclude, as in `.dockerignore`: counted from each folder that is copied; for a file, against its name.
    public var excludes: [String] = []
    /// Of ADD: files that are archives are unpacked at the destination.
    public var unpacksArchives = false
    /// `files` are names as they are: of what was downloaded.
    public var isLiteral = false

    public init(files: [String], destination: String) {
        self.files = files
        self.destination = destination
        inline = []
    }

    /// Whether what is copied becomes a folder's content whatever stands at the destination.
    var assertsFolder: Bool {
        destination.utf8.last == UInt8(ascii: "/") || destination.utf8.suffix(2).elementsEqual("/.".utf8)
            || destination == "."
    }
}
