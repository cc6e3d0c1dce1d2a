/* Syncing that fails while a certain file exists.
 *
 * While the file named by SYNC_SHIM_TRIGGER exists, fsync and fdatasync do nothing and answer with
 * an input/output error, as they do when the disk has not taken the bytes. Each failure is counted
 * by a byte added to the file named by SYNC_SHIM_COUNT.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int fails(void) {
    const char *trigger = getenv("SYNC_SHIM_TRIGGER");
    if (trigger == NULL || access(trigger, F_OK) != 0)
        return 0;
    const char *count = getenv("SYNC_SHIM_COUNT");
    int file = count == NULL ? -1 : open(count, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
        ssize_t written = write(file, "x", 1);
        (void)written;
        close(file);
    }
    errno = EIO;
    return 1;
}

int fsync(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    return fails() ? -1 : real(file);
}

int fdatasync(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    return fails() ? -1 : real(file);
}
