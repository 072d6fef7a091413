/* Checks and their count; templates and attributes; calls as a suite's author makes them. */
#include "tests/interop/conform.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conform conform;

/* What is counted is a subject, whatever number of calls it takes; each failure of one is told. */
static unsigned passed, failed, calls;
static unsigned subject_calls, subject_failures;
static char subject[160];

static void end_subject(void)
{
    if (subject_failures > 0) {
        failed++;
    } else if (subject_calls > 0) {
        passed++;
    }
    calls += subject_calls;
    subject_calls = 0;
    subject_failures = 0;
}

void about(const char *format, ...)
{
    va_list list;

    end_subject();
    va_start(list, format);
    vsnprintf(subject, sizeof subject, format, list);
    va_end(list);
}

static bool note(bool holds, const char *what, const char *detail)
{
    subject_calls++;
    if (!holds) {
        subject_failures++;
        printf("FAILED: %s: %s%s\n", subject, what, detail);
    }
    return holds;
}

bool expect(bool holds, const char *format, ...)
{
    char what[200];
    va_list list;

    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    return note(holds, what, "");
}

bool expect_rv(CK_RV rv, CK_RV wanted, const char *format, ...)
{
    char what[200], detail[80];
    va_list list;

    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    snprintf(detail, sizeof detail, ": 0x%lx and not 0x%lx", rv, wanted);
    return note(rv == wanted, what, detail);
}

bool expect_either(CK_RV rv, CK_RV wanted, CK_RV other, const char *what)
{
    return expect_rv(rv, rv == other ? other : wanted, "%s", what);
}

bool expect_same(const uint8_t *got, size_t got_size, const uint8_t *wanted, size_t wanted_size,
                 const char *what)
{
    bool same = got_size == wanted_size && (got_size == 0 || memcmp(got, wanted, got_size) == 0);

    return expect(same, "%s (%zu bytes, %zu wanted)", what, got_size, wanted_size);
}

void must(bool holds, const char *what)
{
    if (!note(holds, what, "")) {
        exit(checks_finish());
    }
}

int checks_finish(void)
{
    end_subject();
    printf("%u calls were looked at\n", calls);
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0 || passed == 0;
}

/* ---- templates ---- */

void template_start(struct template *template)
{
    template->count = 0;
}

void put_bytes(struct template *template, CK_ATTRIBUTE_TYPE type, void *value, size_t size)
{
    must(template->count < 32, "room in the template");
    template->list[template->count] = (CK_ATTRIBUTE){type, value, size};
    template->count++;
}

void put_flag(struct template *template, CK_ATTRIBUTE_TYPE type, bool value)
{
    CK_BBOOL *flag = &template->flags[template->count];

    *flag = value ? CK_TRUE : CK_FALSE;
    put_bytes(template, type, flag, sizeof *flag);
}

void put_number(struct template *template, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
    CK_ULONG *number = &template->numbers[template->count];

    *number = value;
    put_bytes(template, type, number, sizeof *number);
}

void put_flags(struct template *template, const CK_ATTRIBUTE_TYPE *types)
{
    for (; *types != NO_ATTRIBUTE; types++) {
        put_flag(template, *types, true);
    }
}

CK_OBJECT_HANDLE create(struct template *template, const char *what)
{
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;

    expect_rv(P11->C_CreateObject(conform.session, template->list, template->count, &object),
              CKR_OK, "%s is created", what);
    return object;
}

void destroy(CK_OBJECT_HANDLE object)
{
    expect_rv(P11->C_DestroyObject(conform.session, object), CKR_OK, "an object is destroyed");
}

size_t read_bytes(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, uint8_t *out)
{
    CK_ATTRIBUTE attribute = {type, NULL, 0};
    CK_RV rv = P11->C_GetAttributeValue(conform.session, object, &attribute, 1);

    if (!expect_rv(rv, CKR_OK, "attribute 0x%lx has a size", type) ||
        !expect(attribute.ulValueLen <= BUFFER_SIZE, "attribute 0x%lx has a size", type)) {
        return 0;
    }
    attribute.pValue = out;
    rv = P11->C_GetAttributeValue(conform.session, object, &attribute, 1);
    return expect_rv(rv, CKR_OK, "attribute 0x%lx is read", type) ? attribute.ulValueLen : 0;
}

CK_ULONG read_number(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_ULONG number = 0;
    CK_ATTRIBUTE attribute = {type, &number, sizeof number};
    CK_RV rv = P11->C_GetAttributeValue(conform.session, object, &attribute, 1);

    if (rv == CKR_OK && attribute.ulValueLen == sizeof(CK_BBOOL)) {
        CK_BBOOL flag;

        memcpy(&flag, &number, sizeof flag);
        return flag;
    }
    return rv == CKR_OK && attribute.ulValueLen == sizeof number ? number : NO_ATTRIBUTE;
}

