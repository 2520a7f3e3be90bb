# `make test` and `make demo` do all of their set-up themselves. Tests and products have scratch folders of their own, so
# neither rebuilds the other.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

# What building, testing and the examples need beyond Swift 6.2 or later, as Debian packages.
PACKAGES := libyaml-dev libcap-dev libseccomp-dev libsqlite3-dev libarchive-dev libzstd-dev zlib1g-dev liblzma-dev libbz2-dev \
            libssl-dev libcurl4-openssl-dev libisal2 nftables iproute2 mmdebstrap busybox-static python3 jq procps \
            openssh-client dropbear-bin iptables docker-compose openssl python3-jsonschema python3-yaml
# What `make test-cgroup2` needs besides.
CGROUP2_PACKAGES := qemu-system-x86 cpio e2fsprogs binutils
# What `make deb` needs besides.
DEB_PACKAGES := dpkg-dev binutils
# What the examples need besides, to reach Debian's mirror from a private copy of the host.
EXAMPLES_PACKAGES := slirp4netns

export PATH := $(PATH):/opt/swift/usr/bin:/usr/sbin:/sbin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
RELEASE := .build/release
export GANTRY_BIN := $(CURDIR)/$(RELEASE)/gantry
TEST_BUILD := .build-test
TEST_LOG := $(TEST_BUILD)/test.log
# What the caller asks of `swift test`, such as TEST_ARGUMENTS='--filter NetlinkTests'.
TEST_ARGUMENTS ?=
BENCH_ARGUMENTS ?=
COMPARE_ARGUMENTS ?=
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: help setup build install deb debug test unit test-cgroup2 e2e host-unchanged demo demo-down demo-images examples bench format lint \
        schemas compare-images compare-builds fuzz fuzz-stackfile fuzz-dockerfile fuzz-netlink fuzz-images clean

