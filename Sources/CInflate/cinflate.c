#define _GNU_SOURCE
#include "cinflate.h"
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>

#if __has_include(<isa-l/igzip_lib.h>)
#include <isa-l/igzip_lib.h>
#define HAS_ISAL 1
#else
#define HAS_ISAL 0
#endif

struct gantry_inflate {
    int fast;
    z_stream zlib;
#if HAS_ISAL
    struct inflate_state isal; // 87 KB: lives on the heap
#endif
};

#if HAS_ISAL
static struct {
    void (*init)(struct inflate_state *);
    void (*reset)(struct inflate_state *);
    int (*inflate)(struct inflate_state *);
} isal;
static int isal_found;
static pthread_once_t isal_once = PTHREAD_ONCE_INIT;

static void load_isal(void) {
    // Never closed: streams may be in use until the process ends.
    void *library = dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    *(void **)&isal.init = dlsym(library, "isal_inflate_init");
    *(void **)&isal.reset = dlsym(library, "isal_inflate_reset");
    *(void **)&isal.inflate = dlsym(library, "isal_inflate");
    isal_found = isal.init && isal.reset && isal.inflate;
}
#endif

int gantry_inflate_is_fast(void) {
#if HAS_ISAL
    pthread_once(&isal_once, load_isal);
    return isal_found;
#else
    return 0;
#endif
}

gantry_inflate *gantry_inflate_new(int fast) {
    gantry_inflate *stream = calloc(1, sizeof *stream);
    if (!stream) return NULL;
#if HAS_ISAL
    if (fast && gantry_inflate_is_fast()) {
        stream->fast = 1;
        isal.init(&stream->isal);
        stream->isal.crc_flag = ISAL_GZIP;
        return stream;
    }
#else
    (void)fast;
#endif
    // 15 bits of window; 16 more for gzip alone.
    if (inflateInit2(&stream->zlib, 15 + 16) == Z_OK) return stream;
    free(stream);
    return NULL;
}

void gantry_inflate_free(gantry_inflate *stream) {
    if (!stream) return;
    if (!stream->fast) inflateEnd(&stream->zlib);
    free(stream);
}

int gantry_inflate_reset(gantry_inflate *stream) {
#if HAS_ISAL
    if (stream->fast) {
        isal.reset(&stream->isal);
        stream->isal.crc_flag = ISAL_GZIP;
        return 0;
    }
#endif
    return inflateReset(&stream->zlib) == Z_OK ? 0 : -1;
}

static unsigned bounded(size_t count) { return count > INT_MAX ? INT_MAX : (unsigned)count; }

int gantry_inflate_step(gantry_inflate *stream, const uint8_t *in, size_t *in_count, uint8_t *out, size_t *out_count) {
    unsigned in_had = bounded(*in_count), out_had = bounded(*out_count);
#if HAS_ISAL
    if (stream->fast) {
        struct inflate_state *state = &stream->isal;
        state->next_in = (uint8_t *)in;
        state->avail_in = in_had;
        state->next_out = out;
        state->avail_out = out_had;
        int result = isal.inflate(state);
        *in_count = in_had - state->avail_in;
        *out_count = out_had - state->avail_out;
        if (result != ISAL_DECOMP_OK && result != ISAL_END_INPUT) return GANTRY_INFLATE_CORRUPT;
        return state->block_state == ISAL_BLOCK_FINISH ? GANTRY_INFLATE_END : GANTRY_INFLATE_MORE;
    }
#endif
    stream->zlib.next_in = (uint8_t *)in;
    stream->zlib.avail_in = in_had;
    stream->zlib.next_out = out;
    stream->zlib.avail_out = out_had;
    int result = inflate(&stream->zlib, Z_NO_FLUSH);
    *in_count = in_had - stream->zlib.avail_in;
    *out_count = out_had - stream->zlib.avail_out;
    if (result == Z_STREAM_END) return GANTRY_INFLATE_END;
    return result == Z_OK || result == Z_BUF_ERROR ? GANTRY_INFLATE_MORE : GANTRY_INFLATE_CORRUPT;
}
