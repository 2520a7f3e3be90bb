#!/usr/bin/env python3
"""Writes what this host's kernel says over netlink as inputs for the fuzzer: make_netlink_corpus.py FOLDER RULES

As root it first makes one of everything, with the rule set RULES: only in a network namespace of its own
(Tests/EndToEnd/private_host.sh).
"""
import hashlib
import os
import pathlib
import socket
import struct
import subprocess
import sys

ROUTE, SOCKETS, NETFILTER = 0, 4, 12
DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
MESSAGES_MAX = 400
LINKS = """
ip link add br0 type bridge
ip link add v0 type veth peer name v1
ip link set v0 master br0 up
ip link set v1 up
ip link set br0 up
ip addr add 10.7.0.1/24 dev br0
ip addr add fd07::1/64 dev br0 nodad
ip route add 10.8.0.0/16 via 10.7.0.2 metric 50 mtu 1300
ip route add 10.9.0.0/16 nexthop via 10.7.0.2 weight 3 nexthop via 10.7.0.3
ip rule add from 10.7.0.0/24 iif br0 fwmark 0x3/0xff table 1000 priority 500
ip neigh add 10.7.0.9 lladdr 02:00:00:00:00:09 dev br0 nud permanent
conntrack -I -p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 --state ESTABLISHED -t 100 -u SEEN_REPLY
conntrack -I -p udp -s fd00::1 -d fd00::2 --sport 1 --dport 2 -t 100
"""


def requests():
    """(protocol, message type, body) of every dump that the parsers read."""
    for kind, size in ((18, 16), (22, 8), (26, 12), (30, 12), (34, 12)):
        for family in (0, socket.AF_INET6):
            yield ROUTE, kind, bytes([family]) + bytes(size - 1)
    yield ROUTE, 30, bytes([7]) + bytes(11)
    for family in (socket.AF_INET, socket.AF_INET6):
        yield SOCKETS, 20, struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF)
    nfgen = bytes(4)
    for kind in (1, 4, 7, 10):  # NFT_MSG_GETTABLE, GETCHAIN, GETRULE, GETSET
        yield NETFILTER, 10 << 8 | kind, nfgen
    for name in ("ports4", "nets4", "pairs", "slow", "doors", "marks"):
        names = b"".join(
            struct.pack("=HH", 5 + len(text), kind) + text.encode() + bytes(1 + -(5 + len(text)) % 4)
            for kind, text in ((1, "full"), (2, name)))
        yield NETFILTER, 10 << 8 | 13, bytes([1, 0, 0, 0]) + names  # NFT_MSG_GETSETELEM
    yield NETFILTER, 1 << 8 | 1, nfgen  # IPCTNL_MSG_CT_GET


def dump(protocol, kind, body):
    """Each message of the answer."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), kind, DUMP, 1, 0) + body)
        while True:
            data = netlink.recv(1 << 16)
            while len(data) >= 16:
                length, kind = struct.unpack_from("=IH", data)
                if kind in (2, 3):  # NLMSG_ERROR, NLMSG_DONE
                    yield data[:length]
                    return
                yield data[:length]
                data = data[(length + 3) & ~3:]


def main():
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        for command in LINKS.strip().splitlines() + [f"nft -f {sys.argv[2]}"]:
            if subprocess.run(command.split(), capture_output=True, check=False).returncode:
                print(f"left out: {command}")
    for request in requests():
        for count, message in enumerate(dump(*request)):
            if count < MESSAGES_MAX:
                (target / hashlib.sha1(message).hexdigest()).write_bytes(message)


main()
