/// One pattern: `*`, `?`, `[a-z]`, `[^a]`, `\` and `**`, with the peculiarities of moby/patternmatcher that people's
/// files rely on: `**x` at the start matches every path that ends in `x`, `x/**` what is in `x` but not `x`.
struct PathPattern: Equatable, Sendable {
    private enum Item: Equatable {
        case scalar(Unicode.Scalar)
        /// `?`: one character but `/`.
        case one
        /// `*`: any but `/`.
        case many
        /// `**/`: any number of folders, none too.
        case folders
        /// `**` at the end: everything.
        case all
        case set([ClosedRange<Unicode.Scalar>], isNegated: Bool)
    }

    private enum Kind: Equatable {
        case exact([Unicode.Scalar])
        case prefix([Unicode.Scalar])
        case suffix([Unicode.Scalar])
        case items([Item])
    }

    private var kind: Kind
    /// What every match starts and ends with, of `Kind.items`: most paths are told by these.
    private var head: [Unicode.Scalar] = []
    private var tail: [Unicode.Scalar] = []

    /// `nil` where the pattern is malformed.
    init?(_ text: String) {
        let scalars = Array(text.unicodeScalars)
        kind = .exact(scalars)
        var items: [Item] = []
        var isLiteral = true
        var isSuffix = false
        var isPrefix = false
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            let isFirst = index == 0
            index += 1
            switch scalar {
            case "*" where index < scalars.count && scalars[index] == "*":
                index += 1
                if index < scalars.count, scalars[index] == "/" { index += 1 }
                let isEnd = index == scalars.count
                isPrefix = isEnd && isLiteral && !isFirst
                if isFirst { isSuffix = true } else if !isPrefix { isSuffix = false }
                items.append(isEnd ? .all : .folders)
                isLiteral = false
            case "*":
                items.append(.many)
                (isLiteral, isSuffix) = (false, false)
            case "?":
                items.append(.one)
                (isLiteral, isSuffix) = (false, false)
            case "[":
                guard let set = Self.set(scalars, &index) else { return nil }
                items.append(set)
                (isLiteral, isSuffix) = (false, false)
            case "\\":
                guard index < scalars.count else { return nil }
                items.append(.scalar(scalars[index]))
                index += 1
                (isLiteral, isSuffix) = (false, false)
            default: items.append(.scalar(scalar))
            }
        }
        if isSuffix {
            kind = .suffix(Array(scalars.dropFirst(2)))
        } else if isPrefix {
            kind = .prefix(Array(scalars.dropLast(scalars.last == "/" ? 3 : 2)))
        } else if !isLiteral {
            kind = .items(items)
            head = Self.literals(items)
            tail = Self.literals(items.reversed()).reversed()
        }
    }

    private static func literals(_ items: some Sequence<Item>) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        for item in items {
            guard case .scalar(let scalar) = item else { break }
            result.append(scalar)
        }
        return result
    }

    /// Behind `[`: characters and ranges up to `]`, at least one.
    private static func set(_ scalars: [Unicode.Scalar], _ index: inout Int) -> Item? {
        var isNegated = false
        if index < scalars.count, scalars[index] == "^" {
            isNegated = true
            index += 1
        }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        while index < scalars.count {
            if scalars[index] == "]", !ranges.isEmpty {
                index += 1
                return .set(ranges, isNegated: isNegated)
            }
            guard let low = setScalar(scalars, &index) else { return nil }
            var high = low
            if index < scalars.count, scalars[index] == "-" {
                index += 1
                guard let end = setScalar(scalars, &index) else { return nil }
                high = end
            }
            guard low <= high else { return nil }
            ranges.append(low...high)
        }
        return nil
    }

    private static func setScalar(_ scalars: [Unicode.Scalar], _ index: inout Int) -> Unicode.Scalar? {
        guard index < scalars.count, scalars[index] != "-", scalars[index] != "]" else { return nil }
        if scalars[index] == "\\" { index += 1 }
        guard index < scalars.count else { return nil }
        index += 1
        return scalars[index - 1]
    }

    func matches(_ path: [Unicode.Scalar]) -> Bool {
        switch kind {
        case .exact(let text): return path == text
        case .prefix(let text): return path.starts(with: text)
        case .suffix(let text):
            if Self.ends(path, with: text) { return true }
            return text.first == "/" && path.elementsEqual(text.dropFirst())
        case .items(let items):
            guard path.starts(with: head), Self.ends(path, with: tail) else { return false }
            return Self.matches(items, path)
        }
    }

    private static func ends(_ path: [Unicode.Scalar], with tail: [Unicode.Scalar]) -> Bool {
        path.count >= tail.count && path[(path.count - tail.count)...].elementsEqual(tail)
    }

    /// Whether a path that starts with `folder`, which ends in `/`, may match although `folder` does not.
    func mayMatch(beneath folder: [Unicode.Scalar]) -> Bool {
        switch kind {
        case .exact(let text): return text.starts(with: folder)
        case .prefix(let text): return text.starts(with: folder) || folder.starts(with: text)
        case .suffix: return true
        case .items(let items):
            let crossesFolders = items.contains { item in
                switch item {
                case .folders, .all, .set: true
                default: false
                }
            }
            if crossesFolders { return true }
            let slashes = items.indices.filter { items[$0] == .scalar("/") }
            let depth = folder.count { $0 == "/" }
            guard slashes.count >= depth, depth > 0 else { return false }
            return Self.matches(Array(items[...slashes[depth - 1]]), folder)
        }
    }

    /// All places that the items so far can end at, item by item: no pattern takes longer than its length times the
    /// path's.
    private static func matches(_ items: [Item], _ path: [Unicode.Scalar]) -> Bool {
        var ends = [Bool](repeating: false, count: path.count + 1)
        ends[0] = true
        for item in items {
            var next = [Bool](repeating: false, count: path.count + 1)
            var isReachable = false
            for index in ends.indices {
                let state: Bool
                switch item {
                case .many: state = ends[index] || (index > 0 && next[index - 1] && path[index - 1] != "/")
                case .all:
                    isReachable = isReachable || ends[index]
                    state = isReachable
                case .folders:
                    state = ends[index] || (isReachable && path[index - 1] == "/")
                    isReachable = isReachable || ends[index]
                default: state = index > 0 && ends[index - 1] && matches(item, path[index - 1])
                }
                next[index] = state
            }
            ends = next
        }
        return ends[path.count]
    }

    private static func matches(_ item: Item, _ scalar: Unicode.Scalar) -> Bool {
        switch item {
        case .scalar(let wanted): scalar == wanted
        case .one: scalar != "/"
        case .set(let ranges, let isNegated): ranges.contains { $0.contains(scalar) } != isNegated
        case .many, .folders, .all: false
        }
    }
}
