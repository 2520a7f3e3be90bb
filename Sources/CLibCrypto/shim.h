// The low-level SHA-256 calls link three objects instead of all of libcrypto; they are deprecated, not removed.
#define OPENSSL_SUPPRESS_DEPRECATED 1
#include <openssl/sha.h>
