/* SPDX-License-Identifier: Apache-2.0 */
/* What libc exports and the shim deliberately does not wrap, with the reason; for test_shim_exports.c.
 *
 * "Rendered" in a reason: the ordinary file that lies at the declared path for whoever comes past the shim.
 */
#ifndef FLOE_TEST_SHIM_EXPORTS_LIST_H
#define FLOE_TEST_SHIM_EXPORTS_LIST_H

/* A name that contains one of these is about files until somebody has looked at it. */
static const char *const families[] = {
	"open",    "close",       "dup",     "fcntl",    "stat",      "access",   "link",    "rename",
	"remove",  "trunc",       "utime",   "chmod",    "chown",     "chdir",    "chroot",  "xattr",
	"dir",     "glob",        "ftw",     "fts",      "mkst",      "mkost",    "mkfifo",  "mknod",
	"temp",    "tmp",         "inotify", "fanotify", "exec",      "spawn",    "handle",  "pathconf",
	"lockf",   "send",        "copy",    "splice",   "tee",       "map",      "write",   "falloc",
	"sync",    "path",        "canonic", "file",     "mount",     "swap",     "quota",   "acct",
	"revoke",  "mntent",      "fsent",   "ttyent",   "usershell", "tree",     "uselib",  "module",
	"aio",     "lio_",        "ftok",    "connect",  "bind",      "system",   "fadvise", "readahead",
	"wordexp", "syscall",     "exit",    "fork",     "setenv",    "clearenv", "putenv",  "getcwd",
	"getwd",   "current_dir",
};

struct exception {
	const char *why;
	const char *names; /* one blank between them */
};

