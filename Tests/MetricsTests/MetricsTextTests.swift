import Testing

@testable import Metrics

@Suite struct MetricsTextTests {
    private func text(_ write: (inout MetricsText) -> Void) -> String {
        var text = MetricsText()
        write(&text)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    @Test func aFamilyIsHelpTypeAndSamples() {
        let found = text { text in
            text.begin("gantry_things", .gauge, "Things.")
            text.add(3)
            text.add(UInt64.max, MetricLabels(["container": "shop-web-1", "stack": "shop"]))
            text.begin("gantry_seconds_total", .counter, "Time.")
            text.add(nanoseconds: 1_500_000_000)
        }
        #expect(
            found == """
                # HELP gantry_things Things.
                # TYPE gantry_things gauge
                gantry_things 3
                gantry_things{container="shop-web-1",stack="shop"} 18446744073709551615
                # HELP gantry_seconds_total Time.
                # TYPE gantry_seconds_total counter
                gantry_seconds_total 1.5

                """)
    }

    @Test(arguments: [
        ("plain", #"plain"#), ("", ""), (#"a"b"#, #"a\"b"#), (#"a\b"#, #"a\\b"#), ("a\nb", #"a\nb"#),
        (#"\n"#, #"\\n"#), ("ä{},=#", "ä{},=#"), ("\r\t", "\r\t"), ("\r\n", "\r\\n"),
    ])
    func valuesOfLabelsAreEscaped(value: String, escaped: String) {
        let found = text { text in
            text.begin("x", .gauge, "y")
            text.add(1, MetricLabels(["name": value]))
        }
        #expect(Array(found.utf8) == Array("# HELP x y\n# TYPE x gauge\nx{name=\"\(escaped)\"} 1\n".utf8))
    }

    @Test func helpIsEscaped() {
        #expect(text { $0.begin("x", .gauge, "a\\b\n\"c\"") } == "# HELP x a\\\\b\\n\"c\"\n# TYPE x gauge\n")
    }

    @Test func bucketsAreAddedUp() {
        var histogram = Histogram(bounds: [0.005, 1, 2.5])
        for value in [0.001, 0.005, 0.7, 2.5, 3, 100] { histogram.observe(value) }
        #expect(histogram.count == 6)
        let found = text { text in
            text.begin("d_seconds", .histogram, "D.")
            text.add(histogram, MetricLabels(["route": "/x"]))
        }
        #expect(
            found == """
                # HELP d_seconds D.
                # TYPE d_seconds histogram
                d_seconds_bucket{route="/x",le="0.005"} 2
                d_seconds_bucket{route="/x",le="1"} 3
                d_seconds_bucket{route="/x",le="2.5"} 4
                d_seconds_bucket{route="/x",le="+Inf"} 6
                d_seconds_sum{route="/x"} 106.206
                d_seconds_count{route="/x"} 6

                """)
    }

    @Test(arguments: [
        (0.0, "0"), (1.0, "1"), (-2.0, "-2"), (0.25, "0.25"), (1e-9, "1e-09"), (1e300, "1e+300"),
        (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (1_700_000_000.5, "1700000000.5"),
    ])
    func numbersAreAsGoReadsThem(value: Double, expected: String) {
        #expect(MetricsText.number(value) == expected)
    }

    @Test(arguments: [("a", true), ("_a:b9", true), ("9a", false), ("", false), ("a-b", false), ("ä", false)])
    func namesAreChecked(name: String, isName: Bool) { #expect(isMetricName(name) == isName) }

    @Test func labelsGrowAtTheEnd() {
        let labels = MetricLabels(["a": "1"])
        #expect(labels.adding("b", "2") == MetricLabels(["a": "1", "b": "2"]))
        #expect(MetricLabels.none.adding("b", "2") == MetricLabels(["b": "2"]))
    }
}
