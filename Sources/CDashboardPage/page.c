// The files in `page`, as they are: Swift has no way of its own to have a file in the program.
#include "dashboard_page.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

#define SCRIPT "text/javascript; charset=utf-8"

static const unsigned char index_html[] = {
#embed "page/index.html"
};
static const unsigned char style_css[] = {
#embed "page/style.css"
};
static const unsigned char icon_svg[] = {
#embed "page/icon.svg"
};
static const unsigned char app_js[] = {
#embed "page/app.js"
};
static const unsigned char dom_js[] = {
#embed "page/dom.js"
};
static const unsigned char engine_js[] = {
#embed "page/engine.js"
};
static const unsigned char figures_js[] = {
#embed "page/figures.js"
};
static const unsigned char graph_js[] = {
#embed "page/graph.js"
};
static const unsigned char layout_js[] = {
#embed "page/layout.js"
};
static const unsigned char detail_js[] = {
#embed "page/detail.js"
};
static const unsigned char logs_js[] = {
#embed "page/logs.js"
};
static const unsigned char changes_js[] = {
#embed "page/changes.js"
};
static const unsigned char events_js[] = {
#embed "page/events.js"
};

#define FILE_OF(name, type, bytes) { name, type, bytes, sizeof(bytes) }

static const struct gantry_page_file files[] = {
    FILE_OF("index.html", "text/html; charset=utf-8", index_html),
    FILE_OF("style.css", "text/css; charset=utf-8", style_css),
    FILE_OF("icon.svg", "image/svg+xml", icon_svg),
    FILE_OF("app.js", SCRIPT, app_js),
    FILE_OF("dom.js", SCRIPT, dom_js),
    FILE_OF("engine.js", SCRIPT, engine_js),
    FILE_OF("figures.js", SCRIPT, figures_js),
    FILE_OF("graph.js", SCRIPT, graph_js),
    FILE_OF("layout.js", SCRIPT, layout_js),
    FILE_OF("detail.js", SCRIPT, detail_js),
    FILE_OF("logs.js", SCRIPT, logs_js),
    FILE_OF("changes.js", SCRIPT, changes_js),
    FILE_OF("events.js", SCRIPT, events_js),
};

const struct gantry_page_file *gantry_page_file(size_t index) {
    return index < sizeof files / sizeof files[0] ? &files[index] : NULL;
}
