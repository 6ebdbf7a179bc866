/*  A disk that fails, and that forgets: a layer between SQLite and the operating system.

    SPDX-License-Identifier: MPL-2.0

    Forgetful, it keeps what is written in memory until it is synced, and only then gives it to the file:
    so what a killed process had not synced is gone, as after a power loss. Some of it, drawn at random, is
    given to the file at once, since a disk may write anything at any time. Failing, one of its writes,
    syncs or truncations fails, once.

    Thread-safety: the settings are for one store at a time.
*/

#ifndef TEST_DISK_H
#define TEST_DISK_H

#include <stdbool.h>
#include <stdint.h>

#define TEST_DISK "test-disk"

typedef enum {
    TEST_DISK_EIO,
    TEST_DISK_ENOSPC,
    TEST_DISK_SHORT, /* half of a write is done; of others as EIO */
    /*  as EIO; if forgetful, what a sync should have written is forgotten, and a later one succeeds  */
    TEST_DISK_LOST,
    TEST_DISK_FAULTS
} test_disk_fault_t;

typedef struct {
    bool forgetful;
    uint64_t chance; /* forgetful: state of the generator; must not be 0 */
    /*  the number of the call that fails, counted from 1 by `calls`; 0: none  */
    uint64_t fails;
    uint64_t
      fails_checkpoint; /* the same of syncs of the database itself, which checkpoints make */
    test_disk_fault_t fault;
    bool full;      /* all writes that make a file larger fail for want of space */
    uint64_t calls; /* writes, syncs, truncations so far */
    uint64_t syncs;
    uint64_t checkpoint_syncs; /* so far */
} test_disk_t;

extern test_disk_t test_disk;

/*  Registers the layer, and sets everything to 0.  */
void test_disk_reset (void);

#endif