CK_RV set_flag(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool value)
{
    struct template template;

    template_start(&template);
    put_flag(&template, type, value);
    return P11->C_SetAttributeValue(conform.session, object, template.list, template.count);
}

/* ---- calls ---- */

size_t one_shot(const char *name, CK_C_Encrypt call, uint8_t *in, size_t in_size, uint8_t *out)
{
    CK_ULONG asked = 0, size = 1;
    CK_RV rv = call(conform.session, in, in_size, NULL, &asked);

    if (!expect_rv(rv, CKR_OK, "%s says a size", name)) {
        return 0;
    }
    rv = call(conform.session, in, in_size, out, &size);
    expect_rv(rv, CKR_BUFFER_TOO_SMALL, "%s into one byte", name);
    expect(size > 1 && size <= asked, "%s says the size again", name);
    size = asked;
    rv = call(conform.session, in, in_size, out, &size);
    if (!expect_rv(rv, CKR_OK, "%s", name) || !expect(size <= asked, "%s said enough", name)) {
        return 0;
    }
    rv = call(conform.session, in, in_size, NULL, &asked);
    expect_rv(rv, CKR_OPERATION_NOT_INITIALIZED, "%s is over", name);
    return size;
}

static size_t part_size(unsigned turn, size_t left)
{
    static const size_t sizes[] = {1, 15, 16, 17, 64, 0, 300};
    size_t size = sizes[turn % (sizeof sizes / sizeof sizes[0])];

    return size < left ? size : left;
}

/* With no room at all it says what it needs and has lost nothing, or has nothing to give yet. True:
 * it took the part. */
static bool takes_no_room(const char *name, CK_C_EncryptUpdate update, uint8_t *in, size_t size,
                          uint8_t *out)
{
    CK_ULONG asked = 0, room = 0;
    CK_RV rv;

    expect_rv(update(conform.session, in, size, NULL, &asked), CKR_OK, "%sUpdate says a size",
              name);
    rv = update(conform.session, in, size, out, &room);
    if (rv == CKR_OK) {
        expect(room == 0, "%sUpdate wrote into no room", name);
        return true;
    }
    expect_rv(rv, CKR_BUFFER_TOO_SMALL, "%sUpdate into no room", name);
    expect(room > 0 && room <= asked, "%sUpdate needs %lu bytes and said %lu", name, room, asked);
    return false;
}

static CK_RV finish_parts(const char *name, CK_C_EncryptFinal final, uint8_t *out, CK_ULONG *size)
{
    CK_ULONG asked = 0, room = 0;
    CK_RV rv;

    expect_rv(final(conform.session, NULL, &asked), CKR_OK, "%sFinal says a size", name);
    rv = final(conform.session, out, &room);
    if (rv == CKR_OK) {
        expect(room == 0, "%sFinal wrote into no room", name);
        *size = 0;
        return rv;
    }
    expect_rv(rv, CKR_BUFFER_TOO_SMALL, "%sFinal into no room", name);
    expect(room > 0 && room <= asked, "%sFinal needs %lu bytes and said %lu", name, room, asked);
    return final(conform.session, out, size);
}

size_t many_parts(const char *name, CK_C_EncryptUpdate update, CK_C_EncryptFinal final, uint8_t *in,
                  size_t in_size, uint8_t *out)
{
    size_t at = 0, made = 0;
    CK_ULONG size;

    for (unsigned turn = 0; at < in_size; turn++) {
        size_t part = part_size(turn, in_size - at);

        size = 0;
        if (!takes_no_room(name, update, in + at, part, out + made)) {
            size = BUFFER_SIZE - made;
        }
        if (size > 0 && !expect_rv(update(conform.session, in + at, part, out + made, &size),
                                   CKR_OK, "%sUpdate of %zu bytes", name, part)) {
            return 0;
        }
        at += part;
        made += size;
    }
    size = BUFFER_SIZE - made;
    return expect_rv(finish_parts(name, final, out + made, &size), CKR_OK, "%sFinal", name)
               ? made + size
               : 0;
}

bool feed_parts(const char *name, CK_C_SignUpdate update, uint8_t *in, size_t in_size)
{
    size_t at = 0;

    for (unsigned turn = 0; at < in_size; turn++) {
        size_t part = part_size(turn, in_size - at);

        if (!expect_rv(update(conform.session, in + at, part), CKR_OK, "%sUpdate of %zu bytes",
                       name, part)) {
            return false;
        }
        at += part;
    }
    return true;
}

size_t last_part(const char *name, CK_C_SignFinal final, uint8_t *out)
{
    CK_ULONG asked = 0, size = 1;

    expect_rv(final(conform.session, NULL, &asked), CKR_OK, "%sFinal says a size", name);
    expect_rv(final(conform.session, out, &size), CKR_BUFFER_TOO_SMALL, "%sFinal into one byte",
              name);
    size = asked;
    return expect_rv(final(conform.session, out, &size), CKR_OK, "%sFinal", name) ? size : 0;
}