static const struct exception exceptions[] = {
	{ "acts on an open descriptor, and that of a declared file is open on a draft of it or on its file "
	  "in view/: what is "
	  "written is saved when the descriptor is closed",
	  "fstatfs fstatfs64 fstatvfs fstatvfs64 fpathconf fchmod fchown "
	  "futimens futimes fgetxattr flistxattr fremovexattr fsetxattr ftruncate ftruncate64 fallocate "
	  "fallocate64 posix_fallocate posix_fallocate64 posix_fadvise posix_fadvise64 readahead "
	  "copy_file_range sendfile sendfile64 splice tee vmsplice write __write __pwrite64 pwrite pwrite64 "
	  "pwritev pwritev2 pwritev64 pwritev64v2 writev aio_write aio_write64 aio_read aio_read64 aio_fsync "
	  "aio_fsync64 lio_listio lio_listio64 sync_file_range" },
	{ "keeps what it maps open: what it writes later is found by the broker's harvest",
	  "mmap mmap64 msync munmap mremap remap_file_pages" },
	{ "says nothing about one file, and what is committed is on the disk already", "sync syncfs" },
	{ "flushes streams and leaves their descriptors open", "fcloseall" },
	{ "directories are never declared; in listings, and for what libc looks at while it walks, stands "
	  "the "
	  "rendered file",
	  "opendir fdopendir closedir dirfd readdir readdir64 readdir64_r readdir_r rewinddir seekdir "
	  "telldir "
	  "scandir scandir64 scandirat scandirat64 getdirentries getdirentries64 glob glob64 globfree "
	  "globfree64 "
	  "wordexp wordfree ftw ftw64 nftw nftw64 fts_children fts_close fts_open fts_read fts_set "
	  "fts64_children fts64_close fts64_open fts64_read fts64_set" },
	{ "a directory: the kernel keeps it, and relative paths are looked up from it",
	  "chdir fchdir getcwd getwd __getcwd_chk __getwd_chk get_current_dir_name" },
	{ "fails on a regular file, and the rendered file is one", "rmdir" },
	{ "makes a name that did not exist, or none",
	  "mkdtemp mkostemp mkostemp64 mkostemps mkostemps64 mkstemp mkstemp64 mkstemps mkstemps64 mktemp "
	  "tempnam tmpfile tmpfile64 tmpnam tmpnam_r" },
	{ "opens what a handle names, needs privileges that applications do not have, and name_to_handle_at "
	  "gave the handle of the file in view/",
	  "open_by_handle_at" },
	{ "a number made of the file's identity: all programs get that of the rendered file", "ftok" },
	{ "a system table, message catalogue, converter or library that libc reads by itself; a declared one "
	  "is read as rendered",
	  "setmntent __setmntent endmntent __endmntent addmntent getmntent getmntent_r __getmntent_r "
	  "setfsent "
	  "getfsent getfsfile endfsent setttyent getttyent endttyent setusershell getusershell endusershell "
	  "utmpname utmpxname updwtmp updwtmpx logwtmp catopen catclose iconv_open iconv_close "
	  "bindtextdomain "
	  "bind_textdomain_codeset dlopen dlmopen dlclose uselib" },
	{ "starts a shell with the program's own environment as it is; without the shim in there, its files "
	  "are the rendered ones",
	  "system popen _IO_popen pclose _IO_proc_open _IO_proc_close rexec rexec_af" },
	{ "the program's own environment; exec and posix_spawn put the shim back",
	  "setenv unsetenv putenv clearenv" },
	{ "the child shares or copies what the shim keeps, and the shim sees which by itself",
	  "fork _Fork vfork __fork __vfork forkpty" },
	{ "runs the shim's destructor, or the handler that its constructor registers",
	  "exit quick_exit on_exit pthread_exit thrd_exit __cxa_at_quick_exit __cxa_atexit" },
	{ "raw: the program comes past the shim on purpose", "syscall" },
	{ "the watch is made by inotify_add_watch and fanotify_mark",
	  "inotify_init inotify_init1 inotify_rm_watch fanotify_init" },
	{ "closes what it has just been given, or actions that a wrapped spawn carries out",
	  "posix_spawn_file_actions_addchdir_np posix_spawn_file_actions_addclose "
	  "posix_spawn_file_actions_addclosefrom_np posix_spawn_file_actions_adddup2 "
	  "posix_spawn_file_actions_addfchdir_np posix_spawn_file_actions_addtcsetpgrp_np "
	  "posix_spawn_file_actions_destroy posix_spawn_file_actions_init posix_spawnattr_destroy "
	  "posix_spawnattr_getflags posix_spawnattr_getpgroup posix_spawnattr_getschedparam "
	  "posix_spawnattr_getschedpolicy posix_spawnattr_getsigdefault posix_spawnattr_getsigmask "
	  "posix_spawnattr_init posix_spawnattr_setflags posix_spawnattr_setpgroup "
	  "posix_spawnattr_setschedparam posix_spawnattr_setschedpolicy posix_spawnattr_setsigdefault "
	  "posix_spawnattr_setsigmask" },
	{ "needs privileges that applications do not have, or is gone from the kernel",
	  "mount umount umount2 mount_setattr move_mount fsmount fsopen open_tree swapon swapoff acct "
	  "quotactl "
	  "revoke init_module create_module delete_module query_module ustat process_vm_writev" },
	{ "inner parts of streams for libraries of another age; a stream is opened and closed by the wrapped "
	  "functions",
	  "_IO_file_fopen _IO_file_open _IO_file_attach _IO_file_close _IO_file_close_it _IO_file_doallocate "
	  "_IO_file_finish _IO_file_init _IO_file_overflow _IO_file_read _IO_file_seek _IO_file_seekoff "
	  "_IO_file_setbuf _IO_file_stat _IO_file_sync _IO_file_underflow _IO_file_write _IO_file_xsputn "
	  "_IO_do_write _IO_wdo_write _IO_wfile_overflow _IO_wfile_seekoff _IO_wfile_sync "
	  "_IO_wfile_underflow "
	  "_IO_wfile_xsputn _IO_iter_file _IO_link_in _IO_un_link" },
	{ "a socket, a terminal, a queue or shared memory, whose names are no configuration files",
	  "bind bindresvport connect __connect send __send sendmmsg sendmsg sendto openpty posix_openpt "
	  "shm_open "
	  "shm_unlink sem_open sem_close sem_unlink mq_open __mq_open_2 mq_close mq_unlink mq_send "
	  "mq_timedsend "
	  "openlog closelog pidfd_open pidfd_send_signal" },
	{ "not about files at all",
	  "_IO_flockfile _IO_ftrylockfile _IO_funlockfile _IO_fwrite _IO_remove_marker _IO_str_init_static "
	  "__cyg_profile_func_enter __cyg_profile_func_exit __duplocale __profile_frequency "
	  "__pthread_mutexattr_destroy __pthread_mutexattr_init __pthread_mutexattr_settype __res_nclose "
	  "__res_nsend __res_send __res_state __rpc_thread_createerr __strdup __strndup aio_cancel "
	  "aio_cancel64 "
	  "aio_error aio_error64 aio_init aio_return aio_return64 aio_suspend aio_suspend64 argp_state_help "
	  "__cxa_thread_atexit_impl bcopy clnt_pcreateerror clnt_spcreateerror copysign copysignf copysignl "
	  "dirname duplocale "
	  "envz_remove "
	  "eventfd_write fileno fileno_unlocked flockfile fmemopen fopencookie ftrylockfile funlockfile "
	  "fwrite "
	  "fwrite_unlocked getutmp getutmpx glob_pattern_p initstate initstate_r malloc_stats open_memstream "
	  "open_wmemstream pmap_getmaps pmap_getport pmap_rmtcall pmap_set pmap_unset "
	  "pthread_attr_getdetachstate pthread_attr_setdetachstate pthread_mutexattr_destroy "
	  "pthread_mutexattr_getkind_np pthread_mutexattr_getprioceiling pthread_mutexattr_getprotocol "
	  "pthread_mutexattr_getpshared pthread_mutexattr_getrobust pthread_mutexattr_getrobust_np "
	  "pthread_mutexattr_gettype pthread_mutexattr_init pthread_mutexattr_setkind_np "
	  "pthread_mutexattr_setprioceiling pthread_mutexattr_setprotocol pthread_mutexattr_setpshared "
	  "pthread_mutexattr_setrobust pthread_mutexattr_setrobust_np pthread_mutexattr_settype "
	  "pthread_setcancelstate re_compile_fastmap re_exec regexec res_nsend res_send setstate setstate_r "
	  "strdup strndup svc_exit svc_sendreply svcerr_systemerr swapcontext tcsendbreak telldir unlockpt "
	  "wcsdup xdr_keystatus xdr_pmap xdr_pmaplist pthread_atfork __register_atfork" },
};

#endif
