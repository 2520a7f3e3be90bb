#ifndef GANTRY_DASHBOARD_PAGE_H
#define GANTRY_DASHBOARD_PAGE_H

#include <stddef.h>

/// One file of the page, in the program's read-only data.
struct gantry_page_file {
    const char *_Nonnull name;
    /// Media type.
    const char *_Nonnull type;
    const unsigned char *_Nonnull bytes;
    size_t length;
};

/// NULL past the last one.
const struct gantry_page_file *_Nullable gantry_page_file(size_t index);

#endif
