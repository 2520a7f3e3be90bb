#include "clibcurl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *);
    void (*easy_reset)(CURL *);
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_perform)(CURL *);
    const char *(*easy_strerror)(CURLcode);
    struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
    void (*slist_free_all)(struct curl_slist *);
} curl;

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static char load_error[300];

static void *library;

static void *symbol(const char *name) {
    void *address = dlsym(library, name);
    if (address == NULL && load_error[0] == 0)
        snprintf(load_error, sizeof load_error, "libcurl.so.4 has no %s", name);
    return address;
}

static void load(void) {
    library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        snprintf(load_error, sizeof load_error, "%s", why ? why : "unknown");
        return;
    }
    curl.global_init = symbol("curl_global_init");
    curl.easy_init = symbol("curl_easy_init");
    curl.easy_cleanup = symbol("curl_easy_cleanup");
    curl.easy_reset = symbol("curl_easy_reset");
    curl.easy_setopt = symbol("curl_easy_setopt");
    curl.easy_perform = symbol("curl_easy_perform");
    curl.easy_strerror = symbol("curl_easy_strerror");
    curl.slist_append = symbol("curl_slist_append");
    curl.slist_free_all = symbol("curl_slist_free_all");
    if (load_error[0] == 0 && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        snprintf(load_error, sizeof load_error, "curl_global_init failed");
}

const char *gantry_curl_load(void) {
    pthread_once(&load_once, load);
    return load_error[0] ? load_error : NULL;
}

void *gantry_curl_open(void) { return curl.easy_init(); }

void gantry_curl_close(void *handle) { curl.easy_cleanup(handle); }

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    const gantry_curl_request *request = context;
    (void)a, (void)b, (void)c, (void)d;
    return request->should_stop(request->context);
}

static gantry_curl_failure failure_of(CURLcode code) {
    switch (code) {
    case CURLE_OK: return GANTRY_CURL_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return GANTRY_CURL_RESOLVE;
    case CURLE_COULDNT_CONNECT: return GANTRY_CURL_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: return GANTRY_CURL_TIMED_OUT;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY: return GANTRY_CURL_BROKEN;
    case CURLE_SSL_CONNECT_ERROR: return GANTRY_CURL_HANDSHAKE;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR: return GANTRY_CURL_CERTIFICATE;
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE: return GANTRY_CURL_CREDENTIAL_FILE;
    case CURLE_WRITE_ERROR:
    case CURLE_READ_ERROR:
    case CURLE_ABORTED_BY_CALLBACK: return GANTRY_CURL_ABORTED;
    default: return GANTRY_CURL_OTHER;
    }
}

// CURLOPT_PROTOCOLS_STR came with 7.85; the mask it replaced (option 181, HTTP is bit 0 and HTTPS bit 1) still works.
static CURLcode allow_http_only(CURL *handle) {
    if (curl.easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK) return CURLE_OK;
    return curl.easy_setopt(handle, (CURLoption)181, 3L);
}

static CURLcode set_tls(CURL *handle, const gantry_curl_request *request) {
    CURLcode code = CURLE_OK;
#define SET(option, value) if (code == CURLE_OK) code = curl.easy_setopt(handle, option, value)
    SET(CURLOPT_SSL_VERIFYPEER, request->skip_verify ? 0L : 1L);
    SET(CURLOPT_SSL_VERIFYHOST, request->skip_verify ? 0L : 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (request->ca_pem) {
        struct curl_blob blob = {(void *)request->ca_pem, request->ca_pem_byte_count, CURL_BLOB_COPY};
        SET(CURLOPT_CAINFO_BLOB, &blob);
    }
    if (request->client_certificate) SET(CURLOPT_SSLCERT, request->client_certificate);
    if (request->client_key) SET(CURLOPT_SSLKEY, request->client_key);
    return code;
}

static CURLcode set_transfer(CURL *handle, const gantry_curl_request *request) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_WRITEFUNCTION, request->on_body);
    SET(CURLOPT_WRITEDATA, request->context);
    SET(CURLOPT_HEADERFUNCTION, request->on_header);
    SET(CURLOPT_HEADERDATA, request->context);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, (void *)request);
    SET(CURLOPT_BUFFERSIZE, 256L << 10);
    if (request->upload_byte_count >= 0) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->upload_byte_count);
        SET(CURLOPT_READFUNCTION, request->read_body);
        SET(CURLOPT_READDATA, request->context);
        SET(CURLOPT_SEEKFUNCTION, request->seek_body);
        SET(CURLOPT_SEEKDATA, request->context);
        SET(CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
    }
    if (request->no_body) SET(CURLOPT_NOBODY, 1L);
    SET(CURLOPT_CUSTOMREQUEST, request->method);
    return code;
}

static CURLcode set_all(CURL *handle, const gantry_curl_request *request, struct curl_slist *headers, char *message) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_ERRORBUFFER, message);
    if (code == CURLE_OK) code = allow_http_only(handle);
    SET(CURLOPT_URL, request->url);
    // Dots in paths are the registry's business.
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_NOSIGNAL, 1L);
    // Redirects are followed by hand, so that no credentials go along to other hosts.
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_USERAGENT, request->user_agent);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT, (long)request->low_speed_byte_count);
    SET(CURLOPT_LOW_SPEED_TIME, (long)request->low_speed_seconds);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    if (code == CURLE_OK) code = set_tls(handle, request);
    if (code == CURLE_OK) code = set_transfer(handle, request);
    return code;
}

gantry_curl_result gantry_curl_perform(void *handle, const gantry_curl_request *request) {
    gantry_curl_result result = {0};
    char message[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    CURLcode code = CURLE_OK;
    for (const char *const *line = request->headers; *line != NULL; line++) {
        struct curl_slist *longer = curl.slist_append(headers, *line);
        if (longer == NULL) {
            code = CURLE_OUT_OF_MEMORY;
            break;
        }
        headers = longer;
    }
    // Keeps the connections and forgets every option of the exchange before.
    curl.easy_reset(handle);
    if (code == CURLE_OK) code = set_all(handle, request, headers, message);
    if (code == CURLE_OK) code = curl.easy_perform(handle);
    result.failure = failure_of(code);
    if (code != CURLE_OK)
        snprintf(result.message, sizeof result.message, "%s", message[0] ? message : curl.easy_strerror(code));
    // The handle must not point into this frame.
    curl.easy_reset(handle);
    curl.slist_free_all(headers);
    return result;
}
