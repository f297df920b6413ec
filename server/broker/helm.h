/*
 * helm.h - who is at the helm runs the engine; there is one at most.
 *
 * Whoever brings a batch takes the helm if it is free, and so applies the batch itself, where its
 * bytes were read and decoded: no other goroutine is woken for it, which would cost more than to
 * apply a batch of a few operations. If somebody is at the helm already, the batch waits in a
 * queue, and who is there applies it too. One goroutine, the keeper, takes the helm for what
 * nobody brings: deadlines, events, and more work than others shall be kept with.
 *
 * The helm is no lock: who is there may log, free or yield meanwhile.
 */
#ifndef BROKER_HELM_H
#define BROKER_HELM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct batch;
struct hchan;

struct helm {
	atomic_bool taken;
	atomic_bool called;   /* the keeper waits to be handed it */
	atomic_bool more;     /* something was put into the queue since it was taken last */
	struct hchan *queue;  /* of struct batch * */
	struct hchan *handed; /* a token: the helm is the keeper's */
};

/* So many batches may wait; who brings one more parks, and so reads nothing meanwhile. 0 or
 * -ENOMEM. */
int helm_init(struct helm *h, size_t waiting_max);
void helm_fini(struct helm *h);

/*
 * Brings a batch. True: the caller is at the helm. It applies what waits (helm_next) first, since
 * that may have an earlier batch of its own in it, and *b then (if it is not NULL: among those that
 * wait). False: who is at the helm has it.
 */
bool helm_bring(struct helm *h, struct batch **b);

/* At the helm: the next batch that waits, or NULL. */
struct batch *helm_next(struct helm *h);

/*
 * Leaves the helm, to the keeper if that has called for it. False: something has come to wait
 * meanwhile, and the caller is still there. After true the helm may be gone, if nothing else keeps
 * it.
 */
bool helm_leave(struct helm *h);

/* Leaves the helm to the keeper, whatever waits. */
void helm_hand_over(struct helm *h);

/* ---- the keeper ------------------------------------------------------------------------------- */

/* Takes the helm, or waits until it is handed over. */
void helm_call(struct helm *h);

/* What to wait for in a select: a receive from it says that the helm was handed over. */
struct hchan *helm_handed(struct helm *h);

#endif
