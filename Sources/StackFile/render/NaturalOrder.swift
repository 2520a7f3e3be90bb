/// The order in which Go's yaml package writes the keys of a map: numbers by value, letters after other characters.
enum NaturalOrder {
    static func precedes(_ left: String, _ right: String) -> Bool {
        // Most pairs differ first in two small letters.
        var first = left.utf8.makeIterator()
        var second = right.utf8.makeIterator()
        while true {
            guard let one = first.next() else { return second.next() != nil }
            guard let other = second.next() else { return false }
            if one == other { continue }
            let small: ClosedRange<UInt8> = 0x61...0x7A
            if small.contains(one), small.contains(other) { return one < other }
            return compare(Array(left.unicodeScalars), Array(right.unicodeScalars))
        }
    }

    private static func compare(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Bool {
        guard let position = zip(left, right).enumerated().first(where: { $1.0 != $1.1 })?.offset else {
            return left.count < right.count
        }
        let (one, other) = (left[position], right[position])
        let (isLetter, isOtherLetter) = (one.properties.isAlphabetic, other.properties.isAlphabetic)
        if isLetter, isOtherLetter { return one < other }
        if isLetter || isOtherLetter {
            let followsDigit = position > 0 && isDigit(left[position - 1])
            return followsDigit ? isLetter : isOtherLetter
        }
        // A zero inside a number counts by its place.
        let before = left[..<position].reversed().prefix(while: isDigit)
        let isInside = (one == "0" || other == "0") && before.contains { $0 != "0" }
        let (number, count) = self.number(left[position...], start: isInside ? 1 : 0)
        let (otherNumber, otherCount) = self.number(right[position...], start: isInside ? 1 : 0)
        if number != otherNumber { return number < otherNumber }
        return count == otherCount ? one < other : count < otherCount
    }

    private static func number(_ text: ArraySlice<Unicode.Scalar>, start: Int64) -> (Int64, Int) {
        let digits = text.prefix(while: isDigit)
        let value = digits.reduce(start) { $0 &* 10 &+ Int64($1.value) &- 0x30 }
        return (value, digits.count)
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }
}
