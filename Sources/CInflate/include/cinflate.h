// A gzip decoder (RFC 1952) behind one interface: ISA-L where the machine has it, zlib otherwise. ISA-L decodes three
// times as fast, has no static archive in Debian, and is therefore loaded when the first stream is opened. Runs in the
// engine's process.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct gantry_inflate gantry_inflate;

enum gantry_inflate_result {
    GANTRY_INFLATE_MORE = 0,     // wants more input or more room
    GANTRY_INFLATE_END = 1,      // a member ended here, and its checksum was right
    GANTRY_INFLATE_CORRUPT = -1, // not gzip, or damaged
};

// Whether ISA-L was found; loads it at the first call, from any thread.
int gantry_inflate_is_fast(void);

// NULL when memory is short. `fast` asks for ISA-L, which is ignored where there is none.
gantry_inflate *gantry_inflate_new(int fast);
void gantry_inflate_free(gantry_inflate *stream);

// Gets ready for the next member.
int gantry_inflate_reset(gantry_inflate *stream);

// Decodes from `in` to `out`. `in_count` and `out_count` are told what there is and tell what was used.
int gantry_inflate_step(gantry_inflate *stream, const uint8_t *in, size_t *in_count, uint8_t *out, size_t *out_count);
