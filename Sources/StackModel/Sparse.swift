/// A value with a natural "nothing".
public protocol Emptiable: Codable, Equatable {
    init()
    var isEmpty: Bool { get }
}

extension Array: Emptiable where Element: Codable & Equatable {}
extension Dictionary: Emptiable where Key: Codable, Value: Codable & Equatable {}

/// A list or map that is left out of its JSON when it is empty, and is empty when it is missing there: a stack has
/// many properties of which few are used, and stacks stored by an older engine lack the newer ones.
@propertyWrapper
public struct Sparse<Value: Emptiable>: Codable, Equatable {
    public var wrappedValue: Value

    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }

    public init(from decoder: any Decoder) throws { wrappedValue = try Value(from: decoder) }

    public func encode(to encoder: any Encoder) throws { try wrappedValue.encode(to: encoder) }
}

extension Sparse: Sendable where Value: Sendable {}
extension Sparse: Hashable where Value: Hashable {}

/// A switch that is left out of its JSON when it is off.
@propertyWrapper
public struct Switch: Codable, Hashable, Sendable {
    public var wrappedValue: Bool

    public init(wrappedValue: Bool) { self.wrappedValue = wrappedValue }

    public init(from decoder: any Decoder) throws { wrappedValue = try Bool(from: decoder) }

    public func encode(to encoder: any Encoder) throws { try wrappedValue.encode(to: encoder) }
}

// The overloads that synthesised conformances pick for wrapped properties.

extension KeyedDecodingContainer {
    public func decode<Value>(_ type: Sparse<Value>.Type, forKey key: Key) throws -> Sparse<Value> {
        try decodeIfPresent(type, forKey: key) ?? Sparse(wrappedValue: Value())
    }

    public func decode(_ type: Switch.Type, forKey key: Key) throws -> Switch {
        try decodeIfPresent(type, forKey: key) ?? Switch(wrappedValue: false)
    }
}

extension KeyedEncodingContainer {
    public mutating func encode<Value>(_ value: Sparse<Value>, forKey key: Key) throws {
        if !value.wrappedValue.isEmpty { try encode(value.wrappedValue, forKey: key) }
    }

    public mutating func encode(_ value: Switch, forKey key: Key) throws {
        if value.wrappedValue { try encode(true, forKey: key) }
    }
}
