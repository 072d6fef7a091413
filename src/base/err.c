/* Messages and translation of error codes. */
#include "base/err.h"

#include <errno.h>

const char *err_message(enum qh_err err)
{
    switch (err) {
#define QH_ERR_CASE(name, number, message) \
    case name:                             \
        return message;
        QH_ERR_TABLE(QH_ERR_CASE)
#undef QH_ERR_CASE
    }
    return "unknown error";
}

const char *err_name(enum qh_err err)
{
    switch (err) {
#define QH_ERR_CASE(name, number, message) \
    case name:                             \
        return #name;
        QH_ERR_TABLE(QH_ERR_CASE)
#undef QH_ERR_CASE
    }
    return "QH_EUNLISTED";
}

enum qh_err err_from_errno(int errnum)
{
    switch (errnum) {
    case 0:
        return QH_OK;
    case ENOMEM:
        return QH_ENOMEM;
    case EINVAL:
        return QH_EINVAL;
    case ENOSPC:
    case EDQUOT:
        return QH_ENOSPACE;
    case EIO:
    case EROFS:
        return QH_EIO;
    case ENOENT:
        return QH_ENOTFOUND;
    case EEXIST:
        return QH_EEXIST;
    case EACCES:
    case EPERM:
        return QH_EPERM;
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return QH_ECONN;
    default:
        return QH_ESYSTEM;
    }
}
