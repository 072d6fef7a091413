/* A copy of a directory of plain files, made before something is done to it. */
#ifndef QH_GLUE_BACKUP_H
#define QH_GLUE_BACKUP_H

#include <stddef.h>

#include "base/err.h"

/* Copy DIR/@from to a new DIR/@to, or DIR/@to.1 and so on if that exists. The name appears only
 * when the copy is whole and on disk.
 * Errors: QH_EEXIST (BACKUP_NAMES_MAX of them), QH_ENOSPACE, QH_EPERM, QH_EIO, QH_ESYSTEM. */
#define BACKUP_NAMES_MAX 100u
QH_RESULT backup_make(const char *dir, const char *from, const char *to);

#endif
