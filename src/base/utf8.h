/* Text that people read: UTF-8 (RFC 3629) without control characters. */
#ifndef QH_BASE_UTF8_H
#define QH_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Is this complete UTF-8, in its shortest form, and of no control characters (U+0000 to U+001F,
 * U+007F to U+009F)? */
bool utf8_is_text(const char *base, size_t size);

#endif
