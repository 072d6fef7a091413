# QH_TRY_CFLAGS(VARIABLE, FLAGS): append each flag that the compiler takes.
AC_DEFUN([QH_TRY_CFLAGS], [
for qh_flag in $2; do
  qh_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $qh_flag"
  AC_MSG_CHECKING([whether the compiler takes $qh_flag])
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes]); $1="$$1 $qh_flag"], [AC_MSG_RESULT([no])])
  CFLAGS=$qh_save_CFLAGS
done])

# QH_TRY_CPPFLAGS(VARIABLE, FLAGS): the same for the preprocessor. Needs -O, as
# _FORTIFY_SOURCE does.
AC_DEFUN([QH_TRY_CPPFLAGS], [
for qh_flag in $2; do
  qh_save_CPPFLAGS=$CPPFLAGS
  qh_save_CFLAGS=$CFLAGS
  CPPFLAGS="$CPPFLAGS $qh_flag"
  CFLAGS="$CFLAGS -Werror"
  AC_MSG_CHECKING([whether the compiler takes $qh_flag])
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]])], [AC_MSG_RESULT([yes]); $1="$$1 $qh_flag"], [AC_MSG_RESULT([no])])
  CPPFLAGS=$qh_save_CPPFLAGS
  CFLAGS=$qh_save_CFLAGS
done])

# QH_TRY_LDFLAGS(VARIABLE, FLAGS): the same for the linker.
AC_DEFUN([QH_TRY_LDFLAGS], [
for qh_flag in $2; do
  qh_save_LDFLAGS=$LDFLAGS
  LDFLAGS="$LDFLAGS $qh_flag"
  AC_MSG_CHECKING([whether the linker takes $qh_flag])
  AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes]); $1="$$1 $qh_flag"], [AC_MSG_RESULT([no])])
  LDFLAGS=$qh_save_LDFLAGS
done])

# QH_REQUIRE_SANITIZER(KINDS): stop if the compiler and its runtime cannot link
# a program with -fsanitize=KINDS.
AC_DEFUN([QH_REQUIRE_SANITIZER], [
qh_save_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS -Werror -fsanitize=$1"
AC_MSG_CHECKING([whether the compiler takes -fsanitize=$1])
AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([$CC cannot link with -fsanitize=$1; libFuzzer needs CC=clang and its compiler-rt])])
CFLAGS=$qh_save_CFLAGS
])
