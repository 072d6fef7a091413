# QH_RAFT_BUILD_ID: define RAFT_BUILD_ID as the ELF build id of the libraft that
# is found, in hexadecimal. raft-glue/version.c compares it at every start.
AC_DEFUN([QH_RAFT_BUILD_ID], [
AC_CHECK_TOOL([READELF], [readelf], [false])
AC_MSG_CHECKING([for the build id of libraft])
qh_raft_file="`$PKG_CONFIG --variable=libdir raft`/libraft.so"
AS_IF([test ! -r "$qh_raft_file"], [qh_raft_file=`$CC -print-file-name=libraft.so`])
qh_raft_build_id=`$READELF -n "$qh_raft_file" 2>/dev/null | sed -n 's/^ *Build ID: *//p'`
AS_IF([test "x$qh_raft_build_id" = x],
  [AC_MSG_RESULT([none])
   AC_MSG_ERROR([no build id in $qh_raft_file: install libraft-dev 0.15.0 and binutils])])
AC_MSG_RESULT([$qh_raft_build_id])
AC_DEFINE_UNQUOTED([RAFT_BUILD_ID], ["$qh_raft_build_id"],
  [ELF build id of the libraft that was configured against.])
])
