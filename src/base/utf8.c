/* Text that people read: UTF-8 without control characters. */
#include "base/utf8.h"

#include <stdint.h>

/* The size of the character at @base, 0 if there is none. */
static size_t read_character(const uint8_t *base, size_t size, uint32_t *ret_character)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t least; /* what is less has a shorter form */
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

    for (size_t more = 0; more < sizeof forms / sizeof forms[0]; more++) {
        uint32_t character = base[0] & (uint8_t)~forms[more].mask;

        if ((base[0] & forms[more].mask) != forms[more].lead) {
            continue;
        }
        for (size_t i = 1; i <= more; i++) {
            if (i >= size || (base[i] & 0xc0) != 0x80) {
                return 0;
            }
            character = character << 6 | (base[i] & 0x3f);
        }
        *ret_character = character;
        return character >= forms[more].least ? more + 1 : 0;
    }
    return 0;
}

bool utf8_is_text(const char *base, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)base;

    for (size_t at = 0; at < size;) {
        uint32_t character = 0;
        size_t length = read_character(bytes + at, size - at, &character);

        if (length == 0 || character < 0x20 || (character >= 0x7f && character < 0xa0) ||
            (character >= 0xd800 && character < 0xe000) || character > 0x10ffff) {
            return false;
        }
        at += length;
    }
    return true;
}
