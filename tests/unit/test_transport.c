/* Two and three transports that talk over loopback. */
#include "raft-glue/transport.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

static struct rig rig;

static void open_pair(void)
{
    rig_open(&rig);
    rig_start(&rig, 0);
    rig_start(&rig, 1);
    rig_join(&rig, 0, 1);
}

static void close_rig(void)
{
    rig_close(&rig);
}

START_TEST(frames_arrive_on_both_channels_with_the_name_of_their_sender)
{
    rig_send(&rig, 0, TRANSPORT_RAFT, 1, 1, 600);
    RIG_WAIT(&rig, rig.nodes[1].frames[TRANSPORT_RAFT] == 1);
    ck_assert_uint_eq(rig.nodes[1].frames[TRANSPORT_RPC], 0);
    rig_send(&rig, 0, TRANSPORT_RPC, 1, 2, 600);
    RIG_WAIT(&rig, rig.nodes[1].frames[TRANSPORT_RPC] == 1);
    rig_send(&rig, 1, TRANSPORT_RAFT, 0, 3, 1);
    RIG_WAIT(&rig, rig.nodes[0].frames[TRANSPORT_RAFT] == 1);
    ck_assert_uint_eq(rig.nodes[0].frame_bytes, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transport");
    TCase *tcase = tcase_create("frames");

    tcase_add_checked_fixture(tcase, open_pair, close_rig);
    tcase_add_test(tcase, frames_arrive_on_both_channels_with_the_name_of_their_sender);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
