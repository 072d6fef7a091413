/* Errors as the application sees them. */
#include "client/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

/* The same numbers on both sides. */
#define SAME(name) _Static_assert((int)QUADHSM_##name == (int)QH_##name, #name)
SAME(OK);
SAME(ENOMEM);
SAME(EINVAL);
SAME(ELIMIT);
SAME(ESYSTEM);
SAME(ENOTFOUND);
SAME(EEXIST);
SAME(EUNKNOWN);
SAME(ETIMEOUT);
SAME(EBUSY);
SAME(ECONN);
SAME(ETLS);
SAME(EPERM);
SAME(EREFUSED);
SAME(ELOCKED);
SAME(ENOTENROLLED);
SAME(EPIN);
SAME(EPINLOCKED);
SAME(EPINRANGE);
SAME(ENOPIN);
SAME(ETICKET);
SAME(ENOLOGIN);
SAME(ENOQUORUM);
SAME(ESTALE);
SAME(ECONFLICT);
SAME(EUNSUPPORTED);
SAME(EMECHANISM);
SAME(EPARAMETER);
SAME(EKEYTYPE);
SAME(EKEYUSE);
SAME(EKEYSIZE);
SAME(ECURVE);
SAME(EDATA);
SAME(EDATASIZE);
SAME(ESIGNATURE);
SAME(ESIGNATURESIZE);
SAME(ECIPHERTEXT);
SAME(ECIPHERTEXTSIZE);
SAME(ETEMPLATE);
SAME(EINCOMPLETE);
SAME(EATTRIBUTE);
SAME(EATTRVALUE);
SAME(EREADONLY);
SAME(EROOM);
SAME(ECONFIG);
SAME(EUNEXTRACTABLE);
SAME(ENOTWRAPPABLE);
SAME(EWRAPPED);
SAME(EWRAPPEDSIZE);
SAME(EPOLICY);
SAME(EWRAPTEMPLATE);

/* No destructors: a module may be unloaded while its threads live. */
static _Thread_local char detail[ERROR_DETAIL_ROOM];
static _Thread_local char last_node[NODE_NAME_LENGTH_MAX + 1];

const char *quadhsm_error_message(int error)
{
    return err_message((enum qh_err)error);
}

const char *quadhsm_error_detail(void)
{
    return detail;
}

const char *quadhsm_last_node(void)
{
    return last_node;
}

void client_set_detail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
}

void error_clear(void)
{
    detail[0] = '\0';
    last_node[0] = '\0';
}

void error_set_node(const char *node)
{
    size_t length = strnlen(node, sizeof last_node - 1);

    memcpy(last_node, node, length); /* part of every call: no snprintf() */
    last_node[length] = '\0';
}

int error_public(enum qh_err err)
{
    switch ((int)err) {
    case QH_EPEER:
        return QUADHSM_ETLS;
    case QH_ECANCELED:
    case QH_EUNINITIALIZED:
    case QH_EGENERATION:
        return QUADHSM_ECONN;
    case QH_EVERSION:
    case QH_EMALFORMED:
        return QUADHSM_EUNSUPPORTED;
    case QH_EIO:
    case QH_ENOSPACE:
    case QH_ECORRUPT:
    case QH_EROLLEDBACK:
        return QUADHSM_ESYSTEM;
    case QH_ENOTLEADER:
        return QUADHSM_ENOQUORUM;
    default:
        return (int)err;
    }
}
