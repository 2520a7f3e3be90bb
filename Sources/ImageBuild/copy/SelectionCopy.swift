import CLinux
import Glibc
import Images
import LinuxSystem
import Registry

extension CopySelection {
    /// Copies everything into the tree at `root`. Where `digest` was asked before, it copies what that saw: what was
    /// changed, added or removed in a context since is an error.
    ///
    /// - Parameter stop: ends it after the file that is being copied.
    public func copy(into root: SharedDescriptor, stop: Cancellation? = nil) throws(BuildError) {
        let run = try SelectionCopy(self, into: root, stop)
        let isSingle = items.count + inline.count == 1
        for item in items { try run.copy(item, isSingle: isSingle) }
        for file in inline { try run.copy(file.name, file.bytes, isSingle: isSingle) }
        try run.finish()
    }
}

/// One run of a COPY.
private final class SelectionCopy {
    private let selection: CopySelection
    private let root: SharedDescriptor
    private let destination: CopyDestination
    /// What the digest saw and the copy is yet to see, in the order of the walk.
    private var expected: ArraySlice<FileStamp>?
    private var entryCount = 0
    private let stop: Cancellation?

    init(_ selection: CopySelection, into root: SharedDescriptor, _ stop: Cancellation?) throws(BuildError) {
        self.selection = selection
        self.stop = stop
        self.root = root
        destination = try CopyDestination(selection.job, in: root)
        expected = selection.source.keepsOwners ? nil : selection.witness.value.map { $0[...] }
    }

    private var source: CopySource { selection.source }

    func copy(_ item: SelectedItem, isSingle: Bool) throws(BuildError) {
        let walk = try SelectionWalk(item, of: source, excludes: selection.excludes)
        if item.isFolder { return try copyFolder(item, walk) }
        guard case .entry(let entry) = try walk.next() else { return }
        if selection.job.unpacksArchives, try unpack(entry) { return }
        let place = try destination.file(named: item.name, mustBeFolder: !isSingle)
        try witness(entry)
        try TreeWriter(selection, in: place.folder).write(entry, as: place.name)
    }

    private func copyFolder(_ item: SelectedItem, _ walk: SelectionWalk) throws(BuildError) {
        let place = try destination.folder()
        if place.isMade {
            let top = try source.open(item.path, O_PATH | O_DIRECTORY)
            var status = stat()
            try building { () throws(SystemError) in _ = try check("fstat") { fstat(top.raw, &status) } }
            try destination.setFinalTimes(of: place.folder, status.st_mtim)
        }
        let writer = TreeWriter(selection, in: place.folder)
        while let step = try walk.next() {
            switch step {
            case .entry(let entry):
                try witness(entry)
                try writer.write(entry, as: nil)
            case .leave: try writer.leave()
            }
        }
    }

    func copy(_ name: [UInt8], _ bytes: [UInt8], isSingle: Bool) throws(BuildError) {
        let place = try destination.file(named: name, mustBeFolder: !isSingle)
        try TreeWriter(selection, in: place.folder).write(bytes, as: place.name)
    }

    /// An archive's content, with the owners that it tells: --chown is for the folder that is made for it, as with the
    /// other builders. False where the file is none.
    private func unpack(_ entry: SelectedEntry) throws(BuildError) -> Bool {
        guard entry.type == S_IFREG else { return false }
        let file = try source.openFile(entry)
        guard TreeExtraction.isArchive(file.raw) else { return false }
        try witness(entry)
        let raw = file.raw
        try building { () throws(SystemError) in _ = try check("lseek") { lseek(raw, 0, SEEK_SET) } }
        let folder = try destination.folder()
        var options = ExtractionOptions()
        options.allowsAnyPacking = true
        do throws(CopyError) {
            try TreeExtraction(root: root, folder: "/" + folder.path.text, options: options).extract(from: raw)
        } catch {
            throw BuildError(error)
        }
        var status = stat()
        try building { () throws(SystemError) in _ = try check("fstat") { fstat(raw, &status) } }
        guard FileStamp(status) == FileStamp(entry.status) else { throw source.changed(entry.path) }
        return true
    }

    private func witness(_ entry: SelectedEntry) throws(BuildError) {
        if stop?.isCancelled == true { throw .cancelled }
        entryCount += 1
        guard entryCount <= CopySelection.entryCountMax else {
            throw .limit("more than \(CopySelection.entryCountMax) files are to be copied from \(source.name)")
        }
        guard expected != nil else { return }
        guard expected?.popFirst() == FileStamp(entry.status) else { throw source.changed(entry.path) }
    }

    func finish() throws(BuildError) {
        if let expected, !expected.isEmpty {
            throw .changed("files vanished from \(source.name) while the build read it; build again")
        }
        try destination.finish()
    }
}