help:  ## Say what there is to make
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup:  ## Install what is missing on this machine
	@command -v swift > /dev/null || {
		echo 'Swift 6.2 or later is needed: https://www.swift.org/install/linux' >&2
		exit 1
	}
	missing=()
	for package in $(PACKAGES); do
		dpkg-query -W -f '$${Status}' "$$package" 2> /dev/null | grep -q 'ok installed' || missing+=("$$package")
	done
	[ $${#missing[@]} -gt 0 ] || exit 0
	echo "installing $${missing[*]}"
	$(SUDO) apt-get update -q
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$${missing[@]}"

build: setup  ## Build gantry, gantry-supervisor and gantry-oci for use, into .build/release
	swift build -c release --static-swift-stdlib --product gantry
	swift build -c release --static-swift-stdlib --product gantry-supervisor
	swift build -c release --static-swift-stdlib --product gantry-oci

debug: setup  ## Build everything, tests too, for debugging, into .build-test
	swift build --build-tests --scratch-path $(TEST_BUILD)

install: build  ## Put the programs and what belongs to them in place (PREFIX=/usr/local, DESTDIR=)
	$(SUDO) packaging/install.sh $(RELEASE) $(PREFIX) $(DESTDIR)

deb: build  ## Make a Debian package, in .build
	@$(MAKE) --no-print-directory setup PACKAGES='$(DEB_PACKAGES)'
	packaging/make_deb.sh $(RELEASE) .build

lint:  ## Check the layout of the source
	swift format lint --strict --parallel --recursive --configuration .swift-format Package.swift Sources Tests

format:  ## Lay the source out
	swift format --in-place --parallel --recursive --configuration .swift-format Package.swift Sources Tests

fuzz: fuzz-stackfile fuzz-dockerfile fuzz-netlink fuzz-images  ## Fuzz the readers of stack files, Dockerfiles, netlink and images, FUZZ_SECONDS (600) each

FUZZ := -max_total_time=$${FUZZ_SECONDS:-600} -timeout=5 -rss_limit_mb=1024 -max_len=16384
fuzz-stackfile fuzz-dockerfile fuzz-netlink fuzz-images: export GANTRY_FUZZ := 1
fuzz-stackfile fuzz-dockerfile fuzz-netlink fuzz-images: export SWIFT_BACKTRACE := enable=no

fuzz-stackfile: setup
	swift build -c release --sanitize=fuzzer --scratch-path .build-fuzz --product stackfile-fuzz
	Tests/Fuzz/make_corpus.py .build-fuzz/corpus Tests/StackFileTests examples
	mkdir -p .build-fuzz/found
	.build-fuzz/release/stackfile-fuzz $(FUZZ) -artifact_prefix=.build-fuzz/ .build-fuzz/found .build-fuzz/corpus

fuzz-dockerfile: setup
	swift build -c release --sanitize=fuzzer --scratch-path .build-fuzz --product dockerfile-fuzz
	Tests/Fuzz/make_dockerfile_corpus.py .build-fuzz/dockerfile-corpus Tests/DockerfileTests
	mkdir -p .build-fuzz/dockerfile-found
	.build-fuzz/release/dockerfile-fuzz $(FUZZ) -artifact_prefix=.build-fuzz/dockerfile- \
		.build-fuzz/dockerfile-found .build-fuzz/dockerfile-corpus

# As root its start is a network with one of everything, else what this host's kernel tells anybody.
fuzz-netlink: setup
	swift build -c release --sanitize=fuzzer --scratch-path .build-fuzz --product netlink-fuzz -Xswiftc -enable-testing
	private=
	[ "$$(id -u)" != 0 ] || private=Tests/EndToEnd/private_host.sh
	$$private Tests/Fuzz/make_netlink_corpus.py .build-fuzz/netlink-corpus Tests/NetlinkTests/everything.nft
	mkdir -p .build-fuzz/netlink-found
	.build-fuzz/release/netlink-fuzz $(FUZZ) -artifact_prefix=.build-fuzz/netlink- \
		.build-fuzz/netlink-found .build-fuzz/netlink-corpus

# The unpacker writes files, as root into a private copy of the host; the documents and the names are one fuzzer's work.
fuzz-images: setup
	swift build -c release --sanitize=fuzzer --scratch-path .build-fuzz --product layer-fuzz -Xswiftc -enable-testing
	swift build -c release --sanitize=fuzzer --scratch-path .build-fuzz --product document-fuzz -Xswiftc -enable-testing
	private=
	[ "$$(id -u)" != 0 ] || private=Tests/EndToEnd/private_host.sh
	for word in layer document; do
		Tests/Fuzz/make_image_corpus.py $$word .build-fuzz/$$word-corpus
		mkdir -p .build-fuzz/$$word-found
		$$private .build-fuzz/release/$$word-fuzz $(FUZZ) -artifact_prefix=.build-fuzz/$$word- \
			.build-fuzz/$$word-found .build-fuzz/$$word-corpus
	done

compare-images: build  ## Unpack images of many tools with Gantry, Docker and Podman, and compare the trees (COMPARE_ARGUMENTS='--only pax')
	$(SUDO) Tests/Images/compare_trees.py --gantry $(GANTRY_BIN) $(COMPARE_ARGUMENTS)

compare-builds: build  ## Build Dockerfiles with Gantry, Docker and buildah, and compare trees and configurations (COMPARE_ARGUMENTS='--only copy')
	$(SUDO) Tests/Builds/compare_builds.py --gantry $(GANTRY_BIN) $(COMPARE_ARGUMENTS)

schemas: build  ## Write the JSON Schema of stack files anew, into schemas
	mkdir -p schemas
	$(GANTRY_BIN) schema > schemas/stack.schema.json.new
	mv schemas/stack.schema.json.new schemas/stack.schema.json

# Tests of the kernel's side make network and mount namespaces of their own; as root they run in a private copy of the
# host besides, so that a test that fails leaves nothing either.
unit: debug  ## Run the Swift tests; those that need root say so without it
	@private=
	if [ "$$(id -u)" = 0 ]; then
		private=Tests/EndToEnd/private_host.sh
	else
		echo 'not root: the tests of namespaces, networks and containers are skipped'
	fi
	if ! $$private swift test --skip-build --scratch-path $(TEST_BUILD) $(TEST_ARGUMENTS) 2>&1 | tee $(TEST_LOG); then
		# A thousand lines of tests that passed stand between the one that failed and the end.
		printf '\nwhat failed:\n'
		grep -A 2 'recorded an issue at\|Fatal error\|: error:' $(TEST_LOG) | tail -n 15
		exit 1
	fi

# In an emulated machine: no root, no KVM. Under a minute for the machine that the other tests take one of.
test-cgroup2: debug  ## Run the tests of the runtime on a kernel that has cgroup v2 only
	@if [ "$$(uname -m)" != x86_64 ]; then
		echo 'not x86_64: the tests on cgroup v2 are skipped'
		exit 0
	fi
	$(MAKE) --no-print-directory setup PACKAGES='$(CGROUP2_PACKAGES)'
	SUDO='$(SUDO)' TEST_BUILD=$(TEST_BUILD) Tests/CgroupTwo/run.sh

e2e: build  ## Run the built program as a user does
	@if [ "$$(id -u)" != 0 ]; then
		echo 'not root: the end-to-end tests are skipped'
		exit 0
	fi
	Tests/EndToEnd/run.sh

host-unchanged: build  ## Check that a stack and its engine leave the host as it was
	@if [ "$$(id -u)" != 0 ]; then
		echo 'not root: the test that the host is left unchanged is skipped'
		exit 0
	fi
	Tests/EndToEnd/host_unchanged.sh $(GANTRY_BIN)

test: setup  ## Set up, then run every test
	@$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory test-cgroup2
	$(MAKE) --no-print-directory e2e
	$(MAKE) --no-print-directory host-unchanged
	# Once more at the end, where it is looked for: what `swift test` said.
	tail -n 1 $(TEST_LOG)

demo: build  ## Bring the example shop up, ask it ten times, and say how to go on
	@$(SUDO) env "PATH=$$PATH" GANTRY=$(GANTRY_BIN) examples/shop/demo.sh up

demo-down:  ## Take all of that away
	@$(SUDO) env "PATH=$$PATH" GANTRY=$(GANTRY_BIN) examples/shop/demo.sh down

# In a private copy of the host, with an engine of its own; what is left afterwards is the cache of images.
examples: build  ## Try all examples, or example-NAME, from `gantry up`, which builds their images, to `gantry down -v`
	@$(MAKE) --no-print-directory setup PACKAGES='$(EXAMPLES_PACKAGES)'
	$(SUDO) env "PATH=$$PATH" GANTRY=$(GANTRY_BIN) examples/run.sh

example-%: build
	@$(MAKE) --no-print-directory setup PACKAGES='$(EXAMPLES_PACKAGES)'
	$(SUDO) env "PATH=$$PATH" GANTRY=$(GANTRY_BIN) examples/run.sh $*

demo-images: setup  ## Make the images of the examples, without loading them
	$(SUDO) examples/images/build.sh --no-load

bench: build  ## Time starts beside the kernel's own cost; up, down and run, with Docker beside it where installed (BENCH_ARGUMENTS='--repeat 3')
	$(SUDO) Benchmarks/bench.py --gantry $(GANTRY_BIN) $(BENCH_ARGUMENTS)
	$(SUDO) Benchmarks/runtime.py --gantry $(GANTRY_BIN)
	Benchmarks/config.py --gantry $(GANTRY_BIN)
	GANTRY_BENCH=1 swift run -c release --scratch-path .build-bench plan-bench

clean:  ## Remove what was built
	rm -rf .build $(TEST_BUILD) .build-bench
