// Device filters of cgroup v2, which the kernel takes as BPF programs: bpf(2) has no glibc wrapper, and its union of
// anonymous structures does not import.
#pragma once
#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int gantry_bpf(int command, union bpf_attr *attributes) {
  return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

// Loads `count` struct bpf_insn as a device filter.
static inline int gantry_bpf_load_device(const void *instructions, uint32_t count) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = (uint64_t)(uintptr_t)instructions;
  attributes.insn_cnt = count;
  attributes.license = (uint64_t)(uintptr_t) "Apache";
  return gantry_bpf(BPF_PROG_LOAD, &attributes);
}

// Attaches to a cgroup's directory, in place of `replaced` where that is not -1.
static inline int gantry_bpf_attach_device(int cgroup, int program, int replaced) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = (uint32_t)cgroup;
  attributes.attach_bpf_fd = (uint32_t)program;
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI | (replaced >= 0 ? BPF_F_REPLACE : 0);
  attributes.replace_bpf_fd = replaced >= 0 ? (uint32_t)replaced : 0;
  return gantry_bpf(BPF_PROG_ATTACH, &attributes);
}

static inline int gantry_bpf_detach_device(int cgroup, int program) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = (uint32_t)cgroup;
  attributes.attach_bpf_fd = (uint32_t)program;
  attributes.attach_type = BPF_CGROUP_DEVICE;
  return gantry_bpf(BPF_PROG_DETACH, &attributes);
}

// The device filters attached to the cgroup itself: their ids, and how many, at most `max`.
static inline int gantry_bpf_query_device(int cgroup, uint32_t *ids, uint32_t max) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.query.target_fd = (uint32_t)cgroup;
  attributes.query.attach_type = BPF_CGROUP_DEVICE;
  attributes.query.prog_ids = (uint64_t)(uintptr_t)ids;
  attributes.query.prog_cnt = max;
  int result = gantry_bpf(BPF_PROG_QUERY, &attributes);
  return result < 0 ? result : (int)attributes.query.prog_cnt;
}

static inline int gantry_bpf_open_program(uint32_t id) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_id = id;
  return gantry_bpf(BPF_PROG_GET_FD_BY_ID, &attributes);
}
