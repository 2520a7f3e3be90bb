// libcurl, loaded when it is first used: the program links nothing more and starts as fast as without it.
// Runs in the engine and in the command line, on threads that may block.
#ifndef CLIBCURL_H
#define CLIBCURL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// One HTTP exchange. Strings are copied by libcurl; the callbacks run on the thread of `gantry_curl_perform`.
typedef struct {
    const char *url;
    const char *method;
    /// "Name: value", ended by NULL.
    const char *const *headers;
    /// The answer has no body (HEAD).
    bool no_body;
    /// Bytes `read_body` gives; -1 for a request without body.
    int64_t upload_byte_count;
    /// Certificates in PEM that are trusted besides the system's; NULL for none.
    const char *ca_pem;
    size_t ca_pem_byte_count;
    /// Paths of PEM files, or NULL.
    const char *client_certificate;
    const char *client_key;
    bool skip_verify;
    int64_t connect_timeout_ms;
    /// Gives up when fewer than `low_speed_byte_count` bytes a second pass for this long.
    int64_t low_speed_byte_count;
    int64_t low_speed_seconds;
    const char *user_agent;
    void *context;
    /// As CURLOPT_HEADERFUNCTION and CURLOPT_WRITEFUNCTION: anything but `size * count` aborts.
    size_t (*on_header)(char *bytes, size_t size, size_t count, void *context);
    size_t (*on_body)(char *bytes, size_t size, size_t count, void *context);
    /// As CURLOPT_READFUNCTION; CURL_READFUNC_ABORT (0x10000000) aborts.
    size_t (*read_body)(char *bytes, size_t size, size_t count, void *context);
    /// Goes to an offset from the beginning of the body; 0 when that went well.
    int (*seek_body)(void *context, int64_t offset, int origin);
    /// Not 0 aborts; asked about once a second and after every piece.
    int (*should_stop)(void *context);
} gantry_curl_request;

/// What sort of failure a CURLcode is.
typedef enum {
    GANTRY_CURL_OK,
    GANTRY_CURL_RESOLVE,
    GANTRY_CURL_CONNECT,
    GANTRY_CURL_TIMED_OUT,
    /// The connection broke, or what came was no HTTP.
    GANTRY_CURL_BROKEN,
    /// The handshake failed: often a server that does not speak TLS.
    GANTRY_CURL_HANDSHAKE,
    /// The server's certificate is not trusted, or not for this host.
    GANTRY_CURL_CERTIFICATE,
    /// A file of ours (certificate, key, CA) could not be used.
    GANTRY_CURL_CREDENTIAL_FILE,
    /// A callback asked for it.
    GANTRY_CURL_ABORTED,
    GANTRY_CURL_OTHER,
} gantry_curl_failure;

typedef struct {
    gantry_curl_failure failure;
    /// English, ended by NUL; from libcurl, with parts that the server wrote.
    char message[300];
} gantry_curl_result;

/// Loads the library once. NULL when it is there, otherwise dlerror(3)'s text, valid for ever.
const char *gantry_curl_load(void);
/// A handle, which keeps connections for its next exchange; NULL without memory. Only after a successful load.
void *gantry_curl_open(void);
void gantry_curl_close(void *handle);
gantry_curl_result gantry_curl_perform(void *handle, const gantry_curl_request *request);

#endif
